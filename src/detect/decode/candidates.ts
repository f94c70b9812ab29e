/** From raw outputs to everything that may be a detection: every (box, class) pair above a score. */
import { QuantError } from '../../errors.js'
import type { Tensor } from '../../ir/graph.js'
import type { Box, DetectorSpec, Rect } from '../types.js'
import { darknetBox } from './darknet.js'
import { FIELDS, type Head, readHead } from './head.js'
import { logit, sigmoid } from './sigmoid.js'
import { yolov5Box } from './yolov5.js'

/** Where a box is predicted. Strides and anchors in pixels of the network's input. */
interface Cell {
  row: number
  column: number
  strideX: number
  strideY: number
  anchorWidth: number
  anchorHeight: number
}

/** From a cell's four raw numbers to corners in pixels of the network's input. */
export type PlaceBox = (x: number, y: number, width: number, height: number, cell: Cell) => Rect

const PLACE: Record<DetectorSpec['kind'], PlaceBox> = { yolov2: darknetBox, yolov3: darknetBox, yolov5: yolov5Box }

/** So far below a limit on logits that rounding cannot lose a candidate; the score itself decides. */
const SLACK = 1e-6

/**
 * All pairs with score > `score`, in the order output, anchor, row, column, class: the same for every layout. Score =
 * sigmoid(objectness) * class score. Corners are in pixels of the network's input.
 * @param outputs raw heads, before any sigmoid, in the order of `spec.anchors`; see `readHead` for shapes
 * @param inputShape [n, c, height, width] of the network's input
 * @throws QuantError 'model' when outputs and anchors do not fit each other
 */
export function candidates(
  outputs: readonly Tensor[],
  spec: DetectorSpec,
  inputShape: readonly number[],
  score: number,
): Box[] {
  if (outputs.length !== spec.anchors.length)
    throw new QuantError('model', `${outputs.length} outputs, but anchors for ${spec.anchors.length}`, {
      hint: 'detector.anchors has one list per output of model.outputs, in the same order',
    })
  const found: Box[] = []
  for (const [index, output] of outputs.entries()) {
    const anchors = spec.anchors[index]!
    const head = readHead(output, index, anchors.length / 2, spec.classes.length, inputShape)
    scan(head, anchors, spec, inputShape, score, found)
  }
  return found
}

function scan(
  head: Head,
  anchors: readonly number[],
  spec: DetectorSpec,
  inputShape: readonly number[],
  least: number,
  found: Box[],
): void {
  const { data, rows, columns, byAnchor, byRow, byColumn, byField } = head
  const place = PLACE[spec.kind]
  const classes = spec.classes.length
  const scores = new Float64Array(classes)
  const strideX = (inputShape[3] ?? 0) / columns
  const strideY = (inputShape[2] ?? 0) / rows
  const cell: Cell = { row: 0, column: 0, strideX, strideY, anchorWidth: 0, anchorHeight: 0 }
  // No class score is above 1, so most cells are done with one look at their objectness.
  const leastObject = logit(least) - SLACK
  for (let anchor = 0; anchor < anchors.length / 2; anchor++) {
    cell.anchorWidth = anchors[2 * anchor]!
    cell.anchorHeight = anchors[2 * anchor + 1]!
    for (cell.row = 0; cell.row < rows; cell.row++) {
      for (cell.column = 0; cell.column < columns; cell.column++) {
        const at = anchor * byAnchor + cell.row * byRow + cell.column * byColumn
        const object = data[at + 4 * byField]!
        if (!(object > leastObject)) continue
        const objectness = sigmoid(object)
        const from = at + FIELDS * byField
        if (spec.classScores === 'softmax') softmax(data, from, byField, scores)
        else sigmoids(data, from, byField, scores, logit(least / objectness) - SLACK)
        let box: Rect | undefined
        for (let classId = 0; classId < classes; classId++) {
          const score = objectness * scores[classId]!
          if (!(score > least)) continue
          box ??= place(data[at]!, data[at + byField]!, data[at + 2 * byField]!, data[at + 3 * byField]!, cell)
          found.push({ ...box, score, classId })
        }
      }
    }
  }
}

/** Logits not above `limit` (which is NaN above 1) become 0 without the exponential. */
function sigmoids(data: Float32Array, from: number, step: number, into: Float64Array, limit: number): void {
  for (let i = 0; i < into.length; i++) {
    const x = data[from + i * step]!
    into[i] = x > limit ? sigmoid(x) : 0
  }
}

function softmax(data: Float32Array, from: number, step: number, into: Float64Array): void {
  let max = -Infinity
  for (let i = 0; i < into.length; i++) max = Math.max(max, data[from + i * step]!)
  let sum = 0
  for (let i = 0; i < into.length; i++) sum += into[i] = Math.exp(data[from + i * step]! - max)
  for (let i = 0; i < into.length; i++) into[i] = into[i]! / sum
}
