/**
 * When a float32 sum of products of whole numbers is exact: in any order, on any processor, as long as no partial sum can
 * leave +-2^24. Where one could, the summed axis is split and the parts are added in double.
 */
import { QuantError } from '../../errors.js'
import type { QWeightData } from '../qgraph.js'
import type { Range } from './context.js'

export const exactBelow = 2 ** 24

/** The largest magnitude that a partial sum of w * x can reach, for any x in the range. */
export function reach(weights: QWeightData, [low, high]: Range, from: number, to: number, stride = 1): number {
  let positive = 0
  let negative = 0
  for (let i = from; i < to; i += stride) {
    const w = weights[i]!
    if (w > 0) positive += w
    else negative -= w
  }
  const above = Math.max(high, 0)
  const below = Math.max(-low, 0)
  return Math.max(positive * above + negative * below, positive * below + negative * above)
}

/** Cuts [0, count) in as few even parts as keep every part's bound exact. */
export function split(
  layer: string,
  count: number,
  bound: (from: number, to: number) => number,
): (readonly [from: number, to: number])[] {
  for (let parts = 1; parts <= count; parts++) {
    const size = Math.ceil(count / parts)
    const cuts = Array.from({ length: Math.ceil(count / size) }, (_, i) => {
      return [i * size, Math.min(count, (i + 1) * size)] as const
    })
    if (cuts.every(([from, to]) => bound(from, to) <= exactBelow)) return cuts
  }
  throw new QuantError('model', `the kernel of ${layer} is too large to be summed exactly`, {
    hint: 'compute the layer in another precision',
  })
}
