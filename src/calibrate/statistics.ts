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
   * histogram[k] counts the finite non-zero elements with k < |x| / 2^exponent <= k + 1; it ends with the bin of absMax. Merged
   * counts are doubles: whole numbers up to 2^53.
   */
  readonly histogram: Uint32Array | Float64Array
}

/** 2^14 bins at least, twice as many at most. */
const BIN_BITS = 14

/** Binary exponent of a positive finite number: 2^result <= x < 2^(result + 1). */
function binaryExponent(x: number): number {
  const guess = Math.floor(Math.log2(x))
  if (2 ** guess > x) return guess - 1
  return 2 ** (guess + 1) <= x ? guess + 1 : guess
}

/** The statistics of one tensor, its elements in any order. */
export const observe = (data: Float32Array): TensorStatistics => look(data, undefined).plain

/**
 * Those of a tensor and those of y = x < 0 ? x * slope : x in float32, without y: the result of a LeakyRelu, bit for bit.
 * @param slope a float32 number from 0 on
 */
export function observeBent(data: Float32Array, slope: number): { plain: TensorStatistics; bent: TensorStatistics } {
  const { plain, bent } = look(data, slope)
  return { plain, bent: bent! }
}

/** Elements that are looked at together: they stay in the nearest cache between finding their extrema and counting them. */
const BLOCK = 2048

/** This runs over every value of every picture: plain loops, nothing allocated but the bins. */
function look(
  data: Float32Array,
  slope: number | undefined,
): { plain: TensorStatistics; bent: TensorStatistics | undefined } {
  const bend = (x: number): number => (x < 0 ? Math.fround(x * slope!) : x) + 0
  const plain = counter(sampledMaximum(data))
  const bent = slope === undefined ? undefined : counter(0)
  const range = { min: Infinity, max: -Infinity }
  for (let from = 0; from < data.length; from += BLOCK) {
    const to = Math.min(from + BLOCK, data.length)
    const block = extrema(data, from, to)
    const bentMin = bent && block ? bend(block.min) : 0
    if (block === undefined || bentMin === -Infinity)
      return { plain: observeStrange(data), bent: bent && observeStrange(data.map(bend)) }
    range.min = Math.min(range.min, block.min)
    range.max = Math.max(range.max, block.max)
    reach(plain, absoluteMaximum(block))
    count(plain, data, from, to)
    if (bent === undefined) continue
    reach(bent, absoluteMaximum({ min: bentMin, max: bend(block.max) }))
    countBent(bent, data, from, to, slope!)
  }
  const empty = data.length === 0
  return {
    plain: counted(plain, data.length, range),
    bent: bent && counted(bent, data.length, empty ? range : { min: bend(range.min), max: bend(range.max) }),
  }
}

/** Counts in the width that the values so far need. In front of the bins there is one for zeros: a branch could not be predicted. */
interface Counter {
  readonly bins: Uint32Array
  exponent: number
  /** 2^-exponent; 0 while there are only zeros. */
  perUnit: number
}

function counter(absMax: number): Counter {
  const made = { bins: new Uint32Array(2 ** (BIN_BITS + 1) + 1), exponent: 0, perUnit: 0 }
  reach(made, absMax)
  return made
}

/** Makes bins wider, if need be, so that they take `absMax`. */
function reach(to: Counter, absMax: number): void {
  if (absMax * to.perUnit < 2 ** (BIN_BITS + 1) && (to.perUnit > 0 || absMax === 0)) return
  const exponent = binaryExponent(absMax) - BIN_BITS
  if (to.perUnit > 0) {
    const { bins } = to
    const shift = Math.min(exponent - to.exponent, BIN_BITS + 1)
    for (let k = 1; k < bins.length; k++) {
      const hits = bins[k]!
      bins[k] = 0
      bins[((k - 1) >> shift) + 1]! += hits
    }
  }
  to.exponent = exponent
  to.perUnit = 2 ** -exponent
}

/** The product with a power of two is exact in double. Several places are found before the first is counted in: it is twice as fast. */
function count({ bins, perUnit }: Counter, data: Float32Array, from: number, to: number): void {
  const whole = to - ((to - from) % 4)
  for (let i = from; i < whole; i += 4) {
    const a = Math.ceil(Math.abs(data[i]! * perUnit)) | 0
    const b = Math.ceil(Math.abs(data[i + 1]! * perUnit)) | 0
    const c = Math.ceil(Math.abs(data[i + 2]! * perUnit)) | 0
    const d = Math.ceil(Math.abs(data[i + 3]! * perUnit)) | 0
    bins[a]!++
    bins[b]!++
    bins[c]!++
    bins[d]!++
  }
  for (let i = whole; i < to; i++) bins[Math.ceil(Math.abs(data[i]! * perUnit)) | 0]!++
}

/** No branch: after a Conv nobody can predict the sign. |x| + x and |x| - x are 0 and 2 |x|, so that one of the terms is 0. */
function countBent({ bins, perUnit }: Counter, data: Float32Array, from: number, to: number, slope: number): void {
  const whole = to - ((to - from) % 2)
  for (let i = from; i < whole; i += 2) {
    const x = data[i]!
    const y = data[i + 1]!
    const sizeX = Math.abs(x)
    const sizeY = Math.abs(y)
    const a = Math.ceil(((sizeX + x) * 0.5 + Math.fround((sizeX - x) * 0.5 * slope)) * perUnit) | 0
    const b = Math.ceil(((sizeY + y) * 0.5 + Math.fround((sizeY - y) * 0.5 * slope)) * perUnit) | 0
    bins[a]!++
    bins[b]!++
  }
  if (whole === to) return
  const x = data[whole]!
  const bent = x < 0 ? Math.fround(x * slope) : x
  bins[Math.ceil(Math.abs(bent * perUnit)) | 0]!++
}

function counted({ bins, exponent }: Counter, count: number, range: { min: number; max: number }): TensorStatistics {
  const absMax = absoluteMaximum(range)
  if (absMax === 0) return { ...nothing, count, zeros: count, ...range }
  const last = Math.ceil(absMax / 2 ** exponent)
  return { ...nothing, count, zeros: bins[0]!, ...range, absMax, exponent, histogram: bins.subarray(1, last + 1) }
}

/** A first guess from a few elements, never too large: widening bins later costs as much as thousands of them. */
function sampledMaximum(data: Float32Array): number {
  let most = 0
  const step = 1 + (data.length >> 8)
  for (let i = 0; i < data.length; i += step) most = Math.max(most, Math.abs(data[i]!))
  return Number.isFinite(most) ? most : 0
}

/** Of the elements [from, to); undefined when one is no finite number. */
function extrema(data: Float32Array, from: number, to: number): { min: number; max: number } | undefined {
  let min = Infinity
  let max = -Infinity
  let odd = 0
  const whole = to - ((to - from) % 4)
  for (let i = from; i < whole; i += 4) {
    const a = data[i]!
    const b = data[i + 1]!
    const c = data[i + 2]!
    const d = data[i + 3]!
    odd += a - a + (b - b) + (c - c) + (d - d)
    if (a < min) min = a
    if (a > max) max = a
    if (b < min) min = b
    if (b > max) max = b
    if (c < min) min = c
    if (c > max) max = c
    if (d < min) min = d
    if (d > max) max = d
  }
  for (let i = whole; i < to; i++) {
    const x = data[i]!
    odd += x - x
    if (x < min) min = x
    if (x > max) max = x
  }
  // + 0 turns -0 into 0: which of the two comes first must not matter.
  return odd === 0 ? { min: min + 0, max: max + 0 } : undefined
}

const absoluteMaximum = ({ min, max }: { min: number; max: number }): number => Math.max(0, -min, max)

const nothing: TensorStatistics = {
  count: 0,
  zeros: 0,
  nan: 0,
  infinite: 0,
  min: Infinity,
  max: -Infinity,
  absMax: 0,
  exponent: 0,
  histogram: new Uint32Array(0),
}

/** With elements that are no finite number, or without. */
function observeStrange(data: Float32Array): TensorStatistics {
  const finite = data.filter(Number.isFinite)
  let nan = 0
  for (const x of data) if (Number.isNaN(x)) nan++
  return { ...observe(finite), count: data.length, nan, infinite: data.length - finite.length - nan }
}

export interface StatisticsSum {
  add(one: TensorStatistics): void
  /** Of all that was added. */
  total(): TensorStatistics
}

/**
 * The statistics of all values together: exactly what `observe` would say of the concatenated data, whatever the order and the
 * grouping, because bin edges of different widths coincide. Takes 256 KiB, however much is added.
 */
export function statisticsSum(): StatisticsSum {
  const histogram = new Float64Array(2 ** (BIN_BITS + 1))
  let sum = nothing
  return {
    add(one) {
      const absMax = Math.max(sum.absMax, one.absMax)
      const exponent = absMax === 0 ? 0 : binaryExponent(absMax) - BIN_BITS
      if (sum.absMax > 0) coarsen(histogram, exponent - sum.exponent)
      const { histogram: bins } = one
      // No bin is left to count after BIN_BITS + 1 bits; a shift by 32 or more would wrap around.
      const shift = Math.min(exponent - one.exponent, BIN_BITS + 1)
      for (let k = nextFilled(bins, 0); k < bins.length; k = nextFilled(bins, k + 1)) histogram[k >> shift]! += bins[k]!
      sum = {
        ...sum,
        count: sum.count + one.count,
        zeros: sum.zeros + one.zeros,
        nan: sum.nan + one.nan,
        infinite: sum.infinite + one.infinite,
        min: Math.min(sum.min, one.min),
        max: Math.max(sum.max, one.max),
        absMax,
        exponent,
      }
    },
    total: () => ({
      ...sum,
      histogram: histogram.slice(0, sum.absMax === 0 ? 0 : Math.ceil(sum.absMax / 2 ** sum.exponent)),
    }),
  }
}

/** The first bin from k on that is not empty; small tensors leave most empty, so that four are looked at together. */
export function nextFilled(bins: Uint32Array | Float64Array, k: number): number {
  if (bins[k]! > 0) return k
  let at = k
  while (at + 4 <= bins.length && bins[at]! + bins[at + 1]! + bins[at + 2]! + bins[at + 3]! === 0) at += 4
  while (at < bins.length && bins[at] === 0) at++
  return at
}

/** Bins 2^shift times as wide, in place. */
function coarsen(histogram: Float64Array, shift: number): void {
  if (shift === 0) return
  for (let k = 0; k < histogram.length; k++) {
    const hits = histogram[k]!
    histogram[k] = 0
    histogram[k >> Math.min(shift, BIN_BITS + 1)]! += hits
  }
}

export function mergeStatistics(list: readonly TensorStatistics[]): TensorStatistics {
  const sum = statisticsSum()
  for (const one of list) sum.add(one)
  return sum.total()
}

/** How many elements are counted in the histogram: finite and not zero. */
export const nonZeros = (stats: TensorStatistics): number => stats.count - stats.zeros - nonFinite(stats)

const nonFinite = ({ nan, infinite }: TensorStatistics): number => nan + infinite
