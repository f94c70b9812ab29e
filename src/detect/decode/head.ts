/** A raw output of a YOLO network with anchors: where its numbers lie. */
import { QuantError } from '../../errors.js'
import type { Tensor } from '../../ir/graph.js'
import { fieldsFrom, type Grid, type Numbers } from './grid.js'

/** Before the classes: x, y, width, height, objectness. */
const FIELDS = 5

/**
 * Recognises the layout by shape: [n, a * (5 + c), h, w], [n, h, w, a * (5 + c)] or [n, a, h, w, 5 + c]. Where both of the first
 * two would fit, it is the one whose cells are square. Only the first of the batch is read.
 * @param inputShape [n, c, height, width] of the network's input
 * @param index of the output, for errors
 * @throws QuantError 'model' that says what was expected
 */
export function readHead(
  { shape, data }: Tensor,
  index: number,
  anchors: number,
  classes: number,
  inputShape: readonly number[],
): Grid {
  const fields = FIELDS + classes
  const channels = anchors * fields
  const [, d1 = 0, d2 = 0, d3 = 0, d4 = 0] = shape
  const grid = (rows: number, columns: number, steps: Pick<Numbers, 'byAnchor' | 'byCell' | 'byField'>): Grid => {
    const all: Numbers = { data, from: 0, fields, ...steps }
    return {
      rows,
      columns,
      anchors,
      strideX: (inputShape[3] ?? 0) / columns,
      strideY: (inputShape[2] ?? 0) / rows,
      box: fieldsFrom(all, 0, 4),
      object: fieldsFrom(all, 4, 1),
      classes: fieldsFrom(all, FIELDS, classes),
      form: 'together',
    }
  }
  if (shape.length === 5 && d1 === anchors && d4 === fields)
    return grid(d2, d3, { byAnchor: d2 * d3 * fields, byCell: fields, byField: 1 })
  const first = shape.length === 4 && d1 === channels
  const last = shape.length === 4 && d3 === channels
  if (first && !(last && !hasSquareCells(d2, d3, inputShape) && hasSquareCells(d1, d2, inputShape)))
    return grid(d2, d3, { byAnchor: fields * d2 * d3, byCell: 1, byField: d2 * d3 })
  if (last) return grid(d1, d2, { byAnchor: fields, byCell: channels, byField: 1 })
  throw new QuantError(
    'model',
    `output ${index} of shape [${shape.join(', ')}] has no axis of ${channels} = ${anchors} anchors x (5 + ${classes} classes)`,
    { hint: 'compare detector.anchors, detector.classes and the order of model.outputs with the network' },
  )
}

function hasSquareCells(rows: number, columns: number, inputShape: readonly number[]): boolean {
  return (inputShape[2] ?? 0) / rows === (inputShape[3] ?? 0) / columns
}
