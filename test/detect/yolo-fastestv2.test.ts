/** Yolo-FastestV2: three boxes a cell that share its classes, held against plain loops over the formulas of its `handel_preds`. */
import { describe, expect, it } from 'vitest'
import { candidates } from '../../src/detect/decode/candidates.js'
import type { Box, DetectorSpec } from '../../src/detect/types.js'
import type { Tensor } from '../../src/ir/graph.js'
import { numbers } from '../import/helper.js'

const anchors = [
  [12, 18, 37, 49, 52, 132],
  [115, 73, 119, 199, 242, 238],
]
const spec: DetectorSpec = { kind: 'yolo-fastestv2', anchors, classes: ['a', 'b', 'c', 'd'], iou: 0.5 }
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/** Logits [box 12, objectness 3, classes 4] of a cell. */
const grids = [
  { h: 3, w: 4, stride: 16, raw: numbers(12 * 19, 5).map((x) => 3 * x) },
  { h: 2, w: 2, stride: 32, raw: numbers(4 * 19, 6).map((x) => 3 * x) },
]
const input = [1, 3, 48, 64]

function expected(least: number): Box[] {
  const found: Box[] = []
  for (const [g, { h, w, stride, raw }] of grids.entries())
    for (let a = 0; a < 3; a++)
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++) {
          const cell = Array.from(raw.subarray((y * w + x) * 19, (y * w + x + 1) * 19))
          const [bx, by, bw, bh] = cell.slice(4 * a, 4 * a + 4).map(sigmoid) as [number, number, number, number]
          const [cx, cy] = [(2 * bx - 0.5 + x) * stride, (2 * by - 0.5 + y) * stride]
          const width = (2 * bw) ** 2 * anchors[g]![2 * a]!
          const height = (2 * bh) ** 2 * anchors[g]![2 * a + 1]!
          const all = cell.slice(15).map(Math.exp)
          const sum = all.reduce((s, v) => s + v, 0)
          for (const [classId, one] of all.entries()) {
            const score = (sigmoid(cell[12 + a]!) * one) / sum
            const [x0, y0] = [cx - width / 2, cy - height / 2]
            if (score > least) found.push({ x0, y0, x1: x0 + width, y1: y0 + height, score, classId })
          }
        }
  return found
}

/** Channels `from` to `to` as [1, channels, h, w]. */
const map = ({ h, w, raw }: (typeof grids)[number], from: number, to: number): Tensor => ({
  shape: [1, to - from, h, w],
  data: Float32Array.from(
    { length: (to - from) * h * w },
    (_, i) => raw[(i % (h * w)) * 19 + from + Math.floor(i / h / w)]!,
  ),
})

function expectBoxes(outputs: readonly Tensor[]): void {
  const want = expected(0.2)
  expect(want.length).toBeGreaterThan(8)
  const got = candidates(outputs, spec, input, 0.2)
  expect(got).toHaveLength(want.length)
  for (const [i, box] of want.entries())
    for (const key of ['x0', 'y0', 'x1', 'y1', 'score', 'classId'] as const)
      expect(got[i]![key]).toBeCloseTo(box[key], 3)
}

describe('Yolo-FastestV2', () => {
  it('at its six convolutions, grids in any order', () => {
    expectBoxes([...grids].reverse().flatMap((grid) => [map(grid, 0, 12), map(grid, 12, 15), map(grid, 15, 19)]))
  })

  it('as exported: sigmoids and softmax are done, channels are last', () => {
    const rows = grids.map(({ h, w, raw }): Tensor => {
      const data = raw.map((x, i) => {
        const field = i % 19
        if (field < 15) return sigmoid(x)
        const cell = raw.subarray(i - field + 15, i - field + 19)
        return Math.exp(x) / cell.reduce((sum, v) => sum + Math.exp(v), 0)
      })
      return { shape: [1, h, w, 19], data }
    })
    expectBoxes(rows)
  })

  it('with anchors for one grid only is told', () => {
    const outputs = grids.flatMap((grid) => [map(grid, 0, 12), map(grid, 12, 15), map(grid, 15, 19)])
    expect(() => candidates(outputs, { ...spec, anchors: anchors.slice(1) }, input, 0.2)).toThrow(
      '2 grids, but anchors for 1',
    )
  })
})
