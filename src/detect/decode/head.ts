/** A raw output of a YOLO network: where its numbers lie. */
import { QuantError } from '../../errors.js'
import type { Tensor } from '../../ir/graph.js'

/** Before the classes: x, y, width, height, objectness. */
export const FIELDS = 5

/** Number (anchor, row, column, field) lies at anchor * byAnchor + row * byRow + column * byColumn + field * byField. */
export interface Head {
  readonly data: Float32Array
  readonly rows: number
  readonly columns: number
  readonly byAnchor: number
  readonly byRow: number
  readonly byColumn: number
  readonly byField: number
}

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
): Head {
  const fields = FIELDS + classes
  const channels = anchors * fields
  const [, d1 = 0, d2 = 0, d3 = 0, d4 = 0] = shape
  if (shape.length === 5 && d1 === anchors && d4 === fields)
    return {
      data,
      rows: d2,
      columns: d3,
      byAnchor: d2 * d3 * fields,
      byRow: d3 * fields,
      byColumn: fields,
      byField: 1,
    }
  const first = shape.length === 4 && d1 === channels
  const last = shape.length === 4 && d3 === channels
  if (first && !(last && !hasSquareCells(d2, d3, inputShape) && hasSquareCells(d1, d2, inputShape)))
    return { data, rows: d2, columns: d3, byAnchor: fields * d2 * d3, byRow: d3, byColumn: 1, byField: d2 * d3 }
  if (last)
    return { data, rows: d1, columns: d2, byAnchor: fields, byRow: d2 * channels, byColumn: channels, byField: 1 }
  throw new QuantError(
    'model',
    `output ${index} of shape [${shape.join(', ')}] has no axis of ${channels} = ${anchors} anchors x (5 + ${classes} classes)`,
    { hint: 'compare detector.anchors, detector.classes and the order of model.outputs with the network' },
  )
}

function hasSquareCells(rows: number, columns: number, inputShape: readonly number[]): boolean {
  return (inputShape[2] ?? 0) / rows === (inputShape[3] ?? 0) / columns
}
