/** Settings that are right by themselves but not together. */
import { describe, expect, test } from 'vitest'
import { complaints, mistake, right } from './mistake.js'

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
