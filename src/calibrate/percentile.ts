import { nonZeros, type TensorStatistics } from './statistics.js'

/**
 * The clip that `percentile` percent of the non-zero |x| stay below (0 < percentile <= 100): as numpy.percentile has it, to within a
 * bin, at most absMax. Zeros do not count: after a Relu they may be nearly all, and would push the clip below everything
 * else.
 */
export function percentileThreshold(stats: TensorStatistics, percentile: number): number {
  const last = nonZeros(stats) - 1
  const position = (last * percentile) / 100
  const rank = Math.floor(position)
  const low = ranked(stats, rank)
  const high = ranked(stats, Math.min(rank + 1, last))
  return Math.min(low + (position - rank) * (high - low), stats.absMax)
}

/** The value at a rank (0 is the smallest); those of a bin are taken as evenly spread over it. */
function ranked({ histogram, exponent, absMax }: TensorStatistics, rank: number): number {
  let below = 0
  for (let k = 0; k < histogram.length - 1; k++) {
    const hits = histogram[k]!
    if (below + hits > rank) return (k + (rank - below + 0.5) / hits) * 2 ** exponent
    below += hits
  }
  return absMax
}
