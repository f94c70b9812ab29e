/**
 * Real factors as multiplier * 2^-shift, found by the same search as the vendor's tools so that the integers agree.
 */
import { QuantError } from '../errors.js'
import type { Requant } from './qgraph.js'
import { roundHalfAway } from './rounding.js'

/** Multipliers must stay strictly below. */
const limits = { 8: 127, 32: 2 ** 31 - 1 } as const

/**
 * The pair whose multiplier * 2^-shift is nearest to `scale`, the smallest shift on ties; -32 <= shift <= 30.
 * 8-bit multipliers need a negative shift for a scale from 126.5 on.
 * @param scale narrowed to float32 first
 */
export const scaleAndShift = (scale: number, bits: 8 | 32): Requant => search(scale, bits, -32)

/** As `scaleAndShift`, with shifts from 0 on. A scale that does not fit becomes the largest multiplier. */
export const scaleAndShiftPositive = (scale: number, bits: 8 | 32): Requant => search(scale, bits, 0)

function search(real: number, bits: 8 | 32, from: number): Requant {
  const scale = Math.fround(real)
  if (!Number.isFinite(scale))
    throw new QuantError('model', `a rescale by ${real} is not possible`, { hint: 'look for thresholds near zero' })
  const limit = limits[bits]
  let best: Requant = { multiplier: limit, shift: from }
  let bestError = Infinity
  // A larger shift never fits worse: from the top down, until the error grows.
  for (let shift = 30; shift >= from; shift--) {
    const multiplier = roundHalfAway(scale * 2 ** shift)
    if (Math.abs(multiplier) >= limit) continue
    const error = Math.fround(Math.abs(multiplier / 2 ** shift - scale))
    if (error > bestError) break
    best = { multiplier, shift }
    bestError = error
  }
  return best
}
