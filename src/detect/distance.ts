/** How far apart the boxes of two networks are, without labels: what a search for mixed precision makes small. */
import type { Tensor } from '../ir/graph.js'
import type { Ranked } from './classification.js'
import { candidates } from './decode/candidates.js'
import { nms } from './nms.js'
import { type Box, type DetectorSpec, iou } from './types.js'

/** Boxes that are looked at: more say nothing new, and an untrained network would have a hundred thousand. */
const most = 100
/** The first of these scores that is enough for so many boxes, or the last: weaker boxes are not worth much. */
const levels = [0.8, 0.4, 0.1]

/** The strongest boxes of the float network, best first, in pixels of the input. */
export function strongBoxes(outputs: readonly Tensor[], spec: DetectorSpec, inputShape: readonly number[]): Box[] {
  let boxes: Box[] = []
  for (const level of levels) {
    boxes = nms(candidates(outputs, spec, inputShape, level), spec.iou)
    if (boxes.length >= most) break
  }
  return boxes.slice(0, most)
}

/** What a network finds that may be one of those boxes: all that is at least half as sure as the weakest of them, before NMS. */
export function likeliestBoxes(
  outputs: readonly Tensor[],
  spec: DetectorSpec,
  inputShape: readonly number[],
  reference: readonly Box[],
): Box[] {
  return reference.length === 0 ? [] : candidates(outputs, spec, inputShape, reference.at(-1)!.score / 2)
}

/**
 * How far a quantized network is from the boxes of the float network on one picture, from 0 (the same) to 1 (nothing is found).
 * Each box of the float network looks for the one of its class that is most like it: IoU times the ratio of the scores, the
 * smaller by the larger. The mean of what is missing to 1, weighted by the float scores; 0 where the float network sees nothing.
 * @param reference after NMS
 * @param found before NMS, so that a change in what suppresses what makes no jump
 */
export function boxDistance(reference: readonly Box[], found: readonly Box[]): number {
  const byClass = new Map<number, Box[]>()
  for (const box of found) {
    const others = byClass.get(box.classId)
    if (others) others.push(box)
    else byClass.set(box.classId, [box])
  }
  let missing = 0
  let weight = 0
  for (const box of reference) {
    let best = 0
    for (const other of byClass.get(box.classId) ?? []) {
      const ratio = Math.min(other.score, box.score) / Math.max(other.score, box.score)
      if (ratio > best) best = Math.max(best, ratio * iou(box, other))
    }
    missing += box.score * (1 - best)
    weight += box.score
  }
  return weight === 0 ? 0 : missing / weight
}

/**
 * How far a quantized classifier is from the float one on one picture, from 0 (the same) to 1: half of what the probabilities of the
 * classes that the float network ranks, and of all others together, differ.
 */
export function classDistance(reference: readonly Ranked[], found: readonly Ranked[]): number {
  const scores = new Map(found.map(({ classId, score }) => [classId, score]))
  let [apart, rest] = [0, 0]
  for (const { classId, score } of reference) {
    const other = scores.get(classId) ?? 0
    apart += Math.abs(score - other)
    rest += other - score
  }
  return (apart + Math.abs(rest)) / 2
}
