/** From raw outputs to everything that may be a detection: every (box, class) pair above a score. */
import type { Tensor } from '../../ir/graph.js'
import type { Box, DetectorSpec, Rect } from '../types.js'
import type { Cell } from './place.js'
import { type Reading, readings } from './readings.js'
import { logit, sigmoid } from './sigmoid.js'

/** So far below a limit on logits that rounding cannot lose a candidate; the score itself decides. */
const SLACK = 1e-6

/**
 * All pairs with score > `score`, in the order grid, anchor, row, column, class: the same for every layout. Score = objectness, where
 * there is one, * class score. Corners are in pixels of the network's input.
 * @param outputs for YOLO with anchors in the order of `spec.anchors`, see `readHead`; else in any order, see `parts.ts`
 * @param inputShape [n, c, height, width] of the network's input
 * @throws QuantError 'model' when outputs and settings do not fit each other
 */
export function candidates(
  outputs: readonly Tensor[],
  spec: DetectorSpec,
  inputShape: readonly number[],
  score: number,
): Box[] {
  const found: Box[] = []
  for (const reading of readings(outputs, spec, inputShape)) scan(reading, inputShape, score, found)
  return found
}

function scan(
  { grid, place, scores: by, anchors, background, powers }: Reading,
  inputShape: readonly number[],
  least: number,
  found: Box[],
): void {
  const { box, object, classes } = grid
  const cell: Cell = {
    ...{ row: 0, column: 0, strideX: grid.strideX, strideY: grid.strideY, anchorWidth: 0, anchorHeight: 0 },
    inputWidth: inputShape[3] ?? 0,
    inputHeight: inputShape[2] ?? 0,
  }
  const scores = new Float64Array(classes.fields)
  // No class score is above 1, so most cells are done with one look at their objectness.
  const leastObject = powers ? least ** (1 / powers[0]) : least
  const rawObject = by === 'none' ? leastObject : logit(leastObject) - SLACK
  for (let anchor = 0; anchor < grid.anchors; anchor++) {
    cell.anchorWidth = anchors[2 * anchor] ?? 0
    cell.anchorHeight = anchors[2 * anchor + 1] ?? 0
    for (let i = 0; i < grid.rows * grid.columns; i++) {
      let objectness = 1
      if (object) {
        const raw = object.data[object.from + anchor * object.byAnchor + i * object.byCell]!
        if (!(raw > rawObject)) continue
        objectness = by === 'none' ? raw : sigmoid(raw)
        if (powers) objectness **= powers[0]
      }
      const from = classes.from + anchor * classes.byAnchor + i * classes.byCell
      const leastClass = powers ? (least / objectness) ** (1 / powers[1]) : least / objectness
      let any = true
      if (by === 'softmax') softmax(classes.data, from, classes.byField, scores)
      else if (by === 'sigmoid') any = sigmoids(classes.data, from, classes.byField, scores, logit(leastClass) - SLACK)
      else any = above(classes.data, from, classes.byField, scores, leastClass)
      if (!any) continue
      let placed: Rect | undefined
      for (let index = background; index < scores.length; index++) {
        const one = scores[index]!
        const score = objectness * (powers ? one ** powers[1] : one)
        if (!(score > least)) continue
        if (!placed) {
          cell.row = Math.floor(i / grid.columns)
          cell.column = i % grid.columns
          placed = place(box.data, box.from + anchor * box.byAnchor + i * box.byCell, box.byField, cell)
        }
        found.push({ ...placed, score, classId: index - background })
      }
    }
  }
}

/** Logits not above `limit` (which is NaN above 1) become 0 without the exponential. @returns whether any was above it */
function sigmoids(data: Float32Array, from: number, step: number, into: Float64Array, limit: number): boolean {
  let any = false
  for (let i = 0, at = from; i < into.length; i++, at += step) {
    const x = data[at]!
    if (x > limit) {
      into[i] = sigmoid(x)
      any = true
    } else into[i] = 0
  }
  return any
}

/** The same for scores that are 0..1 already. */
function above(data: Float32Array, from: number, step: number, into: Float64Array, limit: number): boolean {
  let any = false
  for (let i = 0, at = from; i < into.length; i++, at += step) {
    const x = data[at]!
    into[i] = x
    if (x > limit * (1 - SLACK)) any = true
  }
  return any
}

function softmax(data: Float32Array, from: number, step: number, into: Float64Array): void {
  let max = -Infinity
  for (let i = 0; i < into.length; i++) max = Math.max(max, data[from + i * step]!)
  let sum = 0
  for (let i = 0; i < into.length; i++) sum += into[i] = Math.exp(data[from + i * step]! - max)
  for (let i = 0; i < into.length; i++) into[i] = into[i]! / sum
}
