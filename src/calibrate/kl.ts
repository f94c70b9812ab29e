/**
 * The vendor's threshold: the clip whose distribution, spread over 128 levels, diverges least (Kullback-Leibler) from the
 * tensor's. Candidates are 1/16 of the range apart, as in run_calibration.
 */
import type { TensorStatistics } from './statistics.js'

export const HISTOGRAM_BINS = 2048
const LEVELS = 128

const f32 = Math.fround

/**
 * The vendor's histogram of |x|: bin floor(|x| / w + 1/2), w = absMax / 2047, zeros apart. Fine bins are 8 to 16 times narrower; one
 * that crosses an edge is divided in proportion, in whole hits. (Given to one side as a whole it would leave a ripple,
 * since now 8 and now 9 fine bins make one of these: enough to turn close decisions.)
 * @returns HISTOGRAM_BINS counts; all 0 for a tensor of zeros.
 */
export function coarseHistogram({ absMax, exponent, histogram }: TensorStatistics): Float64Array {
  const coarse = new Float64Array(HISTOGRAM_BINS)
  const perFine = 2 ** exponent / (absMax / (HISTOGRAM_BINS - 1))
  for (let k = 0; k < histogram.length; k++) {
    const from = k * perFine + 0.5
    const bin = Math.min(Math.floor(from), HISTOGRAM_BINS - 1)
    const next = Math.min(Math.floor(from + perFine), HISTOGRAM_BINS - 1)
    const hits = histogram[k]!
    const first = next === bin ? hits : Math.round((hits * (next - from)) / perFine)
    coarse[bin]! += first
    coarse[next]! += hits - first
  }
  return coarse
}

/**
 * The KL threshold of a tensor that is not all zeros, at most its absMax. Sums are rounded to float32 where the vendor's program
 * keeps floats: nearly equal candidates must fall on the same side.
 */
export function klThreshold(stats: TensorStatistics): number {
  const counts = coarseHistogram(stats)
  const total = f32(counts.reduce((sum, hits) => sum + hits, 0))
  const histogram = new Float32Array(counts)
  let best = 0
  let least = Infinity
  for (let bins = LEVELS; bins <= HISTOGRAM_BINS; bins += LEVELS) {
    const divergence = klDivergence(histogram, total, bins)
    if (divergence < least) {
      least = divergence
      best = bins / LEVELS
    }
  }
  const width = f32(stats.absMax / (HISTOGRAM_BINS - 1))
  return Math.min(f32(f32(width * best) * LEVELS), stats.absMax)
}

/**
 * sum P * log10(P / Q) over the first `bins` bins. P: the histogram with everything behind folded into its last bin, over all hits.
 * Q: 128 groups of bins, the hits of a group spread evenly over its bins that have any, over the hits of the first `bins`.
 */
function klDivergence(histogram: Float32Array, total: number, bins: number): number {
  let inside = 0
  for (let j = 0; j < bins; j++) inside = f32(inside + histogram[j]!)
  let last = 0
  for (let j = bins - 1; j < histogram.length; j++) last = f32(last + histogram[j]!)

  const perLevel = bins / LEVELS
  let divergence = 0
  for (let start = 0; start < bins; start += perLevel) {
    let sum = 0
    let used = 0
    for (let j = start; j < start + perLevel; j++) {
      sum = f32(sum + histogram[j]!)
      if (histogram[j]! > 0) used++
    }
    const spread = f32(f32(sum / Math.max(used, 1)) / inside)
    for (let j = start; j < start + perLevel; j++) {
      const p = f32((j === bins - 1 ? last : histogram[j]!) / total)
      if (p === 0) continue
      const q = histogram[j]! > 0 ? spread : 0
      divergence = f32(divergence + p * (Math.log10(p + 1e-30) - Math.log10(q + 1e-30)))
    }
  }
  return divergence
}
