/**
 * What may stand in quant.yaml, written once: the types come from here, and so does `schemas/quant.schema.json`
 * (`npm run schema`), which editors complete against and `load.ts` validates with. Importing TypeBox costs more than a whole
 * null build, so the program itself imports types from this file, never values.
 *
 * Names and units are the vendor's where a flag exists; each description ends with that flag. A `title` says in a few
 * words what a string must look like: it is the hint when the pattern does not match.
 */
import { type Static, Type } from 'typebox'
import { type Figures, Verify } from './schema-verify.js'
import { count, map, oneOf, section, text } from './schema-words.js'

const Model = section(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]*$',
      title: 'letters, digits and _ . -',
      description: 'Prefix of every file that is made. Vendor: model_transform --model_name.',
      examples: ['yolov3_tiny'],
    }),
    path: Type.Optional(
      text({
        description: 'The float ONNX file. Either this or `url`. Vendor: model_transform --model_def.',
        examples: ['tiny-yolov3-11.onnx'],
      }),
    ),
    url: Type.Optional(
      Type.String({
        pattern: '^https?://[^\\s/]+/\\S+$',
        title: 'an http or https address',
        description: 'Where to fetch the ONNX file, once; `sha256` says which bytes are meant. Vendor: none.',
        examples: ['https://example.org/tiny-yolov3-11.onnx'],
      }),
    ),
    sha256: Type.Optional(
      Type.String({
        pattern: '^[0-9A-Fa-f]{64}$',
        title: '64 hex digits, as sha256sum prints them',
        description: 'SHA-256 of the file behind `url`. Vendor: none.',
        examples: ['f715cc2d99740d22d312777e20d9de2b2ecdc250155be8fd3752ce7e8b823521'],
      }),
    ),
    inputs: Type.Optional(
      map<number[]>(
        { type: 'array', minItems: 1, items: { type: 'integer', minimum: 1 } },
        {
          minProperties: 1,
          description:
            'Shape of each input, by name, NCHW. Default: as the model says, open dimensions 1. Vendor: model_transform --input_shapes.',
          examples: [{ input_1: [1, 3, 416, 416] }],
        },
      ),
    ),
    outputs: Type.Optional(
      Type.Array(text({}), {
        minItems: 1,
        uniqueItems: true,
        description:
          'Tensors where the network ends, in the order that everything behind it uses; nodes that feed none of them are dropped. Default: as the model says. Vendor: model_transform --output_names.',
        examples: [['transpose_output1', 'transpose_output']],
      }),
    ),
  },
  { description: 'The float network.' },
)

const Preprocess = section(
  {
    pixel_format: Type.Optional(
      oneOf(['rgb', 'bgr', 'gray'], {
        default: 'bgr',
        description: 'Order of the channels. Vendor: model_transform --pixel_format.',
      }),
    ),
    mean: Type.Optional(
      Type.Array(Type.Number(), {
        description:
          'Per channel, in the order of `pixel_format`: y = (x - mean) * scale, x from 0 to 255. Default: 0 for every channel. Vendor: model_transform --mean.',
        examples: [[0, 0, 0]],
      }),
    ),
    scale: Type.Optional(
      Type.Array(Type.Number({ exclusiveMinimum: 0 }), {
        description:
          'Per channel, in the order of `pixel_format`. Default: 1 for every channel. Vendor: model_transform --scale.',
        examples: [[0.0039216, 0.0039216, 0.0039216]],
      }),
    ),
    keep_aspect_ratio: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'true: letterbox; false: stretch. Vendor: model_transform --keep_aspect_ratio.',
      }),
    ),
    pad_value: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 255,
        default: 0,
        description: 'Fills the border of the letterbox, before mean and scale. Vendor: model_transform --pad_value.',
        examples: [128],
      }),
    ),
    pad_type: Type.Optional(
      oneOf(['center', 'normal'], {
        default: 'center',
        description:
          'Where the picture lies in the letterbox: in the middle, or at the top left. Vendor: model_transform --pad_type.',
      }),
    ),
  },
  { description: 'How a picture becomes the input of the network.' },
)

const Calibration = section(
  {
    dataset: Type.Optional(
      text({
        description:
          'A folder of pictures or of npz/npy files (searched recursively), or a text file that lists them, one per line. Vendor: run_calibration --dataset, --data_list.',
        examples: ['COCO2017'],
      }),
    ),
    input_num: Type.Optional(
      count({
        default: 0,
        description: 'How many of them are used; 0: all. Vendor: run_calibration --input_num.',
        examples: [100],
      }),
    ),
    method: Type.Optional(
      oneOf(['kl', 'max', 'percentile', 'mse', 'best'], {
        default: 'kl',
        description:
          'How a threshold is chosen from the values of a tensor; best: of all methods, the one that the layers which read it and the whole network suffer least from; outputs as the boxes or classes say that `verify` reads from them. Vendor: run_calibration --cali_method (percentile: percentile9999).',
      }),
    ),
    percentile: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 100,
        default: 99.99,
        description:
          'For `method: percentile`: this share of |x|, in percent, stays below the threshold. Vendor: percentile9999 of run_calibration --cali_method.',
      }),
    ),
    tune_num: Type.Optional(
      count({
        default: 5,
        description:
          'Pictures on which the thresholds are tuned layer by layer; 0: no tuning. Vendor: run_calibration --tune_num.',
      }),
    ),
    equalize: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'true: before calibration, even out the channels between consecutive convs; the float network computes the same. Left out where it gains nothing. Vendor: none.',
      }),
    ),
    asymmetric: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'true: tensors whose values reach further to one side of 0 get a zero point, where what reads and writes them can have one: finer steps. Left out where it gains nothing. Vendor: model_deploy --asymmetric.',
      }),
    ),
    bias_correction: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'true: correct the biases of 8-bit convs by their mean error on calibration pictures. Left out where it gains nothing. Vendor: none.',
      }),
    ),
    table: Type.Optional(
      text({
        description:
          'A calibration table that exists already, in the vendor format: nothing is calibrated then. Vendor: model_deploy --calibration_table.',
        examples: ['yolov3_tiny_cali_table'],
      }),
    ),
  },
  { description: 'Where the thresholds of INT8 come from. Needed as soon as a variant is INT8.' },
)

const Target = section(
  {
    chip: Type.Optional(
      oneOf(['bm1684x'], { default: 'bm1684x', description: 'Vendor: model_deploy --chip (--processor).' }),
    ),
  },
  { description: 'What it is built for.' },
)

/** us and ms, or a multiple of the all-INT8 time. */
const latency = '^[0-9]+(\\.[0-9]+)? ?(us|ms|x)$'

const drop = (what: string) =>
  Type.Optional(
    Type.Unsafe<number | string>({
      type: ['number', 'string'],
      minimum: 0,
      maximum: 1,
      pattern: '^[0-9]+(\\.[0-9]+)?%$',
      title: 'a share such as 0.5% or 0.005',
      description: `How much lower ${what} may be than the float model's, on \`verify.validation\`. Vendor: none.`,
      examples: ['0.5%'],
    }),
  )

const Mix = section(
  {
    mode: Type.Optional(
      oneOf(['F32', 'F16', 'BF16', 'auto'], {
        default: 'F32',
        description:
          'What the layers that do not stay INT8 are computed in; auto: each in the one of the three that gains most for its time on the chip. Vendor: run_qtable --fp_type.',
      }),
    ),
    objective: Type.Optional(
      oneOf(['detection', 'sqnr', 'cosine'], {
        description:
          'The loss that is made small. detection: distance of the boxes from those of the float model, 0 to 1, no labels needed; sqnr: -SQNR of the outputs in dB; cosine: 1 - cosine of the outputs. Default: detection with a `verify.detector`, else sqnr. Vendor: sqnr in run_qtable, later --loss_table.',
      }),
    ),
    weights: Type.Optional(
      map<number>(
        { type: 'number', minimum: 0 },
        {
          minProperties: 1,
          description:
            'For sqnr and cosine: how much each output counts; those that are not named count 1. Default: the number of their elements. Vendor: none.',
          examples: [{ transpose_output1: 4, transpose_output: 1 }],
        },
      ),
    ),
    input_num: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: 10,
        description: 'Pictures of the data set on which losses are measured. Vendor: run_qtable --input_num.',
      }),
    ),
    min_improvement: Type.Optional(
      Type.Unsafe<number | string>({
        type: ['number', 'string'],
        minimum: 0,
        maximum: 1,
        pattern: '^([0-9]|[1-9][0-9])(\\.[0-9]+)?%$|^100%$',
        title: 'a share such as 5% or 0.05',
        default: '5%',
        description:
          'A layer, or a few neighbours together, are kept in float when that makes the loss better by this share of the all-INT8 loss, measured with what was chosen before. Default: 5%, with `target` 1%. Vendor: the 5% rule inside run_qtable.',
        examples: ['5%', 0.05],
      }),
    ),
    max_float_layers: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: 5,
        description:
          'At most so many layers, those that only move data included. Default: 5 (as the vendor: the ends of two heads, and one more); no limit where `max_latency` or `target` ends the search. Vendor: run_qtable --max_float_layers.',
        examples: [5],
      }),
    ),
    max_latency: Type.Optional(
      Type.String({
        pattern: latency,
        title: 'a time such as 80us or 0.08ms, or 1.3x of the INT8 time',
        description: 'The estimated time of the model on the chip is at most this. Default: no limit. Vendor: none.',
        examples: ['1.3x', '80us'],
      }),
    ),
    target: Type.Optional(
      section(
        {
          loss: Type.Optional(
            Type.Number({
              description:
                'Of the objective: 0.05 for boxes, -30 for an SQNR of 30 dB. Vendor: --expected_cos of later run_qtables.',
              examples: [0.05],
            }),
          ),
          map50_drop: drop('mAP at IoU 0.5'),
          map75_drop: drop('mAP at IoU 0.75'),
          map_drop: drop('the mean of the mAP at IoU 0.5 ... 0.95'),
        },
        {
          description:
            'One figure that is good enough: it is found for INT8 and after every step, and the search ends where it holds. Vendor: none.',
          examples: [{ map50_drop: '0.5%' }],
        },
      ),
    ),
    pick: Type.Optional(
      Type.Unsafe<number | string>({
        type: ['integer', 'string'],
        minimum: 0,
        pattern: `^best$|${latency}`,
        title: 'best, a number of float layers, or a time such as 1.2x or 80us',
        default: 'best',
        description:
          'Which point of the Pareto front is built: the one where the search ended, or the best with so many float layers or so much time. Vendor: none.',
        examples: [3, '1.2x'],
      }),
    ),
    order: Type.Optional(
      oneOf(['best-first', 'historical'], {
        default: 'best-first',
        description:
          'historical: the rule of the vendor tool before February 2023, which kept the layers that made the loss worst; for comparison with its results. Vendor: what run_qtable did.',
      }),
    ),
    loss_table: Type.Optional(
      oneOf(['ranked', 'exhaustive'], {
        description:
          'On how many pictures the table of losses measures every layer. ranked: on the first 2, as the search does to find what it measures on all; exhaustive: on all `input_num`, as the vendor. What is chosen is the same. Default: ranked, with `order: historical` exhaustive. Vendor: run_qtable is always exhaustive.',
      }),
    ),
    table: Type.Optional(
      text({
        description:
          'A quantize table written by hand or by the vendor tool: nothing is searched then. Vendor: model_deploy --quantize_table.',
        examples: ['yolov3_tiny_qtable'],
      }),
    ),
  },
  { description: 'Keep the layers that suffer most from INT8 in float. Vendor: run_qtable.' },
)

const Variant = section(
  {
    quantize: oneOf(['F32', 'F16', 'BF16', 'INT8'], {
      description: 'What layers are computed in. Vendor: model_deploy --quantize.',
    }),
    mix: Type.Optional(Mix),
    quant_input: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'The inputs of the .bmodel are 8 bit (or F16, BF16) as its first layer reads them, instead of float32 that is cast on the chip. Vendor: model_deploy --quant_input.',
      }),
    ),
    quant_output: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'The same for its outputs. Vendor: model_deploy --quant_output.',
      }),
    ),
  },
  { description: 'One compiled model. Vendor: one run of model_deploy.', examples: [{ quantize: 'INT8' }] },
)

const Store = section(
  {
    path: Type.Optional(
      text({
        default: '.quant/store',
        description:
          'Folder of the store; several projects may share one. The environment variable QUANT_STORE stands above it. Vendor: none.',
        examples: ['../store'],
      }),
    ),
    remote: Type.Optional(
      Type.String({
        pattern: '^https?://[^\\s/@?#]+(/[^\\s?#]*)?$',
        title: 'an http or https address without user, ? and #',
        description:
          'A server that speaks the HTTP cache protocol (/cas/, /ac/), as bazel-remote and nginx with WebDAV do. What the store lacks is asked for there. The environment variable QUANT_REMOTE stands above it; QUANT_REMOTE_TOKEN is sent as bearer token. Default: none. Vendor: none.',
        examples: ['http://cache.example:8080'],
      }),
    ),
    mode: Type.Optional(
      oneOf(['read-only', 'read-write'], {
        default: 'read-only',
        description: 'read-write: what is built here is uploaded, too. Vendor: none.',
      }),
    ),
    timeout: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 600,
        default: 5,
        description:
          'Seconds that waiting for the remote may cost in one build, beyond what its bytes take at 1 MB/s; then the build goes on without it. Vendor: none.',
      }),
    ),
  },
  { description: 'Where everything that was ever built is kept.' },
)

export const QuantYamlSchema = section(
  {
    model: Model,
    preprocess: Type.Optional(Preprocess),
    calibration: Type.Optional(Calibration),
    target: Type.Optional(Target),
    variants: Type.Optional(
      map<Static<typeof Variant>>(Variant, {
        minProperties: 1,
        propertyNames: { pattern: '^[A-Za-z][A-Za-z0-9_-]*$', title: 'a letter, then letters, digits and _ -' },
        default: { int8: { quantize: 'INT8' }, mix: { quantize: 'INT8', mix: {} } },
        description: 'The models to make, by a name of your own that becomes part of the file names. Vendor: none.',
      }),
    ),
    verify: Type.Optional(Verify),
    store: Type.Optional(Store),
    output: Type.Optional(
      text({ default: 'build', description: 'Folder for everything that is made. Vendor: -o, --mlir, --model.' }),
    ),
  },
  {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'quant.yaml',
    description: 'Paths are relative to the file.',
  },
)

/** quant.yaml as it is written: what the schema accepts. `Config` in `config.ts` is what the program works with. */
export type QuantYaml = Static<typeof QuantYamlSchema>
export type Figure = keyof Static<typeof Figures>
