/** Every mistake has its text, its place and its way out; each is made by one edit of a file that is right. */
import { describe, expect, test } from 'vitest'
import { complaints, mistake, right } from './mistake.js'

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
