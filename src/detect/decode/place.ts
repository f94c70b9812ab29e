/** From the raw numbers of one box to its corners in pixels of the network's input. */
import type { Rect } from '../types.js'
import { sigmoid } from './sigmoid.js'

/** Where a box is predicted. Strides, anchors and the input's size in pixels. */
export interface Cell {
  row: number
  column: number
  strideX: number
  strideY: number
  anchorWidth: number
  anchorHeight: number
  readonly inputWidth: number
  readonly inputHeight: number
}

/** The box's numbers are data[at], data[at + step], data[at + 2 * step], ... */
export type PlaceBox = (data: Float32Array, at: number, step: number, cell: Cell) => Rect

/**
 * YOLOv2 and v3: centre = cell + sigmoid, size = anchor * exp (Redmon and Farhadi, YOLO9000, section 2). YOLOv4 lets the centre leave
 * its cell: sigmoid * scale - (scale - 1) / 2 (darknet's `scale_x_y`).
 */
export const darknetBox =
  (scaleXY: number): PlaceBox =>
  (data, at, step, { row, column, strideX, strideY, anchorWidth, anchorHeight }) =>
    centred(
      (column + sigmoid(data[at]!) * scaleXY - (scaleXY - 1) / 2) * strideX,
      (row + sigmoid(data[at + step]!) * scaleXY - (scaleXY - 1) / 2) * strideY,
      anchorWidth * Math.exp(data[at + 2 * step]!),
      anchorHeight * Math.exp(data[at + 3 * step]!),
    )

/** YOLOv5's box from numbers that a sigmoid gave. */
const ofShares =
  (share: (raw: number) => number): PlaceBox =>
  (data, at, step, { row, column, strideX, strideY, anchorWidth, anchorHeight }) =>
    centred(
      (column + 2 * share(data[at]!) - 0.5) * strideX,
      (row + 2 * share(data[at + step]!) - 0.5) * strideY,
      anchorWidth * (2 * share(data[at + 2 * step]!)) ** 2,
      anchorHeight * (2 * share(data[at + 3 * step]!)) ** 2,
    )

/** YOLOv5 and v7: centre = cell + 2 * sigmoid - 0.5, size = anchor * (2 * sigmoid)^2 (Ultralytics, YOLOv5's Detect layer). */
export const yolov5Box: PlaceBox = ofShares(sigmoid)

/** The same where the network ends in the sigmoids: Yolo-FastestV2 (its export; boxes as `handel_preds` makes them). */
export const yolov5Share: PlaceBox = ofShares((share) => share)

/** Centre from the cell's corner, size as a logarithm, both in strides (YOLOX, decode_outputs). */
export const yoloxBox: PlaceBox = (data, at, step, { row, column, strideX, strideY }) =>
  centred(
    (column + data[at]!) * strideX,
    (row + data[at + step]!) * strideY,
    Math.exp(data[at + 2 * step]!) * strideX,
    Math.exp(data[at + 3 * step]!) * strideY,
  )

/**
 * Left, top, right, bottom from a point of the cell, in strides; each is the mean of a distribution over 0, 1, ... bins - 1 that is
 * given as logits (Generalized Focal Loss, section 3). With one bin the number itself is the distance.
 * @param point where in the cell, 0..1: 0.5 for YOLOv8 and NanoDet, 0 for NanoDet-Plus
 */
export const distributionBox =
  (bins: number, point: number): PlaceBox =>
  (data, at, step, { row, column, strideX, strideY }) => {
    const side = (index: number): number => expectation(data, at + index * bins * step, step, bins)
    const x = column + point
    const y = row + point
    return {
      x0: (x - side(0)) * strideX,
      y0: (y - side(1)) * strideY,
      x1: (x + side(2)) * strideX,
      y1: (y + side(3)) * strideY,
    }
  }

function expectation(data: Float32Array, at: number, step: number, bins: number): number {
  if (bins === 1) return data[at]!
  let max = -Infinity
  for (let i = 0; i < bins; i++) max = Math.max(max, data[at + i * step]!)
  let sum = 0
  let weighted = 0
  for (let i = 0; i < bins; i++) {
    const weight = Math.exp(data[at + i * step]! - max)
    sum += weight
    weighted += i * weight
  }
  return weighted / sum
}

/**
 * Offsets to a prior box, with the variances 0.1 and 0.2 that every SSD has (Liu et al., SSD, section 2.2, and its code). The prior lies
 * around the middle of the cell; neither its size nor its middle is beyond the input's (`clip`).
 */
export const priorBox: PlaceBox = (data, at, step, cell) => {
  const width = Math.min(cell.anchorWidth, cell.inputWidth)
  const height = Math.min(cell.anchorHeight, cell.inputHeight)
  return centred(
    Math.min((cell.column + 0.5) * cell.strideX, cell.inputWidth) + 0.1 * data[at]! * width,
    Math.min((cell.row + 0.5) * cell.strideY, cell.inputHeight) + 0.1 * data[at + step]! * height,
    width * Math.exp(0.2 * data[at + 2 * step]!),
    height * Math.exp(0.2 * data[at + 3 * step]!),
  )
}

/** Pixels from the middle of the cell (MediaPipe's BlazeFace, whose anchors are all of size 1). */
export const blazeBox: PlaceBox = (data, at, step, { row, column, strideX, strideY }) =>
  centred(
    (column + 0.5) * strideX + data[at]!,
    (row + 0.5) * strideY + data[at + step]!,
    data[at + 2 * step]!,
    data[at + 3 * step]!,
  )

/** Centre up to a whole cell away, size as a share of the input (FastestDet's test.py). */
export const fastestdetBox: PlaceBox = (data, at, step, { row, column, strideX, strideY, inputWidth, inputHeight }) =>
  centred(
    (column + Math.tanh(data[at]!)) * strideX,
    (row + Math.tanh(data[at + step]!)) * strideY,
    sigmoid(data[at + 2 * step]!) * inputWidth,
    sigmoid(data[at + 3 * step]!) * inputHeight,
  )

/** Decoded in the network: centre and size in pixels. */
export const pixelBox: PlaceBox = (data, at, step) =>
  centred(data[at]!, data[at + step]!, data[at + 2 * step]!, data[at + 3 * step]!)

/** Decoded in the network: corners as shares of the input. */
export const cornerBox: PlaceBox = (data, at, step, { inputWidth, inputHeight }) => ({
  x0: data[at]! * inputWidth,
  y0: data[at + step]! * inputHeight,
  x1: data[at + 2 * step]! * inputWidth,
  y1: data[at + 3 * step]! * inputHeight,
})

function centred(x: number, y: number, width: number, height: number): Rect {
  return { x0: x - width / 2, y0: y - height / 2, x1: x + width / 2, y1: y + height / 2 }
}
