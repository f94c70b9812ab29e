/**
 * What is kept of a tensor's values: enough to choose a threshold by any method, small enough to store per picture, and
 * mergeable without loss, so that ten more pictures cost the analysis of ten pictures.
 */

export interface TensorStatistics {
  /** All elements, also zeros and those that are no finite number. */
  readonly count: number
  /** Elements equal to 0. Kept out of the histogram: any scale represents them exactly. */
  readonly zeros: number
  readonly nan: number
  readonly infinite: number
  /** Extrema of the finite elements; Infinity and -Infinity where there is none. Never -0. */
  readonly min: number
  readonly max: number
  /** max(|min|, |max|); 0 where nothing is finite. */
  readonly absMax: number
  /** Bins are 2^exponent wide, so that absMax takes 16384..32768 of them. 0 where the histogram is empty. */
  readonly exponent: number
  /**
   * histogram[k] counts the finite non-zero elements with k < |x| / 2^exponent <= k + 1; it ends with the bin of absMax. Doubles:
   * whole numbers up to 2^53.
   */
  readonly histogram: Float64Array
}

/** 2^14 bins at least, twice as many at most. */
const BIN_BITS = 14

/** Binary exponent of a positive finite number: 2^result <= x < 2^(result + 1). */
function binaryExponent(x: number): number {
  const guess = Math.floor(Math.log2(x))
  if (2 ** guess > x) return guess - 1
  return 2 ** (guess + 1) <= x ? guess + 1 : guess
}

/** The statistics of one tensor, its elements in any order. Two plain passes: this runs over every value of every picture. */
export function observe(data: Float32Array): TensorStatistics {
  const n = data.length
  let min = Infinity
  let max = -Infinity
  let strange = 0
  for (let i = 0; i < n; i++) {
    const x = data[i]!
    if (x < min) min = x
    if (x > max) max = x
    if (x - x !== 0) strange++
  }
  if (strange > 0) return observeStrange(data)
  // + 0 turns -0 into 0: which of the two comes first must not matter.
  min += 0
  max += 0
  const absMax = n === 0 ? 0 : Math.max(-min, max)
  if (absMax === 0) return { ...nothing, count: n, zeros: n, min, max }

  const exponent = binaryExponent(absMax) - BIN_BITS
  const perUnit = 2 ** -exponent
  // One more bin, in front, for the zeros: no branch, because after a Relu nobody can predict it.
  const bins = new Uint32Array(Math.ceil(absMax * perUnit) + 1)
  // The product with a power of two is exact in double.
  for (let i = 0; i < n; i++) bins[Math.ceil(Math.abs(data[i]! * perUnit)) | 0]!++
  return {
    ...nothing,
    count: n,
    zeros: bins[0]!,
    min,
    max,
    absMax,
    exponent,
    histogram: new Float64Array(bins.subarray(1)),
  }
}

const nothing: TensorStatistics = {
  count: 0,
  zeros: 0,
  nan: 0,
  infinite: 0,
  min: Infinity,
  max: -Infinity,
  absMax: 0,
  exponent: 0,
  histogram: new Float64Array(0),
}

function observeStrange(data: Float32Array): TensorStatistics {
  const finite = data.filter(Number.isFinite)
  let nan = 0
  for (const x of data) if (Number.isNaN(x)) nan++
  return { ...observe(finite), count: data.length, nan, infinite: data.length - finite.length - nan }
}

/**
 * The statistics of all values together: exactly what `observe` would say of the concatenated data, whatever the order and the
 * grouping, because bin edges of different widths coincide.
 */
export function mergeStatistics(list: readonly TensorStatistics[]): TensorStatistics {
  const absMax = Math.max(0, ...list.map((one) => one.absMax))
  const exponent = absMax === 0 ? 0 : binaryExponent(absMax) - BIN_BITS
  const histogram = new Float64Array(absMax === 0 ? 0 : Math.ceil(absMax / 2 ** exponent))
  for (const one of list) {
    const shift = exponent - one.exponent
    const { histogram: bins } = one
    // Bin numbers are below 2^15; a shift by 32 or more would wrap around.
    if (shift > BIN_BITS) for (const hits of bins) histogram[0]! += hits
    else for (let k = 0; k < bins.length; k++) histogram[k >> shift]! += bins[k]!
  }
  const total = (field: 'count' | 'zeros' | 'nan' | 'infinite') => list.reduce((sum, one) => sum + one[field], 0)
  return {
    count: total('count'),
    zeros: total('zeros'),
    nan: total('nan'),
    infinite: total('infinite'),
    min: Math.min(...list.map((one) => one.min)),
    max: Math.max(...list.map((one) => one.max)),
    absMax,
    exponent,
    histogram,
  }
}

/** How many elements are counted in the histogram: finite and not zero. */
export const nonZeros = (stats: TensorStatistics): number => stats.count - stats.zeros - stats.nan - stats.infinite
