import type { TensorStatistics } from './statistics.js'

const CANDIDATES = 128

/**
 * The clip t that makes the mean square error of 8-bit storage smallest:
 *
 *   E(t) = sum over bins of hits * (c - s * min(L, floor(c / s + 1/2)))^2,  c the middle of the bin, s = t / L,
 *
 * L = 127 levels, or 255 where no value is negative (stored unsigned). Candidates are t = absMax * i / 128, i = 1..128; the
 * largest wins a tie.
 */
export function mseThreshold(stats: TensorStatistics): number {
  const { absMax, exponent, histogram } = stats
  const levels = stats.min < 0 ? 127 : 255
  const n = histogram.length
  // In units of a bin. Sums over the bins behind k, of hits, hits * c and hits * c^2: what a clip cuts off needs no loop.
  const hits = new Float64Array(n + 1)
  const first = new Float64Array(n + 1)
  const second = new Float64Array(n + 1)
  for (let k = n - 1; k >= 0; k--) {
    const c = k + 0.5
    hits[k] = hits[k + 1]! + histogram[k]!
    first[k] = first[k + 1]! + histogram[k]! * c
    second[k] = second[k + 1]! + histogram[k]! * c * c
  }
  const range = absMax / 2 ** exponent
  let best = range
  let least = Infinity
  for (let i = CANDIDATES; i >= 1; i--) {
    const clip = (range * i) / CANDIDATES
    const step = clip / levels
    const inside = Math.min(n, Math.floor(clip))
    let error = second[inside]! - 2 * clip * first[inside]! + clip * clip * hits[inside]!
    for (let k = 0; k < inside; k++) {
      const c = k + 0.5
      const rest = c - step * Math.floor(c / step + 0.5)
      error += histogram[k]! * rest * rest
    }
    if (error < least) {
      least = error
      best = clip
    }
  }
  return best === range ? absMax : best * 2 ** exponent
}
