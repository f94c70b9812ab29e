/** How far the detections of a quantized network are those of the float network, where nobody labelled anything. */
import { type Box, iou } from './types.js'

export interface Agreement {
  /** Boxes of the reference that the other has too, and that it has not. */
  readonly matched: number
  readonly missed: number
  /** Boxes of the other that the reference has not. */
  readonly extra: number
  /** matched / (matched + missed); 1 when the reference is empty. */
  readonly recall: number
  /** Mean |score difference| of matched boxes; 0 when none is. */
  readonly scoreDifference: number
  /** Mean IoU of matched boxes; 0 when none is. */
  readonly iou: number
}

const LEAST_IOU = 0.5

/** One picture. Best first, each box of the reference takes the free box of its class that overlaps it most, from IoU 0.5 on. */
export function agree(reference: readonly Box[], other: readonly Box[]): Agreement {
  const free = new Set(other)
  let matched = 0
  let differences = 0
  let overlaps = 0
  for (const box of [...reference].sort((a, b) => b.score - a.score)) {
    let best: Box | undefined
    let overlap = 0
    for (const candidate of free) {
      if (candidate.classId !== box.classId) continue
      const both = iou(box, candidate)
      if (both < LEAST_IOU || both <= overlap) continue
      best = candidate
      overlap = both
    }
    if (best === undefined) continue
    free.delete(best)
    matched++
    differences += Math.abs(best.score - box.score)
    overlaps += overlap
  }
  return agreement(matched, reference.length - matched, free.size, differences, overlaps)
}

/** Several pictures as one: means go over their boxes. */
export function totalAgreement(parts: readonly Agreement[]): Agreement {
  const sum = (value: (part: Agreement) => number) => parts.reduce((total, part) => total + value(part), 0)
  return agreement(
    sum((part) => part.matched),
    sum((part) => part.missed),
    sum((part) => part.extra),
    sum((part) => part.scoreDifference * part.matched),
    sum((part) => part.iou * part.matched),
  )
}

function agreement(matched: number, missed: number, extra: number, differences: number, overlaps: number): Agreement {
  return {
    matched,
    missed,
    extra,
    recall: matched + missed === 0 ? 1 : matched / (matched + missed),
    scoreDifference: matched === 0 ? 0 : differences / matched,
    iou: matched === 0 ? 0 : overlaps / matched,
  }
}
