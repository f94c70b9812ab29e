/** YOLOv5: centres may leave their cell by half, sizes are at most four anchors. */
import type { PlaceBox } from './candidates.js'
import { sigmoid } from './sigmoid.js'

/** Centre = cell + 2 * sigmoid - 0.5, size = anchor * (2 * sigmoid)^2 (Ultralytics, YOLOv5's Detect layer). */
export const yolov5Box: PlaceBox = (x, y, width, height, cell) => {
  const halfWidth = (cell.anchorWidth * (2 * sigmoid(width)) ** 2) / 2
  const halfHeight = (cell.anchorHeight * (2 * sigmoid(height)) ** 2) / 2
  const centreX = (cell.column + 2 * sigmoid(x) - 0.5) * cell.strideX
  const centreY = (cell.row + 2 * sigmoid(y) - 0.5) * cell.strideY
  return { x0: centreX - halfWidth, y0: centreY - halfHeight, x1: centreX + halfWidth, y1: centreY + halfHeight }
}
