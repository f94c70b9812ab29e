/**
 * What may stand in quant.yaml, written once: the types come from here, and so does `schemas/quant.schema.json`
 * (`npm run schema`), which editors complete against and `load.ts` validates with. Importing TypeBox costs more than a whole
 * null build, so the program itself imports types from this file, never values.
 *
 * Names and units are the vendor's where a flag exists; each description ends with that flag. A `title` says in a few
 * words what a string must look like: it is the hint when the pattern does not match.
 */
import { type Static, Type } from 'typebox'

const oneOf = <const T extends readonly string[]>(values: T, options: { description: string; default?: T[number] }) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options })

/** An object in which every key is known. */
const section = <P extends Parameters<typeof Type.Object>[0]>(properties: P, options: object = {}) =>
  Type.Object(properties, { additionalProperties: false, ...options })

const map = <T>(values: object, options: object) =>
  Type.Unsafe<Record<string, T>>({ type: 'object', additionalProperties: values, ...options })

const text = (options: object) => Type.String({ minLength: 1, ...options })
const count = (options: object) => Type.Integer({ minimum: 0, ...options })
const share = (options: object) => Type.Number({ minimum: 0, maximum: 1, ...options })

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
      oneOf(['kl', 'max', 'percentile', 'mse'], {
        default: 'kl',
        description:
          'How a threshold is chosen from the values of a tensor. Vendor: run_calibration --cali_method (percentile: percentile9999).',
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

const Mix = section(
  {
    mode: Type.Optional(
      oneOf(['F32', 'F16', 'BF16'], {
        default: 'F32',
        description: 'What the layers that do not stay INT8 are computed in. Vendor: run_qtable --fp_type.',
      }),
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
          'A layer, or a few neighbours together, are kept in float when that makes the loss better by this share of the all-INT8 loss, measured with what was chosen before. The loss is the distance of the boxes from the float model when there is a `verify.detector`, else -SQNR in dB over the outputs. Vendor: the 5% rule inside run_qtable.',
        examples: ['5%', 0.05],
      }),
    ),
    max_float_layers: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: 5,
        description:
          'At most so many layers, those that only move data included. Default 5, as the vendor: the ends of two heads, and one more. Vendor: run_qtable --max_float_layers.',
        examples: [5],
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

const Detector = section(
  {
    kind: oneOf(['yolov3', 'yolov2', 'yolov5'], {
      description:
        'How boxes are read from the outputs (YOLO-Fastest is a yolov3). Vendor: which detect_* program is run.',
    }),
    anchors: Type.Array(Type.Array(Type.Number({ exclusiveMinimum: 0 }), { minItems: 2 }), {
      minItems: 1,
      description:
        'For each output, in the order of `model.outputs`: width, height, width, height ... in pixels of the input (for yolov2 too: cells times stride). Vendor: fixed in the detect_* programs.',
      examples: [
        [
          [81, 82, 135, 169, 344, 319],
          [10, 14, 23, 27, 37, 58],
        ],
      ],
    }),
    classes: Type.Unsafe<string | string[]>({
      type: ['string', 'array'],
      minLength: 1,
      minItems: 1,
      items: { type: 'string', minLength: 1 },
      description:
        'coco (80 names), voc (20 names), a list of names, or a file with one name per line, in the order of the outputs. Vendor: fixed in the detect_* programs (coco).',
      examples: ['coco', 'voc', 'classes.txt', ['person', 'car']],
    }),
    class_scores: Type.Optional(
      oneOf(['sigmoid', 'softmax'], {
        description:
          'How the scores of the classes are read. Default: softmax for yolov2, else sigmoid. Vendor: fixed in the detect_* programs.',
      }),
    ),
    score: Type.Optional(
      share({
        default: 0.5,
        description:
          'Boxes below it are not drawn, printed or compared with those of the float model. Vendor: detect_yolov3 --score_thres.',
      }),
    ),
    iou: Type.Optional(
      share({
        default: 0.5,
        description:
          'Of two boxes of a class that overlap more than this the weaker one goes. Vendor: detect_yolov3 --iou_thres.',
      }),
    ),
  },
  { description: 'How detections are read from the outputs. Vendor: detect_yolov3, detect_yolov5.' },
)

const Validation = section(
  {
    images: text({
      description: 'A folder of pictures that have labels. Vendor: none.',
      examples: ['COCO2017'],
    }),
    labels: text({
      description:
        'A folder of YOLO label files (one txt per picture: `class cx cy w h`) or one COCO json file. Vendor: none.',
      examples: ['COCO2017/labels', 'instances_val2017.json'],
    }),
    class_map: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0 }), {
        minItems: 1,
        uniqueItems: true,
        description:
          'For each class of the detector the number it has in the labels; labels of other classes do not count. Default: 0, 1, 2 ... Vendor: none.',
        examples: [[4, 1, 14, 8, 39, 5, 2, 15, 56, 19, 60, 16, 17, 3, 0, 58, 18, 57, 6, 62]],
      }),
    ),
  },
  { description: 'Labelled pictures: gives mAP for the float model and for every variant.' },
)

const condition = (what: string) =>
  Type.Optional(
    Type.String({
      pattern: '^(>=|<=|>|<)\\s*-?[0-9]+(\\.[0-9]+)?%?$',
      title: 'a comparison in quotes such as ">= 0.8" or "<= 1%"',
      description: `${what} Vendor: none.`,
      examples: ['>= 0.8'],
    }),
  )

/** The figures that `verify` finds for a variant. */
const Figures = section(
  {
    map50: condition('mAP at IoU 0.5 on `validation`, 0 to 1.'),
    map75: condition('mAP at IoU 0.75.'),
    map: condition('Mean of the mAP at IoU 0.5, 0.55 ... 0.95.'),
    map50_drop: condition('map50 of the float model minus map50 of the variant.'),
    map75_drop: condition('The same for map75.'),
    map_drop: condition('The same for map.'),
    recall: condition('Share of the boxes of the float model that the variant finds too (same class, IoU 0.5).'),
    missed: condition('Boxes of the float model that the variant does not find.'),
    extra: condition('Boxes of the variant that the float model does not have.'),
    score_difference: condition('Mean difference between the scores of matching boxes.'),
    mean_iou: condition('Mean IoU of matching boxes.'),
    sqnr: condition('Signal to quantization noise of the outputs against the float model, in dB, mean over pictures.'),
  },
  { examples: [{ map50_drop: '<= 0.01' }] },
)

const Verify = section(
  {
    detector: Type.Optional(Detector),
    images: Type.Optional(
      Type.Array(text({}), {
        minItems: 1,
        uniqueItems: true,
        description: 'Pictures, or folders of pictures, to draw the boxes on. Vendor: detect_yolov3 --input.',
        examples: [['COCO2017/000000124798.jpg']],
      }),
    ),
    validation: Type.Optional(Validation),
    require: Type.Optional(
      map<Static<typeof Figures>>(Figures, {
        description: 'Per variant, what must hold: otherwise the build fails. Vendor: none (nearest: --tolerance).',
        examples: [{ mix: { map50_drop: '<= 0.01' } }],
      }),
    ),
  },
  { description: 'Judge every variant by what it detects, beside the float model.' },
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
