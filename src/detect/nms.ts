/** Non-maximum suppression. */
import { type Box, iou } from './types.js'

/** As the COCO evaluation's habit is: more are never looked at. */
export const MOST_BOXES = 300

/**
 * Best first; a box is dropped when it overlaps a better one of its class by more than `limit`. Of equal scores the one that
 * stands first in `boxes` is better. At most 300 are kept.
 */
export function nms(boxes: readonly Box[], limit: number): Box[] {
  const kept: Box[] = []
  const byClass = new Map<number, Box[]>()
  for (const box of [...boxes].sort((a, b) => b.score - a.score)) {
    const better = byClass.get(box.classId) ?? []
    byClass.set(box.classId, better)
    if (better.some((other) => iou(other, box) > limit)) continue
    better.push(box)
    kept.push(box)
    if (kept.length === MOST_BOXES) break
  }
  return kept
}
