/** Every kind of detector against decoders written in NumPy from the published formulas (`data/decoders.py`), and real face detectors. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { candidates } from '../../src/detect/decode/candidates.js'
import { detect } from '../../src/detect/detect.js'
import type { DetectorSpec } from '../../src/detect/types.js'
import { emitOnnx } from '../../src/ir/emit.js'
import type { Preprocess, Tensor } from '../../src/ir/graph.js'
import { importOnnx } from '../../src/ir/onnx/import.js'
import { loadSample } from '../../src/preprocess/sample.js'
import { openSession } from '../../src/runtime/session.js'
import { shared } from '../shared.js'

interface Stored {
  readonly shape: number[]
  /** Base64: int8 times 1/16, or little-endian float32. */
  readonly sixteenths?: string
  readonly floats?: string
}

interface Case {
  readonly name: string
  readonly spec: Omit<DetectorSpec, 'iou'>
  readonly input: number[]
  readonly outputs: Stored[]
  readonly score: number
  /** Class, score, x0, y0, x1, y1. */
  readonly found: number[][]
}

const cases = JSON.parse(readFileSync(new URL('data/decoders.json', import.meta.url), 'utf8')) as Case[]

function tensor({ shape, sixteenths, floats }: Stored): Tensor {
  const bytes = Buffer.from(sixteenths ?? floats!, 'base64')
  const data = sixteenths
    ? Float32Array.from(new Int8Array(bytes), (value) => value / 16)
    : Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
  return { shape, data }
}

const sorted = (rows: number[][]) => [...rows].sort((a, b) => a[1]! - b[1]! || a[2]! - b[2]!)

describe('finds the boxes of the reference, of', () => {
  it.each(cases.map((one) => [one.name, one] as const))('%s', (_, { spec, input, outputs, score, found }) => {
    const boxes = candidates(outputs.map(tensor), { ...spec, iou: 0.5 }, input, score)
    const rows = boxes.map((box) => [box.classId, box.score, box.x0, box.y0, box.x1, box.y1])
    const near = ([classId, ...numbers]: number[]) => [
      classId,
      ...numbers.map((value) => expect.toSatisfy((got: number) => Math.abs(got - value) < 2e-3)),
    ]
    expect(found.length).toBeGreaterThan(8)
    expect(sorted(rows)).toEqual(sorted(found).map(near))
  })
})

const named = (name: string) => cases.find((one) => one.name === name)!

describe('outputs', () => {
  it('may stand in any order where their sizes tell them apart', () => {
    for (const name of ['yolov8, a map per grid', 'yolox, the heads apart', 'nanodet-plus, scores and boxes apart']) {
      const { spec, input, outputs, score } = named(name)
      const full = { ...spec, iou: 0.5 }
      const forwards = candidates(outputs.map(tensor), full, input, score)
      expect(forwards.length).toBeGreaterThan(8)
      expect(candidates(outputs.map(tensor).reverse(), full, input, score)).toEqual(forwards)
    }
  })

  it('of a network whose classes are as many as the numbers of its box: boxes stand first', () => {
    // 4 bins per side and 16 classes: both outputs have 16 channels.
    const box = new Float32Array(16 * 4).fill(-30)
    // Grid 2 x 2 of stride 16; all four distances are 1 cell.
    for (let side = 0; side < 4; side++) box.fill(30, (4 * side + 1) * 4, (4 * side + 2) * 4)
    const scores = new Float32Array(16 * 4).fill(-30)
    scores[5 * 4 + 3] = 30
    const spec: DetectorSpec = { kind: 'yolov8', classes: Array.from({ length: 16 }, (_, i) => `c${i}`), iou: 0.5 }
    const shape = [1, 16, 2, 2]
    const outputs = [
      { shape, data: box },
      { shape, data: scores },
    ]
    expect(candidates(outputs, spec, [1, 3, 32, 32], 0.5)).toEqual([
      { classId: 5, score: expect.closeTo(1, 6), x0: 8, y0: 8, x1: 40, y1: 40 },
    ])
  })

  const mistake = (spec: Omit<DetectorSpec, 'iou'>, shapes: number[][], expected: string | RegExp) => {
    const outputs = shapes.map((shape) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }))
    expect(() => candidates(outputs, { ...spec, iou: 0.5 }, [1, 3, 64, 64], 0.5)).toThrow(expected)
  }

  it('that do not fit are refused, with what was expected and from which setting', () => {
    const classes = ['a', 'b', 'c']
    mistake(
      { kind: 'yolox', classes },
      [[1, 9, 8, 8]],
      'outputs of [1, 9, 8, 8] are not those of yolox for an input of 64 x 64: expected are 4 (the box) + 1 (objectness) + 3 (detector.classes) numbers per box, in one output or one for each of these',
    )
    // 61 - 3 is no multiple of 4.
    mistake(
      { kind: 'yolov8', classes },
      [[1, 61, 8, 8]],
      'expected are n (the box, a multiple of 4) + 3 (detector.classes)',
    )
    mistake({ kind: 'yolov8', classes }, [[1, 8, 84]], 'are not those of yolov8')
    mistake(
      { kind: 'ssd', classes: ['a'], anchors: [[8, 8, 16, 16]] },
      [
        [1, 2, 8, 8],
        [1, 4, 8, 8],
      ],
      'each times 2 boxes per cell (detector.anchors)',
    )
    mistake({ kind: 'ssd', classes }, [[1, 10, 4]], /4 \(background and detector.classes\) \+ 4 \(the box\)/)
    mistake({ kind: 'yolox', classes, strides: [7] }, [[1, 8, 8, 8]], 'in grids of stride 7 (detector.strides)')
    mistake(
      { kind: 'yolov8', classes },
      [
        [1, 67, 8, 8],
        [1, 5],
      ],
      'are not those of yolov8',
    )
    mistake({ kind: 'yolov5', classes }, [[1, 9, 9]], 'are not those of yolov5')
  })

  it('with NaN in them give no box there', () => {
    for (const kind of ['yolox', 'fastestdet', 'yolov8'] as const) {
      const channels = kind === 'yolov8' ? 4 + 3 : 5 + 3
      const output = { shape: [1, channels, 4, 4], data: new Float32Array(channels * 16).fill(NaN) }
      expect(candidates([output], { kind, classes: ['a', 'b', 'c'], iou: 0.5 }, [1, 3, 64, 64], 0.1)).toEqual([])
    }
  })
})

describe('a real face detector finds on a photo what is published', () => {
  const find = async (
    model: string,
    input: { name: string; shape: number[]; preprocess: Preprocess },
    spec: DetectorSpec,
    photo: string[],
    score: number,
    outputs?: string[],
  ) => {
    const path = shared('zoo', 'models', model)!
    const graph = importOnnx(readFileSync(path), { file: path, name: model, ...(outputs ? { outputs } : {}) })
    const session = await openSession(emitOnnx(graph, { outputs: graph.outputs }), path)
    const file = shared('zoo', 'images', ...photo)!
    const { feeds, fit } = await loadSample(readFileSync(file), file, [input])
    const results = await session.run(feeds)
    await session.release()
    const found = graph.outputs.map((name) => results.get(name)!)
    return detect(found, spec, { inputShape: input.shape, fit: fit!, score })
  }
  const near = (value: number, by: number) => expect.toSatisfy((got: number) => Math.abs(got - value) <= by)
  const rgb = (mean: number, scale: number, keepAspectRatio: boolean): Preprocess => ({
    pixelFormat: 'rgb',
    mean: [mean, mean, mean],
    scale: [scale, scale, scale],
    keepAspectRatio,
    padValue: 0,
    padType: 'center',
  })

  it.skipIf(!shared('zoo', 'models', 'version-RFB-320.onnx'))('version-RFB-320, as ssd', async () => {
    const input = { name: 'input', shape: [1, 3, 240, 320], preprocess: rgb(127, 1 / 128, false) }
    const spec: DetectorSpec = { kind: 'ssd', classes: ['face'], iou: 0.3 }
    const photo = ['misc', 'parade.jpg']
    const faces = await find('version-RFB-320.onnx', input, spec, photo, 0.6)
    const published = `0.977 717.4 282.5 740.9 313.8
      0.951 27.1 315.2 46.5 339.1
      0.943 362.9 328.3 379.9 350.6
      0.868 749.7 165.5 770.3 191.1
      0.865 850.7 271.9 886.6 319.3
      0.847 85.8 330.5 100.5 348.8
      0.833 328.7 300.5 344.2 320.5
      0.773 438.8 289.5 455.4 311.0
      0.759 476.6 142.2 489.9 159.9
      0.757 281.9 318.2 296.3 336.3
      0.742 203.8 291.7 218.4 310.8
      0.674 558.6 290.7 575.8 313.4
      0.652 134.1 310.5 147.1 327.2
      0.622 682.4 304.9 708.9 337.9`
    expect(faces.map(({ score, x0, y0, x1, y1 }) => [score, x0, y0, x1, y1])).toEqual(
      published.split('\n').map((line) => {
        const [score, ...corners] = line.trim().split(' ').map(Number)
        return [near(score!, 0.001), ...corners.map((corner) => near(corner, 0.1))]
      }),
    )
  })

  it.skipIf(!shared('zoo', 'models', 'version-RFB-320.onnx'))(
    'and its raw heads the same as its own decoding',
    async () => {
      const input = { name: 'input', shape: [1, 3, 240, 320], preprocess: rgb(127, 1 / 128, false) }
      const spec: DetectorSpec = { kind: 'ssd', classes: ['face'], iou: 0.3 }
      const anchors = [
        [10, 10, 16, 16, 24, 24],
        [32, 32, 48, 48],
        [64, 64, 96, 96],
        [128, 128, 192, 192, 256, 256],
      ]
      const heads = ['317', '331', '363', '377', '403', '417', '435', '447']
      for (const photo of ['parade.jpg', 'Aaron_Eckhart_0001.jpg']) {
        const decoded = await find('version-RFB-320.onnx', input, spec, ['misc', photo], 0.3)
        const ours = await find('version-RFB-320.onnx', input, { ...spec, anchors }, ['misc', photo], 0.3, heads)
        expect(decoded.length).toBeGreaterThan(0)
        expect(ours).toEqual(
          decoded.map((box) => ({
            ...{ classId: 0, score: near(box.score, 1e-4), x0: near(box.x0, 0.01), y0: near(box.y0, 0.01) },
            ...{ x1: near(box.x1, 0.01), y1: near(box.y1, 0.01) },
          })),
        )
      }
    },
  )

  it.skipIf(!shared('zoo', 'models', 'blazeface.onnx'))('blazeface', async () => {
    const input = { name: 'x.1', shape: [1, 3, 128, 128], preprocess: rgb(127.5, 1 / 127.5, true) }
    const spec: DetectorSpec = { kind: 'blazeface', classes: ['face'], iou: 0.3 }
    const [face, ...others] = await find('blazeface.onnx', input, spec, ['misc', 'Aaron_Eckhart_0001.jpg'], 0.75)
    expect(others).toEqual([])
    // Published without clipping and with another filter for resizing; the photo ends at 112.
    expect(face).toMatchObject({
      score: near(1, 0.001),
      x0: near(2.7, 1),
      y0: near(14.2, 1),
      x1: near(106.8, 1),
      y1: 112,
    })
    expect(await find('blazeface.onnx', input, spec, ['misc', 'parade.jpg'], 0.75)).toEqual([])
  })
})
