/** From the network's input back to the picture. */
import type { Fit } from '../preprocess/letterbox.js'
import type { Box } from './types.js'

/** To picture pixels, clipped to the picture; undefined when nothing of the box lies in it. */
export function toPicture(box: Box, fit: Fit): Box | undefined {
  const x0 = clip((box.x0 - fit.offsetX) / fit.scaleX, fit.width)
  const y0 = clip((box.y0 - fit.offsetY) / fit.scaleY, fit.height)
  const x1 = clip((box.x1 - fit.offsetX) / fit.scaleX, fit.width)
  const y1 = clip((box.y1 - fit.offsetY) / fit.scaleY, fit.height)
  return x1 > x0 && y1 > y0 ? { x0, y0, x1, y1, score: box.score, classId: box.classId } : undefined
}

const clip = (value: number, most: number): number => Math.min(Math.max(value, 0), most)
