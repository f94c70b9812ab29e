import { describe, expect, it } from 'vitest'
import { candidates } from '../../src/detect/decode/candidates.js'
import { detect } from '../../src/detect/detect.js'
import type { DetectorSpec } from '../../src/detect/types.js'
import type { Tensor } from '../../src/ir/graph.js'
import { random } from './random.js'

const ROWS = 3
const COLUMNS = 4
const INPUT = [1, 3, 96, 128]
const ANCHORS = [10, 20, 30, 15]
const spec = (kind: DetectorSpec['kind'], classScores: DetectorSpec['classScores'] = 'sigmoid'): DetectorSpec => ({
  kind,
  anchors: [ANCHORS],
  classes: ['a', 'b', 'c'],
  classScores,
  iou: 0.5,
})

/** One number for each (anchor, row, column, field), in a layout. */
const LAYOUTS = {
  '[1, a * (5 + c), h, w]': {
    shape: [1, 16, ROWS, COLUMNS],
    at: (a: number, y: number, x: number, f: number) => ((a * 8 + f) * ROWS + y) * COLUMNS + x,
  },
  '[1, h, w, a * (5 + c)]': {
    shape: [1, ROWS, COLUMNS, 16],
    at: (a: number, y: number, x: number, f: number) => (y * COLUMNS + x) * 16 + a * 8 + f,
  },
  '[1, a, h, w, 5 + c]': {
    shape: [1, 2, ROWS, COLUMNS, 8],
    at: (a: number, y: number, x: number, f: number) => ((a * ROWS + y) * COLUMNS + x) * 8 + f,
  },
} as const

function head(layout: keyof typeof LAYOUTS, value: (a: number, y: number, x: number, f: number) => number): Tensor {
  const { shape, at } = LAYOUTS[layout]
  const data = new Float32Array(2 * ROWS * COLUMNS * 8)
  for (let a = 0; a < 2; a++)
    for (let y = 0; y < ROWS; y++)
      for (let x = 0; x < COLUMNS; x++) for (let f = 0; f < 8; f++) data[at(a, y, x, f)] = value(a, y, x, f)
  return { shape, data }
}

const only = (a: number, y: number, x: number, fields: number[]) => (a2: number, y2: number, x2: number, f: number) =>
  a === a2 && y === y2 && x === x2 ? fields[f]! : f === 4 ? -50 : 0

/** The formulas once more, without any shortcut. */
function slowly(raw: Tensor, kind: DetectorSpec['kind'], classScores: string, least: number) {
  const { at } = LAYOUTS['[1, h, w, a * (5 + c)]']
  const s = (x: number) => 1 / (1 + Math.exp(-x))
  const found: object[] = []
  for (let a = 0; a < 2; a++)
    for (let y = 0; y < ROWS; y++)
      for (let x = 0; x < COLUMNS; x++) {
        const v = Array.from({ length: 8 }, (_, f) => raw.data[at(a, y, x, f)]!)
        const sum = Math.exp(v[5]!) + Math.exp(v[6]!) + Math.exp(v[7]!)
        const five = kind === 'yolov5'
        const cx = 32 * (five ? 2 * s(v[0]!) - 0.5 + x : s(v[0]!) + x)
        const cy = 32 * (five ? 2 * s(v[1]!) - 0.5 + y : s(v[1]!) + y)
        const w = ANCHORS[2 * a]! * (five ? (2 * s(v[2]!)) ** 2 : Math.exp(v[2]!))
        const h = ANCHORS[2 * a + 1]! * (five ? (2 * s(v[3]!)) ** 2 : Math.exp(v[3]!))
        for (let classId = 0; classId < 3; classId++) {
          const logit = v[5 + classId]!
          const score = s(v[4]!) * (classScores === 'softmax' ? Math.exp(logit) / sum : s(logit))
          if (score <= least) continue
          const near = (value: number) => expect.closeTo(value, 8)
          found.push({
            x0: near(cx - w / 2),
            y0: near(cy - h / 2),
            x1: near(cx + w / 2),
            y1: near(cy + h / 2),
            score: near(score),
            classId,
          })
        }
      }
  return found
}

describe('a raw head', () => {
  it('holds a box where the formula of YOLOv3 says', () => {
    // sigmoid(0) = 1/2: the middle of cell (row 1, column 2) of 32 x 32 pixels; exp(ln 2) doubles the anchor's width.
    const raw = head('[1, a * (5 + c), h, w]', only(1, 1, 2, [0, 0, Math.log(2), 0, 50, -50, 0, -50]))
    expect(candidates([raw], spec('yolov3'), INPUT, 0.4)).toEqual([
      {
        x0: expect.closeTo(80 - 30, 4),
        y0: 48 - 7.5,
        x1: expect.closeTo(80 + 30, 4),
        y1: 48 + 7.5,
        score: 0.5,
        classId: 1,
      },
    ])
  })

  it('holds a box where the formula of YOLOv5 says', () => {
    // 2 * 0.5 - 0.5: the middle of the cell; (2 * 0.5)^2 = 1: the anchor itself.
    const raw = head('[1, h, w, a * (5 + c)]', only(0, 2, 0, [0, 0, 0, 0, 0, 50, -50, -50]))
    expect(candidates([raw], spec('yolov5'), INPUT, 0.4)).toEqual([
      { x0: 16 - 5, y0: 80 - 10, x1: 16 + 5, y1: 80 + 10, score: 0.5, classId: 0 },
    ])
  })

  for (const [kind, classScores] of [
    ['yolov3', 'sigmoid'],
    ['yolov2', 'softmax'],
    ['yolov5', 'sigmoid'],
  ] as const)
    it(`gives every (box, class) pair above the score, in each layout: ${kind}, ${classScores}`, () => {
      const next = random(7)
      const values = Array.from({ length: 2 * ROWS * COLUMNS * 8 }, () => (next() - 0.5) * 8)
      const value = (a: number, y: number, x: number, f: number) => values[((a * ROWS + y) * COLUMNS + x) * 8 + f]!
      const expected = slowly(head('[1, h, w, a * (5 + c)]', value), kind, classScores, 0.2)
      expect(expected.length).toBeGreaterThan(15)
      for (const layout of Object.keys(LAYOUTS) as (keyof typeof LAYOUTS)[])
        expect(candidates([head(layout, value)], spec(kind, classScores), INPUT, 0.2), layout).toEqual(expected)
    })

  it('with NaN in it gives no box there', () => {
    const raw = head('[1, a, h, w, 5 + c]', only(0, 0, 0, [0, 0, 0, 0, NaN, 50, 50, 50]))
    expect(candidates([raw], spec('yolov3'), INPUT, 0.1)).toEqual([])
  })

  it('whose channels do not fit is refused with the arithmetic', () => {
    const raw: Tensor = { shape: [1, 255, 3, 4], data: new Float32Array(255 * 12) }
    expect(() => candidates([raw], spec('yolov3'), INPUT, 0.5)).toThrow(
      'output 0 of shape [1, 255, 3, 4] has no axis of 16 = 2 anchors x (5 + 3 classes)',
    )
    expect(() => candidates([raw, raw], spec('yolov3'), INPUT, 0.5)).toThrow('2 outputs, but anchors for 1')
  })

  it('whose grid is as large as its channels is read so that cells are square', () => {
    // 16 x 16 cells of 8 x 8 pixels, or 16 channels first and a grid of 16 x 8.
    const square: Tensor = { shape: [1, 16, 16, 16], data: new Float32Array(4096).fill(-50) }
    square.data.set([0, 0, 0, 0, 50, 50, -50, -50], 0)
    expect(candidates([square], spec('yolov3'), [1, 3, 128, 128], 0.5)).toHaveLength(0)
    const wide: Tensor = { shape: [1, 16, 8, 16], data: new Float32Array(2048).fill(-50) }
    wide.data.set([0, 0, 0, 0, 50, 50, -50, -50], 0)
    const found = candidates([wide], spec('yolov3'), [1, 3, 256, 128], 0.5)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ x0: 8 - 5, y0: 8 - 10 })
  })
})

it('detections are in picture pixels, clipped, and only where the picture is', () => {
  const fit = { scaleX: 0.5, scaleY: 0.5, offsetX: 0, offsetY: 32, width: 256, height: 64 }
  const find = (row: number, tall: number) =>
    detect(
      [head('[1, h, w, a * (5 + c)]', only(0, row, 0, [0, 0, 0, Math.log(tall), 50, 50, -50, -50]))],
      spec('yolov3'),
      {
        inputShape: INPUT,
        fit,
        score: 0.5,
      },
    )
  // Centre (16, 48) of the input is (32, 32) of the picture.
  expect(find(1, 1)).toMatchObject([{ x0: 22, y0: 12, x1: 42, y1: 52, classId: 0 }])
  expect(find(1, 8)).toMatchObject([{ x0: 22, y0: 0, x1: 42, y1: 64 }])
  // All of it in the letterbox's border.
  expect(find(0, 1)).toEqual([])
})
