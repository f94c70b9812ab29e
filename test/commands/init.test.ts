/** quant init: what is known is filled in, what is guessed is said to be a guess, and the file is always one that quant reads. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { guessNetwork } from '../../src/commands/init/guess.js'
import { initCommand } from '../../src/commands/init.js'
import { parseConfig } from '../../src/config/load.js'
import { onnxBuilder } from '../../src/ir/onnx/builder.js'
import { temporaryFolder } from '../engine/rig.js'
import { networks } from '../models/networks.js'
import { shared } from '../shared.js'
import { printed } from './process.js'

function folder(files: Record<string, string | Uint8Array>): string {
  const root = temporaryFolder()
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  return root
}

/** Runs init there; what it printed, the text of quant.yaml, and what quant reads in it. */
async function init(root: string, model: string) {
  const out = await printed(() => initCommand(model, { directory: root }))
  const text = readFileSync(join(root, 'quant.yaml'), 'utf8')
  return { out, text, config: parseConfig(text, 'quant.yaml').config }
}

/** One convolution per head over the whole picture, with the stride as its step. */
function heads(sizes: readonly [stride: number, channels: number][], { side = 64, tail = false } = {}): Uint8Array {
  const b = onnxBuilder('heads')
  b.input('images.0', [1, 3, side, side])
  for (const [index, [stride, channels]] of sizes.entries()) {
    const weight = b.weight(`w${index}`, [channels, 3, 1, 1], new Float32Array(channels * 3))
    const head = b.node('Conv', ['images.0', weight], `head${index}`, {
      kernel_shape: [1, 1],
      strides: [stride, stride],
    })
    const end = tail
      ? b.node(
          'Sigmoid',
          [b.node('Reshape', [head, b.weight(`s${index}`, [2], BigInt64Array.of(1n, -1n))], `flat${index}`)],
          `boxes${index}`,
        )
      : head
    b.output(end, tail ? [1, channels * (side / stride) ** 2] : [1, channels, side / stride, side / stride])
  }
  return b.finish()
}

test('two heads of 255 channels: tiny YOLOv3 with COCO, said to be a guess, pictures found beside it', async () => {
  const root = folder({
    'm.onnx': heads([
      [32, 255],
      [16, 255],
    ]),
    'images/a.jpg': '',
    'images/b.png': '',
    'docs/c.txt': '',
  })
  const { out, text, config } = await init(root, 'm.onnx')
  expect(config.model).toMatchObject({
    name: 'm',
    inputs: [{ name: 'images.0', shape: [1, 3, 64, 64] }],
    outputs: ['head0', 'head1'],
  })
  expect(config.verify.detector).toMatchObject({ kind: 'yolov3', classes: { kind: 'known', name: 'coco' } })
  expect(config.verify.detector!.anchors![0]).toEqual([81, 82, 135, 169, 344, 319])
  expect(config.calibration).toMatchObject({ dataset: 'images' })
  expect(config.verify.images).toEqual(['images/a.jpg'])
  expect(text).toMatch(/detector: # a guess/)
  expect(text).toMatch(/anchors: .*A guess/)
  expect(text).toContain('preprocess: # a guess')
  expect(out).toContain('detector, a guess: tiny YOLOv3: 2 heads of 255 = 3 anchors x (5 + 80 classes), stride 32, 16')
  expect(out).toContain('pictures: images, 2 files')
})

test('classes that have no list of names get places for names', async () => {
  const { config } = await init(
    folder({
      'm.onnx': heads([
        [16, 21],
        [32, 21],
      ]),
    }),
    'm.onnx',
  )
  expect(config.verify.detector!.classes).toEqual({ kind: 'list', names: ['class0', 'class1'] })
  expect(config.verify.detector!.anchors![0]).toEqual([10, 14, 23, 27, 37, 58])
})

test('heads behind which the file decodes: the network is ended at them', async () => {
  const { out, text, config } = await init(folder({ 'm.onnx': heads([[32, 125]], { tail: true }) }), 'm.onnx')
  expect(config.model.outputs).toEqual(['head0'])
  expect(config.verify.detector).toMatchObject({ kind: 'yolov2', classes: { kind: 'known', name: 'voc' } })
  expect(text).toContain('the raw heads; the file goes on')
  expect(out).toContain('outputs: the raw heads')
})

test('no detector: verify stays a comment, the rest stands', async () => {
  const { out, text, config } = await init(folder({ 'odd name!.onnx': heads([[8, 7]]) }), 'odd name!.onnx')
  expect(config.model.name).toBe('odd_name_')
  expect(config.verify.detector).toBeUndefined()
  expect(text).toContain('# verify:')
  expect(out).toContain('none recognised')
})

const shapes = (outputs: number[][], layers: string[] = [], side = 416) =>
  guessNetwork({ input: [1, 3, side, side], outputs, layers: new Set(layers), behind: new Set(['Exp']) })

test.each<[string, number[][], string[], string | undefined]>([
  [
    'NCHW',
    [
      [1, 255, 13, 13],
      [1, 255, 26, 26],
    ],
    [],
    'yolov3 80',
  ],
  [
    'NHWC',
    [
      [1, 13, 13, 255],
      [1, 26, 26, 255],
    ],
    [],
    'yolov3 80',
  ],
  [
    'an axis of anchors',
    [
      [1, 3, 52, 52, 85],
      [1, 3, 26, 26, 85],
      [1, 3, 13, 13, 85],
    ],
    ['SiLU'],
    'yolov5 80',
  ],
  [
    'three heads without SiLU',
    [
      [1, 75, 52, 52],
      [1, 75, 26, 26],
      [1, 75, 13, 13],
    ],
    [],
    'yolov3 20',
  ],
  ['one head, five anchors', [[1, 425, 13, 13]], [], 'yolov2 80'],
  [
    'one class',
    [
      [1, 18, 13, 13],
      [1, 18, 26, 26],
    ],
    [],
    'yolov3 1',
  ],
  [
    'heads that disagree',
    [
      [1, 255, 13, 13],
      [1, 75, 26, 26],
    ],
    [],
    undefined,
  ],
  [
    'no whole number of classes',
    [
      [1, 256, 13, 13],
      [1, 256, 26, 26],
    ],
    [],
    undefined,
  ],
  [
    'no class',
    [
      [1, 15, 13, 13],
      [1, 15, 26, 26],
    ],
    [],
    undefined,
  ],
  [
    'twice the same stride',
    [
      [1, 255, 13, 13],
      [1, 255, 13, 13],
    ],
    [],
    undefined,
  ],
  ['nothing', [], [], undefined],
])('%s', (_, outputs, layers, expected) => {
  const guess = shapes(outputs, layers)
  expect(guess && `${guess.kind} ${guess.classes}`).toBe(expected)
  if (guess) expect(guess.anchors).toHaveLength(outputs.length)
})

/** [1, c, h, w] at each stride of an input of 416 x 416, and so for every list of channels. */
const maps = (strides: number[], ...channels: number[]) =>
  channels.flatMap((count) => strides.map((stride) => [1, count, 416 / stride, 416 / stride]))

test.each<[string, number[][], string | undefined]>([
  ['YOLOv8 as exported', [[1, 84, 3549]], 'yolov8 80'],
  ['its heads', maps([8, 16, 32], 144), 'yolov8 80'],
  ['its convolutions, two classes', maps([8, 16, 32], 64, 2), 'yolov8 2'],
  ['YOLOX', maps([32, 16, 8], 85), 'yolox 80'],
  ['YOLOX, a row per box', [[1, 3549, 8]], 'yolox 3'],
  ['YOLOX, its convolutions', maps([8, 16, 32], 4, 1, 80), 'yolox 80'],
  ['YOLOv5 with its Detect layer', [[1, 10647, 85]], 'yolov5 80'],
  ['NanoDet', maps([8, 16, 32], 80, 32), 'nanodet 80'],
  ['NanoDet-Plus', [[1, 3598, 112]], 'nanodet-plus 80'],
  [
    'SSD',
    [
      [1, 4420, 2],
      [1, 4420, 4],
    ],
    'ssd 1',
  ],
  [
    'BlazeFace',
    [
      [1, 896, 16],
      [1, 896, 1],
    ],
    'blazeface 1',
  ],
  ['FastestDet', [[1, 85, 26, 26]], 'fastestdet 80'],
  ['a classifier', [[1, 1000]], 'classifier 1000'],
  ['a classifier without its flattening', [[1, 10, 1, 1]], 'classifier 10'],
  ['a batch', [[8, 1000]], undefined],
  ['one number', [[1, 1]], undefined],
  ['heads of three grids that disagree', [...maps([8, 16], 144), [1, 100, 13, 13]], undefined],
  ['rows that are no grids', [[1, 84, 3000]], undefined],
])('without anchors: %s', (_, outputs, expected) => {
  const guess = shapes(outputs)
  expect(guess && `${guess.kind} ${guess.classes}`).toBe(expected)
  expect(guess?.anchors).toBeUndefined()
})

test('anchors follow the order of the outputs', () => {
  const [a, b] = [
    shapes([
      [1, 255, 13, 13],
      [1, 255, 26, 26],
    ]),
    shapes([
      [1, 255, 26, 26],
      [1, 255, 13, 13],
    ]),
  ]
  expect(a!.anchors).toEqual(b!.anchors!.toReversed())
})

test('pictures are prepared as the family does it: bytes of OpenCV for YOLOX, as ImageNet for a classifier', async () => {
  const style = { opset: 12 }
  const root = folder({ 'x.onnx': networks['YOLOX-nano']!.make(style).bytes })
  expect((await init(root, 'x.onnx')).config.preprocess).toMatchObject({
    ...{
      pixelFormat: 'bgr',
      mean: [0, 0, 0],
      scale: [1, 1, 1],
      keepAspectRatio: true,
      padValue: 114,
      padType: 'normal',
    },
  })
  const { out, text, config } = await init(folder({ 'm.onnx': networks.ResNet!.make(style).bytes }), 'm.onnx')
  expect(config.preprocess).toMatchObject({ pixelFormat: 'rgb', keepAspectRatio: false })
  // Of the deviations of ImageNet, 58.395 of red is the largest.
  expect(1 / config.preprocess.scale[0]!).toBeCloseTo(58.395, 1)
  expect(1 / config.preprocess.scale[1]!).toBeCloseTo(57.12, 1)
  expect(config.preprocess.mean).toEqual([123.675, 116.28, 103.53])
  expect(out).toContain('  a guess: Classifier: 10 classes')
  expect(`${out}${text}`).not.toContain('detector')
  expect(text).not.toContain('raw heads')
})

test('a file that is no ONNX, or absent: told, and nothing is written', async () => {
  const root = folder({ 'cut.onnx': heads([[32, 255]]).slice(0, 99), 'empty.onnx': '' })
  for (const [model, code] of [
    ['cut.onnx', 'input'],
    ['empty.onnx', 'input'],
    ['gone.onnx', 'usage'],
  ])
    await expect(initCommand(model!, { directory: root })).rejects.toMatchObject({ code })
  expect(readdirSync(root).sort()).toEqual(['cut.onnx', 'empty.onnx'])
})

test('an existing quant.yaml is never touched', async () => {
  const root = folder({ 'm.onnx': heads([[32, 255]]), 'quant.yaml': 'mine' })
  await expect(initCommand('m.onnx', { directory: root })).rejects.toMatchObject({ code: 'usage' })
  expect(readFileSync(join(root, 'quant.yaml'), 'utf8')).toBe('mine')
})

const zoo = shared('zoo', 'models')
const models = zoo ? readdirSync(zoo).filter((name) => name.endsWith('.onnx')) : []
const kinds: Record<string, string> = {
  'yolo-fastest-1.1.onnx': 'yolov3 coco',
  'yolo-lite-coco.onnx': 'yolov2 coco',
  'yolo-lite-voc-bn.onnx': 'yolov2 voc',
  'yolov5n-320.onnx': 'yolov5 coco',
  'version-RFB-320.onnx': 'ssd ',
  'blazeface.onnx': 'blazeface ',
}
test.skipIf(models.length === 0)(
  'real networks: quant reads what was written, and the detectors are recognised',
  async () => {
    for (const model of models) {
      const { config } = await init(temporaryFolder(), join(zoo!, model))
      expect(config.model.inputs.every(({ shape }) => shape.length === 4)).toBe(true)
      const { detector, classifier } = config.verify
      expect(classifier?.classes).toEqual(model.startsWith('squeezenet') ? { kind: 'count', count: 1000 } : undefined)
      if (kinds[model])
        expect(`${detector?.kind} ${detector?.classes.kind === 'known' ? detector.classes.name : ''}`).toBe(
          kinds[model],
        )
    }
  },
)
