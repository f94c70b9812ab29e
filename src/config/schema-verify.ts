/** What may stand in `verify`: part of `schema.ts`, where the rules for descriptions and units stand. */
import { type Static, Type } from 'typebox'
import { type Kind, kindNames, kindsWith } from './kinds.js'
import { map, oneOf, section, share, text } from './schema-words.js'

const Detector = section(
  {
    kind: Type.Unsafe<Kind>({
      type: 'string',
      enum: kindNames,
      description:
        'How boxes are read from the outputs; quant.yaml.example says what each kind is. Vendor: which detect_* program is run.',
    }),
    anchors: Type.Optional(
      Type.Array(Type.Array(Type.Number({ exclusiveMinimum: 0 }), { minItems: 2 }), {
        minItems: 1,
        description: `Width, height, width, height ... in pixels of the input (for yolov2 too: cells times stride): for each output, in the order of \`model.outputs\`; for ssd the priors of each grid, for yolo-fastestv2 its anchors, the finest first. Of ${kindsWith('anchors').join(', ')}. Vendor: fixed in the detect_* programs.`,
        examples: [
          [
            [81, 82, 135, 169, 344, 319],
            [10, 14, 23, 27, 37, 58],
          ],
        ],
      }),
    ),
    scale_x_y: Type.Optional(
      Type.Array(Type.Number({ minimum: 1 }), {
        minItems: 1,
        description: `For each output how far centres may move, as its cfg file says; ${kindsWith('scale_x_y').join(', ')} only. Vendor: none.`,
        examples: [[1.2, 1.1, 1.05]],
      }),
    ),
    strides: Type.Optional(
      Type.Array(Type.Integer({ minimum: 1 }), {
        minItems: 1,
        uniqueItems: true,
        description: `Pixels of the input per cell, finest grid first. Of ${kindsWith('strides').join(', ')}. Default: as the sizes of the grids say. Vendor: none.`,
        examples: [[8, 16, 32]],
      }),
    ),
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
      oneOf(['sigmoid', 'softmax', 'none'], {
        description:
          'How scores are read: none, when they are 0 to 1 already. Default: softmax for yolov2 and the heads of ssd; none where the network gives a row per box, and for maps of fastestdet and yolo-fastestv2 that hold all parts; else sigmoid. Vendor: fixed in the detect_* programs.',
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

const Classifier = section(
  {
    classes: Type.Unsafe<number | string | string[]>({
      type: ['integer', 'string', 'array'],
      minimum: 2,
      minLength: 1,
      minItems: 2,
      items: { type: 'string', minLength: 1 },
      description:
        'A file with one name per line, a list of names, or how many classes there are, in the order of the output. Vendor: none.',
      examples: ['synset.txt', 1000, ['cat', 'dog']],
    }),
    top: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 20,
        default: 5,
        description: 'So many of the best classes are printed, drawn, and looked at for top-k figures. Vendor: none.',
      }),
    ),
  },
  {
    description:
      'The network names what a picture shows: its one output is a number per class. Instead of `detector`. Vendor: none.',
  },
)

const Validation = section(
  {
    images: text({
      description: 'A folder of pictures that have labels. Vendor: none.',
      examples: ['COCO2017'],
    }),
    labels: Type.Optional(
      text({
        description:
          'Of a detector: a folder of YOLO label files (one txt per picture: `class cx cy w h`) or one COCO json file. Of a classifier: a text file with a line `picture class` each, the class by name or number; without it pictures lie in folders that are called as their class. Vendor: none.',
        examples: ['COCO2017/labels', 'instances_val2017.json', 'val.txt'],
      }),
    ),
    class_map: Type.Optional(
      Type.Array(Type.Integer({ minimum: 0 }), {
        minItems: 1,
        uniqueItems: true,
        description:
          'For each class of the network the number it has in the labels; labels of other classes do not count. Default: 0, 1, 2 ... Vendor: none.',
        examples: [[4, 1, 14, 8, 39, 5, 2, 15, 56, 19, 60, 16, 17, 3, 0, 58, 18, 57, 6, 62]],
      }),
    ),
  },
  {
    description:
      'Labelled pictures: gives mAP, or the accuracy of a classifier, for the float model and for every variant.',
  },
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
export const Figures = section(
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
    top1: condition('Of a classifier: share of the pictures of `validation` whose best class is right.'),
    topk: condition('Share of those with the right class among the best `classifier.top`.'),
    top1_drop: condition('top1 of the float model minus top1 of the variant.'),
    topk_drop: condition('The same for topk.'),
    top1_agreement: condition('Share of all pictures whose best class is that of the float model.'),
    topk_agreement: condition('Share of those with the best class of the float model among the best `classifier.top`.'),
    sqnr: condition('Signal to quantization noise of the outputs against the float model, in dB, mean over pictures.'),
  },
  { examples: [{ map50_drop: '<= 0.01' }] },
)

export const Verify = section(
  {
    detector: Type.Optional(Detector),
    classifier: Type.Optional(Classifier),
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
