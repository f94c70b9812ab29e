/** YOLOv2 and YOLOv3: they differ in the classes' scores, not in the boxes. */
import type { PlaceBox } from './candidates.js'
import { sigmoid } from './sigmoid.js'

/** Centre = cell + sigmoid, size = anchor * exp (Redmon and Farhadi, YOLO9000, section 2). */
export const darknetBox: PlaceBox = (x, y, width, height, cell) => {
  const halfWidth = (cell.anchorWidth * Math.exp(width)) / 2
  const halfHeight = (cell.anchorHeight * Math.exp(height)) / 2
  const centreX = (cell.column + sigmoid(x)) * cell.strideX
  const centreY = (cell.row + sigmoid(y)) * cell.strideY
  return { x0: centreX - halfWidth, y0: centreY - halfHeight, x1: centreX + halfWidth, y1: centreY + halfHeight }
}
