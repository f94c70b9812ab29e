/** Every mistake has its text, its place and its way out; each is made by one edit of a file that is right. */
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../src/config/load.js'
import { QuantError } from '../../src/errors.js'
import { formatError } from '../../src/show/error.js'

const right = `model:
  name: m
  path: m.onnx
  outputs: [a, b]
preprocess: { pixel_format: rgb, mean: [0, 0, 0] }
calibration:
  dataset: pics
  method: kl
variants:
  int8: { quantize: INT8 }
  mix: { quantize: INT8, mix: { min_improvement: 5% } }
verify:
  detector: { kind: yolov3, anchors: [[1, 2], [3, 4]], classes: coco }
  images: [x.jpg]
  require: { mix: { sqnr: ">= 20" } }
`

function complaints(text: string): string {
  try {
    parseConfig(text, 'quant.yaml')
  } catch (error) {
    expect(error).toBeInstanceOf(QuantError)
    return formatError(error)
  }
  return 'no complaints'
}

function mistake(title: string, was: string, now: string, expected: string[]) {
  test(title, () => {
    expect(right.split(was).length, 'the edit must change something').toBeGreaterThan(1)
    expect(complaints(right.replace(was, () => now)).split('\n')).toEqual(expected)
  })
}

test('the file that all cases start from is right', () => {
  expect(complaints(right)).toBe('no complaints')
})

describe('words that are not known', () => {
  mistake('a misspelt setting', '  method: kl', '  methd: kl', [
    'quant.yaml:8:3: `calibration.methd` is not a setting',
    '  8 |   methd: kl',
    '    |   ~~~~~',
    '  did you mean `method`? known: dataset, input_num, method, percentile, tune_num, equalize, asymmetric, bias_correction, table',
  ])
  mistake('a misspelt section', 'variants:', 'variant:', [
    'quant.yaml:9:1: `variant` is not a setting',
    '  9 | variant:',
    '    | ~~~~~~~',
    '  did you mean `variants`? known: model, preprocess, calibration, target, variants, verify, store, output',
  ])
  mistake('a misspelt section inside another', '  detector: {', '  detektor: {', [
    'quant.yaml:13:3: `verify.detektor` is not a setting',
    '  13 |   detektor: { kind: yolov3, anchors: [[1, 2], [3, 4]], classes: coco }',
    '     |   ~~~~~~~~',
    '  did you mean `detector`? known: detector, classifier, images, validation, require',
  ])
  mistake('a misspelt value', '  method: kl', '  method: percentil', [
    'quant.yaml:8:11: `percentil` is not a value of `calibration.method`',
    '  8 |   method: percentil',
    '    |           ~~~~~~~~~',
    '  did you mean `percentile`? known: kl, max, percentile, mse, best',
  ])
  mistake('a value in capitals', 'rgb', 'RGB', [
    'quant.yaml:5:29: `RGB` is not a value of `preprocess.pixel_format`',
    '  5 | preprocess: { pixel_format: RGB, mean: [0, 0, 0] }',
    '    |                             ~~~',
    '  did you mean `rgb`? known: rgb, bgr, gray',
  ])
  mistake('a value that the chip does not have', '{ quantize: INT8 }', '{ quantize: INT4 }', [
    'quant.yaml:10:21: `INT4` is not a value of `variants.int8.quantize`',
    '  10 |   int8: { quantize: INT4 }',
    '     |                     ~~~~',
    '  did you mean `INT8`? known: F32, F16, BF16, INT8',
  ])
  mistake('a misspelt required setting is one mistake, not two', '  name: m', '  nam: m', [
    'quant.yaml:2:3: `model.nam` is not a setting',
    '  2 |   nam: m',
    '    |   ~~~',
    '  did you mean `name`? known: name, path, url, sha256, inputs, outputs',
  ])
  mistake('a figure that does not exist', 'sqnr', 'map5', [
    'quant.yaml:15:21: `verify.require.mix.map5` is not a setting',
    '  15 |   require: { mix: { map5: ">= 20" } }',
    '     |                     ~~~~',
    '  did you mean `map50`? known: map50, map75, map, map50_drop, map75_drop, map_drop, recall, missed, extra, score_difference, mean_iou, top1, topk, top1_drop, topk_drop, top1_agreement, topk_agreement, sqnr',
  ])
  mistake('a gate for a variant that does not exist', '{ mix: { sqnr', '{ mx: { sqnr', [
    'quant.yaml:15:14: `mx` in `verify.require` is not a variant',
    '  15 |   require: { mx: { sqnr: ">= 20" } }',
    '     |              ~~',
    '  did you mean `mix`? known: int8, mix',
  ])
  mistake('a set of classes that is not known', 'classes: coco', 'classes: coca', [
    'quant.yaml:13:65: `coca` is no known set of classes',
    '  13 |   detector: { kind: yolov3, anchors: [[1, 2], [3, 4]], classes: coca }',
    '     |                                                                 ~~~~',
    '  did you mean `coco`? known: coco, voc; or a list of names; or a file such as classes.txt',
  ])
})

describe('values of the wrong kind', () => {
  mistake('a number in quotes', 'mean: [0, 0, 0]', 'mean: ["0", 0, 0]', [
    'quant.yaml:5:41: `preprocess.mean[0]` must be a number',
    '  5 | preprocess: { pixel_format: rgb, mean: ["0", 0, 0] }',
    '    |                                         ~~~',
    '  remove the quotes',
  ])
  mistake('one number where a list belongs', 'mean: [0, 0, 0]', 'mean: 0', [
    'quant.yaml:5:40: `preprocess.mean` must be a list',
    '  5 | preprocess: { pixel_format: rgb, mean: 0 }',
    '    |                                        ~',
    '  write `mean: [0]`',
  ])
  mistake('one name where a list belongs', '[a, b]', 'a', [
    'quant.yaml:4:12: `model.outputs` must be a list',
    '  4 |   outputs: a',
    '    |            ~',
    '  write `outputs: [a]`',
  ])
  mistake('a number where text belongs', '  dataset: pics', '  dataset: 12', [
    'quant.yaml:7:12: `calibration.dataset` must be text',
    '  7 |   dataset: 12',
    '    |            ~~',
    '  put it in quotes: "12"',
  ])
  mistake('nothing at all', '  dataset: pics', '  dataset:', [
    'quant.yaml:7:3: `calibration.dataset` has no value',
    '  7 |   dataset:',
    '    |   ~~~~~~~',
    '  for example `COCO2017`, or remove it',
  ])
  mistake('yes for true', 'preprocess: {', 'preprocess: { keep_aspect_ratio: yes,', [
    'quant.yaml:5:34: `preprocess.keep_aspect_ratio` must be true or false',
    '  5 | preprocess: { keep_aspect_ratio: yes, pixel_format: rgb, mean: [0, 0, 0] }',
    '    |                                  ~~~',
    '  write true',
  ])
  mistake('a word where a section belongs', '  int8: { quantize: INT8 }', '  int8: INT8', [
    'quant.yaml:10:9: `variants.int8` must be a section',
    '  10 |   int8: INT8',
    '     |         ~~~~',
    '  for example `{ quantize: INT8 }`',
  ])
  mistake('shapes in the form of the vendor flag', '  outputs: [a, b]', '  inputs: [[1, 3, 416, 416]]', [
    'quant.yaml:4:11: `model.inputs` must be a section',
    '  4 |   inputs: [[1, 3, 416, 416]]',
    '    |           ~~~~~~~~~~~~~~~~~~',
    '  for example `{ input_1: [1, 3, 416, 416] }`',
  ])
  mistake('infinity', '  method: kl', '  input_num: .inf', [
    'quant.yaml:8:14: `calibration.input_num` must be a whole number',
    '  8 |   input_num: .inf',
    '    |              ~~~~',
    '  for example `100`',
  ])
  mistake('half a picture', '  method: kl', '  input_num: 1.5', [
    'quant.yaml:8:14: `calibration.input_num` must be a whole number',
    '  8 |   input_num: 1.5',
    '    |              ~~~',
    '  for example `100`',
  ])
  mistake('a bare number as a condition', '">= 20"', '20', [
    'quant.yaml:15:27: `verify.require.mix.sqnr` must be text',
    '  15 |   require: { mix: { sqnr: 20 } }',
    '     |                           ~~',
    '  a comparison in quotes such as ">= 0.8" or "<= 1%"',
  ])
})

describe('values out of range', () => {
  mistake('two mistakes in one shape', '  outputs: [a, b]', '  inputs: { x: [1, 3, 4.5, -2] }', [
    'quant.yaml:4:23: `model.inputs.x[2]` must be a whole number',
    '  4 |   inputs: { x: [1, 3, 4.5, -2] }',
    '    |                       ~~~',
    '',
    'quant.yaml:4:28: `model.inputs.x[3]` is -2, but must be at least 1',
    '  4 |   inputs: { x: [1, 3, 4.5, -2] }',
    '    |                            ~~',
    '',
    '2 mistakes',
  ])
  mistake('less than no pictures', '  method: kl', '  input_num: -1', [
    'quant.yaml:8:14: `calibration.input_num` is -1, but must be at least 0',
    '  8 |   input_num: -1',
    '    |              ~~',
    '  for example `100`',
  ])
  mistake('a share above one', '5%', '5', [
    'quant.yaml:11:50: `variants.mix.mix.min_improvement` is 5, but must be at most 1',
    '  11 |   mix: { quantize: INT8, mix: { min_improvement: 5 } }',
    '     |                                                  ~',
    '  for example `5%`',
  ])
  mistake('more than everything', '5%', '120%', [
    'quant.yaml:11:50: `120%` cannot be `variants.mix.mix.min_improvement`',
    '  11 |   mix: { quantize: INT8, mix: { min_improvement: 120% } }',
    '     |                                                  ~~~~',
    '  a share such as 5% or 0.05',
  ])
  mistake('a share that is a word', '5%', 'five', [
    'quant.yaml:11:50: `five` cannot be `variants.mix.mix.min_improvement`',
    '  11 |   mix: { quantize: INT8, mix: { min_improvement: five } }',
    '     |                                                  ~~~~',
    '  a share such as 5% or 0.05',
  ])
  mistake('the same output twice', '[a, b]', '[a, a]', [
    'quant.yaml:4:16: `a` stands twice in `model.outputs`',
    '  4 |   outputs: [a, a]',
    '    |                ~',
    '  remove one of them',
  ])
  mistake('no outputs', '[a, b]', '[]', [
    'quant.yaml:4:12: `model.outputs` is empty',
    '  4 |   outputs: []',
    '    |            ~~',
    '  for example `[transpose_output1, transpose_output]`',
  ])
  mistake('a name that cannot be part of a file name', '  int8: {', '  8bit: {', [
    'quant.yaml:10:3: `8bit` cannot be a name in `variants`',
    '  10 |   8bit: { quantize: INT8 }',
    '     |   ~~~~',
    '  a letter, then letters, digits and _ -',
  ])
  mistake('a digest that is none', '  path: m.onnx', '  path: m.onnx\n  sha256: abc', [
    'quant.yaml:4:11: `abc` cannot be `model.sha256`',
    '  4 |   sha256: abc',
    '    |           ~~~',
    '  64 hex digits, as sha256sum prints them',
  ])
})

describe('things that are missing', () => {
  mistake('a required setting', '  name: m\n', '', [
    'quant.yaml:1:1: `model.name` is missing',
    '  1 | model:',
    '    | ~~~~~',
    '  add `name: yolov3_tiny`',
  ])
  mistake('any model', '  path: m.onnx\n', '', [
    'quant.yaml:1:1: `model.path` is missing',
    '  1 | model:',
    '    | ~~~~~',
    '  add `path: FILE.onnx`, or `url:` and `sha256:`',
  ])
  mistake('the digest of a download', '  path: m.onnx', '  url: http://example.org/m.onnx', [
    'quant.yaml:3:3: `model.sha256` is missing',
    '  3 |   url: http://example.org/m.onnx',
    '    |   ~~~',
    '  add the digest that `sha256sum` prints for the file',
  ])
  mistake('pictures to calibrate on', '  dataset: pics\n', '', [
    'quant.yaml:6:1: `calibration.dataset` is missing',
    '  6 | calibration:',
    '    | ~~~~~~~~~~~',
    '  add `dataset: FOLDER`, or `table: FILE`',
  ])
  mistake('calibration for INT8', 'calibration:\n  dataset: pics\n  method: kl\n', '', [
    'quant.yaml:7:21: variant `int8` is INT8, but `calibration` is missing',
    '  7 |   int8: { quantize: INT8 }',
    '    |                     ~~~~',
    '  add `calibration: { dataset: FOLDER }`',
    '',
    'quant.yaml:8:20: variant `mix` is INT8, but `calibration` is missing',
    '  8 |   mix: { quantize: INT8, mix: { min_improvement: 5% } }',
    '    |                    ~~~~',
    '  add `calibration: { dataset: FOLDER }`',
    '',
    '2 mistakes',
  ])
  mistake('labels for mAP', 'sqnr: ">= 20"', 'map50: ">= 20%"', [
    'quant.yaml:15:21: `map50` cannot be found without `verify.validation`',
    '  15 |   require: { mix: { map50: ">= 20%" } }',
    '     |                     ~~~~~',
    '  add `verify.validation`',
  ])
})

describe('settings that contradict each other', () => {
  mistake(
    'a path and an address',
    '  path: m.onnx',
    '  path: m.onnx\n  url: https://example.org/m.onnx\n  sha256: f715cc2d99740d22d312777e20d9de2b2ecdc250155be8fd3752ce7e8b823521',
    [
      'quant.yaml:4:3: `model.path` and `model.url` are both given',
      '  4 |   url: https://example.org/m.onnx',
      '    |   ~~~',
      '  keep the one that is meant',
    ],
  )
  mistake(
    'a digest without an address',
    '  path: m.onnx',
    '  path: m.onnx\n  sha256: f715cc2d99740d22d312777e20d9de2b2ecdc250155be8fd3752ce7e8b823521',
    [
      'quant.yaml:4:3: `model.sha256` has no effect without `model.url`',
      '  4 |   sha256: f715cc2d99740d22d312777e20d9de2b2ecdc250155be8fd3752ce7e8b823521',
      '    |   ~~~~~~',
      '  remove it',
    ],
  )
  mistake('two means for three channels', 'mean: [0, 0, 0]', 'mean: [0, 0]', [
    'quant.yaml:5:40: `preprocess.mean` has 2 entries, but rgb has 3 channels',
    '  5 | preprocess: { pixel_format: rgb, mean: [0, 0] }',
    '    |                                        ~~~~~~',
  ])
  mistake('three means for gray pictures', 'rgb', 'gray', [
    'quant.yaml:5:41: `preprocess.mean` has 3 entries, but gray has 1 channel',
    '  5 | preprocess: { pixel_format: gray, mean: [0, 0, 0] }',
    '    |                                         ~~~~~~~~~',
  ])
  mistake('a gray network fed with colours', '  outputs: [a, b]', '  inputs: { x: [1, 1, 64, 64] }', [
    'quant.yaml:5:29: `x` has 1 channel, but rgb has 3',
    '  5 | preprocess: { pixel_format: rgb, mean: [0, 0, 0] }',
    '    |                             ~~~',
    '  set `preprocess.pixel_format` to gray',
  ])
  mistake('a table and a way to make one, and a search without pictures', '  dataset: pics', '  table: t', [
    'quant.yaml:8:3: `calibration.method` has no effect beside `calibration.table`',
    '  8 |   method: kl',
    '    |   ~~~~~~',
    '  remove one of the two',
    '',
    'quant.yaml:11:26: variant `mix` searches layers on pictures, but `calibration.dataset` is missing',
    '  11 |   mix: { quantize: INT8, mix: { min_improvement: 5% } }',
    '     |                          ~~~',
    '  add `dataset: FOLDER` beside `calibration.table`, or give `mix.table`',
    '',
    '2 mistakes',
  ])
  mistake('a percentile for another method', '  method: kl', '  method: kl\n  percentile: 99', [
    'quant.yaml:9:3: `calibration.percentile` has no effect without `method: percentile` or `best`',
    '  9 |   percentile: 99',
    '    |   ~~~~~~~~~~',
    '  the method is kl',
  ])
  mistake('mix on a float variant', 'quantize: INT8, mix', 'quantize: F16, mix', [
    'quant.yaml:11:25: `mix` keeps layers of an INT8 model in float, but variant `mix` is F16',
    '  11 |   mix: { quantize: F16, mix: { min_improvement: 5% } }',
    '     |                         ~~~',
    '  write `quantize: INT8`, or remove `mix`',
  ])
  mistake('a quantize table and a limit for the search', 'min_improvement: 5%', 'table: q, max_float_layers: 3', [
    'quant.yaml:11:43: `max_float_layers` has no effect beside `mix.table`',
    '  11 |   mix: { quantize: INT8, mix: { table: q, max_float_layers: 3 } }',
    '     |                                           ~~~~~~~~~~~~~~~~',
    '  remove one of the two',
  ])
  mistake('a variant that is called like the float model', '  int8: {', '  onnx: {', [
    'quant.yaml:10:3: `onnx` cannot name a variant: it stands for the float model',
    '  10 |   onnx: { quantize: INT8 }',
    '     |   ~~~~',
    '  rename it',
  ])
  mistake('anchors for a kind that has none', 'kind: yolov3', 'kind: yolov8', [
    'quant.yaml:13:29: `verify.detector.anchors` has no meaning for yolov8',
    '  13 |   detector: { kind: yolov8, anchors: [[1, 2], [3, 4]], classes: coco }',
    '     |                             ~~~~~~~',
    '  remove it; it belongs to yolov2, yolov3, yolov4, yolov5, yolov7, ssd, yolo-fastestv2',
  ])
  mistake('no anchors for a kind that needs them', ', anchors: [[1, 2], [3, 4]]', '', [
    'quant.yaml:13:3: `verify.detector.anchors` is missing',
    '  13 |   detector: { kind: yolov3, classes: coco }',
    '     |   ~~~~~~~~',
    '  add `anchors: [[81, 82, 135, 169, 344, 319], [10, 14, 23, 27, 37, 58]]`: a list per output, from the training settings',
  ])
  mistake('raw heads of YOLOv5 without anchors', 'kind: yolov3, anchors: [[1, 2], [3, 4]]', 'kind: yolov5', [
    'quant.yaml:13:3: `verify.detector.anchors` is missing: yolov5 without anchors has one output that is decoded, but the model has 2',
    '  13 |   detector: { kind: yolov5, classes: coco }',
    '     |   ~~~~~~~~',
    '  add `anchors: [[w, h, w, h ...], ...]`, a list per output, or end the model at its decoded output',
  ])
  mistake('a YOLOv4 of three heads with two outputs', 'kind: yolov3', 'kind: yolov4, scale_x_y: [1.2, 1.1, 1.05]', [
    'quant.yaml:13:40: `verify.detector.scale_x_y` has 3 entries, but `anchors` has 2 lists',
    '  13 |   detector: { kind: yolov4, scale_x_y: [1.2, 1.1, 1.05], anchors: [[1, 2], [3, 4]], classes: coco }',
    '     |                                        ~~~~~~~~~~~~~~~~',
    '  a number per output, in the order of `model.outputs`',
  ])
  mistake('a detector and a classifier', '  images: [x.jpg]', '  classifier: { classes: 1000 }', [
    'quant.yaml:14:3: `verify.detector` and `verify.classifier` are both given',
    '  14 |   classifier: { classes: 1000 }',
    '     |   ~~~~~~~~~~',
    '  keep the one that the network is',
    '',
    'quant.yaml:15:21: `sqnr` cannot be found without `verify.images`',
    '  15 |   require: { mix: { sqnr: ">= 20" } }',
    '     |                     ~~~~',
    '  add `verify.images`',
    '',
    '2 mistakes',
  ])
  mistake('boxes without labels', '  images: [x.jpg]', '  validation: { images: v }', [
    'quant.yaml:14:3: `verify.validation.labels` is missing',
    '  14 |   validation: { images: v }',
    '     |   ~~~~~~~~~~',
    '  add `labels: FOLDER` of YOLO label files, or a COCO json file',
  ])
  mistake('accuracy of a detector', 'sqnr: ">= 20"', 'top1: ">= 0.7"', [
    'quant.yaml:15:21: `top1` cannot be found without `verify.validation`',
    '  15 |   require: { mix: { top1: ">= 0.7" } }',
    '     |                     ~~~~',
    '  add `verify.validation`',
  ])
  mistake(
    'boxes of a classifier',
    'detector: { kind: yolov3, anchors: [[1, 2], [3, 4]], classes: coco }',
    'classifier: { classes: [a, b] }\n  validation: { images: v, class_map: [1, 2, 3] }',
    [
      'quant.yaml:14:39: `verify.validation.class_map` has 3 entries, but the classifier has 2 classes',
      '  14 |   validation: { images: v, class_map: [1, 2, 3] }',
      '     |                                       ~~~~~~~~~',
      '  one label number per class',
    ],
  )
  mistake('anchors that are no pairs', '[3, 4]', '[3, 4, 5]', [
    'quant.yaml:13:47: `verify.detector.anchors[1]` has 3 numbers, but anchors are pairs',
    '  13 |   detector: { kind: yolov3, anchors: [[1, 2], [3, 4, 5]], classes: coco }',
    '     |                                               ~~~~~~~~~',
    '  width, height, width, height ...',
  ])
  mistake('anchors for one output of two', ', [3, 4]', '', [
    'quant.yaml:13:38: `verify.detector.anchors` has 1 list, but the model has 2 outputs',
    '  13 |   detector: { kind: yolov3, anchors: [[1, 2]], classes: coco }',
    '     |                                      ~~~~~~~~',
    '  one flat list per output: [[w, h, w, h, w, h], ...]',
  ])
  mistake('a share compared with a percentage', 'sqnr: ">= 20"', 'recall: ">= 90"', [
    'quant.yaml:15:29: `recall` is a share, 0 to 1, but is compared with 90',
    '  15 |   require: { mix: { recall: ">= 90" } }',
    '     |                             ~~~~~~~',
    '  write 90%, or the share itself',
  ])
  mistake(
    'labels without a detector',
    '  detector: { kind: yolov3, anchors: [[1, 2], [3, 4]], classes: coco }',
    '  validation: { images: v, labels: l }',
    [
      'quant.yaml:13:3: `verify.validation` needs `verify.detector` or `verify.classifier`',
      '  13 |   validation: { images: v, labels: l }',
      '     |   ~~~~~~~~~~',
      '  labels are compared with what the network finds',
    ],
  )
  mistake(
    'a class map of the wrong length',
    '  images: [x.jpg]',
    '  validation: { images: v, labels: l, class_map: [0, 1] }',
    [
      'quant.yaml:14:50: `verify.validation.class_map` has 2 entries, but the detector has 80 classes',
      '  14 |   validation: { images: v, labels: l, class_map: [0, 1] }',
      '     |                                                  ~~~~~~',
      '  one label number per class',
    ],
  )
})

describe('YAML', () => {
  mistake('a key twice', '  name: m', '  name: m\n  name: n', [
    'quant.yaml:3:3: `name` is given twice',
    '  3 |   name: n',
    '    |   ~~~~',
    '  remove one of the two',
  ])
  mistake('a comparison without quotes', '">= 20"', '>= 20', [
    'quant.yaml:15:27: a comparison must stand in quotes',
    '  15 |   require: { mix: { sqnr: >= 20 } }',
    '     |                           ~',
    '  for example ">= 0.8"',
  ])
  mistake('a tab', '  dataset: pics', '\tdataset: pics', [
    'quant.yaml:7:1: a tab cannot indent',
    '  7 |  dataset: pics',
    '    | ~',
    '  use spaces',
  ])
  mistake('an open bracket', '[x.jpg]', '[x.jpg', [
    'quant.yaml:15:3: not valid YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
    '  15 |   require: { mix: { sqnr: ">= 20" } }',
    '     |   ~',
  ])
  mistake('a second document', '  method: kl', '  method: kl\n---\nx: 1', [
    'quant.yaml:9:1: a second document begins here',
    '  9 | ---',
    '    | ~~~',
    '  remove the line `---`',
  ])
  mistake('an alias of nothing', '  dataset: pics', '  dataset: *pics', [
    'quant.yaml:7:12: `*pics` stands for nothing',
    '  7 |   dataset: *pics',
    '    |            ~~~~~',
    '  put `&pics` before it, or the text in quotes',
  ])
  mistake('a tag', '  dataset: pics', '  dataset: !!foo pics', [
    'quant.yaml:7:12: not a tag: unresolved tag: tag:yaml.org,2002:foo',
    '  7 |   dataset: !!foo pics',
    '    |            ~~~~~',
    '  remove it, or put the value in quotes',
  ])
})

describe('files that hold no settings', () => {
  test.each([
    [
      'nothing',
      '',
      [
        'quant.yaml:1:1: quant.yaml is empty',
        '  `quant init model.onnx` writes one to start from (remove this one first)',
      ],
    ],
    [
      'a comment',
      '# later',
      [
        'quant.yaml:1:1: quant.yaml is empty',
        '  `quant init model.onnx` writes one to start from (remove this one first)',
      ],
    ],
    [
      'a list',
      '- model',
      [
        'quant.yaml:1:1: quant.yaml holds no settings',
        '  1 | - model',
        '    | ~~~~~~~',
        '  write `model:` and below it `name: ...`',
      ],
    ],
    ['a bottomless pit', '['.repeat(20_000), undefined],
    ['an alias of itself', 'model: &m [*m]', undefined],
    [
      'a bomb of aliases',
      `a: &a [${'x,'.repeat(20)}]\nb: &b [${'*a,'.repeat(20)}]\nc: &c [${'*b,'.repeat(20)}]\nd: [${'*c,'.repeat(20)}]`,
      ['quant.yaml:1:1: quant.yaml has too many aliases', '  write it flat'],
    ],
  ])('%s', (_, text, expected) => {
    const said = complaints(text)
    expect(said).not.toBe('no complaints')
    if (expected) expect(said.split('\n')).toEqual(expected)
  })
})

test('mistakes in several places are all told at once, in the order of the file', () => {
  const text = right
    .replace('name: m', 'name: my net')
    .replace('method: kl', 'method: KLD')
    .replace('classes: coco', 'classes: []')
  expect(complaints(text).split('\n')).toEqual([
    'quant.yaml:2:9: `my net` cannot be `model.name`',
    '  2 |   name: my net',
    '    |         ~~~~~~',
    '  letters, digits and _ . -',
    '',
    'quant.yaml:8:11: `KLD` is not a value of `calibration.method`',
    '  8 |   method: KLD',
    '    |           ~~~',
    '  did you mean `kl`? known: kl, max, percentile, mse, best',
    '',
    'quant.yaml:13:65: `verify.detector.classes` is empty',
    '  13 |   detector: { kind: yolov3, anchors: [[1, 2], [3, 4]], classes: [] }',
    '     |                                                                 ~~',
    '  for example `coco`',
    '',
    '3 mistakes',
  ])
})

test('Windows line ends change no place and no text', () => {
  const text = right.replace('  method: kl', '  methd: kl')
  expect(complaints(text.replaceAll('\n', '\r\n'))).toBe(complaints(text))
})

describe('a search for mixed precision', () => {
  const mix = 'mix: { min_improvement: 5% } }'
  const said = (settings: string): string => complaints(right.replace(mix, () => `mix: { ${settings} } }`))
  test('the settings that fit together', () => {
    expect(said('mode: auto, max_latency: 1.3x, pick: 80us, target: { loss: 0.05 }')).toBe('no complaints')
    expect(said('objective: cosine, weights: { a: 2, b_Conv: 1 }, pick: 3, max_latency: 0.08 ms')).toBe('no complaints')
    expect(said('order: historical, mode: F16')).toBe('no complaints')
    expect(said('order: historical, loss_table: exhaustive')).toBe('no complaints')
    expect(said('loss_table: ranked, mode: auto')).toBe('no complaints')
  })
  test.each([
    ['max_latency: fast', '`fast` cannot be `variants.mix.mix.max_latency`', 'a time such as 80us or 0.08ms, or 1.3x'],
    ['pick: fastest', '`fastest` cannot be `variants.mix.mix.pick`', 'best, a number of float layers, or a time'],
    ['objective: speed', '`speed` is not a value of `variants.mix.mix.objective`', 'known: detection, sqnr, cosine'],
    ['weights: { a: 2 }', '`weights` has no effect with `objective: detection`', 'write `objective: sqnr`'],
    ['objective: sqnr, weights: { a: 0 }', 'every output in `weights` counts 0', 'give one of them a weight'],
    ['objective: sqnr, weights: { head0: 2 }', '`head0` is no output of the model', 'known: a, b'],
    ['max_latency: 0us', '`max_latency` must be more than 0', 'no program takes no time'],
    ['pick: 0.0x', '`pick` must be more than 0', 'no program takes no time'],
    ['target: { loss: 1, map_drop: 0.1 }', '`target` has 2 figures', 'one of loss, map50_drop'],
    ['target: { map50_drop: 1% }', '`map50_drop` cannot be found without', 'take `loss`, which needs no labels'],
    ['order: historical, pick: 3', '`pick` has no effect with `order: historical`', 'no settings but `mode`'],
    ['order: historical, mode: auto', '`mode: auto` has no effect with `order: historical`', 'no settings but `mode`'],
    ['order: historical, loss_table: ranked', '`order: historical` needs `loss_table: exhaustive`', 'the line can go'],
    ['loss_table: full', '`full` is not a value of `variants.mix.mix.loss_table`', 'known: ranked, exhaustive'],
    ['table: q, loss_table: ranked', '`loss_table` has no effect beside `mix.table`', 'remove one of the two'],
    ['table: q, objective: sqnr', '`objective` has no effect beside `mix.table`', 'remove one of the two'],
  ])('%s', (settings, message, hint) => {
    const text = said(settings)
    expect(text).toContain(message)
    expect(text).toContain(hint)
  })
})
