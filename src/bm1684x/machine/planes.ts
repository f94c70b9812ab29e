/** Loops over single channels: windows of pooling and depthwise convolution, and the way from lanes to a channels-last image. */
import { laneBytes } from '../chip.js'
import { f16Narrowed, f16Widened, flushed } from './floats.js'
import {
  add,
  advance,
  advanceBy,
  type Code,
  choose,
  constant,
  copyBytes,
  get,
  i32,
  loadVector,
  loopBelow,
  multiply,
  type Routine,
  set,
  shuffle,
  shuffleWords,
  simd,
  storeVector,
  subtract,
  times,
  v128,
  when,
  words,
} from './wasm.js'

/** Local variables of a window's body: the address of a tap's input, of its weight; two sums or what else is kept; a spare. */
const [tap, weight, first, second, spare, spare2] = [16, 17, 18, 19, 20, 21]

interface Body {
  /** Results of one vector, and their bytes. */
  readonly count: number
  readonly size: number
  /** Bytes of an input element. */
  readonly inputSize: number
  /** Sets `first` and `second`; the word given as start is local 10. */
  readonly begin: Code
  /** Takes in the input at `tap` and the weight at `weight`. */
  readonly step: Code
  /** Stores at the address in a local variable. */
  readonly end: (to: number) => Code
}

/**
 * Windows over one padded channel. Parameters: image (the first tap of the first result), to, rows and columns of the result, bytes
 * in the image from row to row of results, rows and columns of the window, bytes from tap to tap downwards and sideways, weights
 * (a word for each tap, in that order), start (a word), and room for a row. The result's rows lie one behind the other.
 */
function windows(stride: 1 | 2, { count, size, inputSize, begin, step, end }: Body): Routine {
  const [image, to, rows, columns, rowStep, kh, kw, yStep, xStep, weights, , room] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
  ]
  const [at, out, tapRow, left] = [12, 13, 14, 15]
  const [inner, behind] = [22, 23]
  const rowBytes: Code = [...get(columns), ...constant(size), multiply]
  return {
    parameters: 12,
    locals: [
      [6, i32],
      [4, v128],
      [2, i32],
    ],
    body: times(
      rows,
      ...set(at, ...get(image)),
      ...set(out, ...get(room)),
      ...set(behind, ...get(room), ...rowBytes, add),
      ...loopBelow(
        out,
        behind,
        ...begin,
        ...set(tapRow, ...get(at)),
        ...set(weight, ...get(weights)),
        ...set(left, ...get(kh)),
        ...times(
          left,
          ...set(tap, ...get(tapRow)),
          ...set(inner, ...get(kw)),
          ...times(inner, ...step, ...advanceBy(tap, xStep), ...advance(weight, 4)),
          ...advanceBy(tapRow, yStep),
        ),
        ...end(out),
        ...advance(at, count * stride * inputSize),
        ...advance(out, count * size),
      ),
      ...copyBytes(get(to), get(room), rowBytes),
      ...set(to, ...get(to), ...rowBytes, add),
      ...advanceBy(image, rowStep),
    ),
  }
}

const evenBytes = Array.from({ length: 16 }, (_, i) => 2 * i)

function largestBytes(stride: 1 | 2, signed: boolean): Routine {
  const value = stride === 1 ? loadVector(tap) : shuffle(loadVector(tap), loadVector(tap, 16), evenBytes)
  return windows(stride, {
    count: 16,
    size: 1,
    inputSize: 1,
    begin: set(first, ...words(signed ? 0x80808080 : 0)),
    step: set(first, ...get(first), ...value, ...simd(signed ? 0x78 : 0x79)),
    end: (to) => storeVector(to, 0, ...get(first)),
  })
}

/** Four float32 or binary16 as float32. */
function fourFloats(stride: 1 | 2, half: boolean): Code {
  if (!half)
    return set(
      spare,
      ...(stride === 1 ? loadVector(tap) : shuffleWords(loadVector(tap), loadVector(tap, 16), [0, 2, 4, 6])),
    )
  const bits =
    stride === 1
      ? [...get(tap), ...simd(0x04, 0, 0)] // v128.load16x4_u
      : [...loadVector(tap), ...words(0xffff), ...simd(0x4e)]
  return [...set(spare, ...bits), ...f16Widened(spare, spare2)]
}

const largestFloats = (stride: 1 | 2, half: boolean): Routine =>
  windows(stride, {
    count: 4,
    size: half ? 2 : 4,
    inputSize: half ? 2 : 4,
    begin: set(first, ...words(0xff800000)),
    step: [
      ...fourFloats(stride, half),
      ...set(first, ...choose(get(spare), get(first), [...get(spare), ...get(first), ...simd(0x44)])),
    ],
    end: (to) => [
      ...(half ? f16Narrowed(first, spare, spare2) : []),
      ...storeVector(to, 0, ...get(first), ...(half ? [...get(first), ...simd(0x86)] : [])),
    ],
  })

function weightedBytes(stride: 1 | 2, signed: boolean): Routine {
  const value: Code =
    stride === 1
      ? [...get(tap), ...simd(signed ? 0x01 : 0x02, 0, 0)] // v128.load8x8
      : [...shuffle(loadVector(tap), loadVector(tap), evenBytes), ...simd(signed ? 0x87 : 0x89)]
  const multiplyAdd = (sum: number, half: number): Code =>
    set(sum, ...get(spare), ...get(spare2), ...simd(half), ...get(sum), ...simd(0xae)) // i32x4.extmul_i16x8_s
  return windows(stride, {
    count: 8,
    size: 4,
    inputSize: 1,
    begin: [...set(first, ...get(10), ...simd(0x11)), ...set(second, ...get(first))],
    step: [
      ...set(spare, ...value),
      ...set(spare2, ...get(weight), ...simd(0x08, 1, 0)), // v128.load16_splat
      ...multiplyAdd(first, 0xbc),
      ...multiplyAdd(second, 0xbd),
    ],
    end: (to) => [...storeVector(to, 0, ...get(first)), ...storeVector(to, 16, ...get(second))],
  })
}

/** Even taps are added to a sum that begins with 0, odd ones to one that begins with the start. */
const weightedSingles = (stride: 1 | 2): Routine =>
  windows(stride, {
    count: 4,
    size: 4,
    inputSize: 4,
    begin: [...set(first, ...words(0)), ...set(second, ...get(10), ...simd(0x11))],
    step: [
      ...fourFloats(stride, false),
      ...set(spare, ...get(spare), ...get(weight), ...simd(0x09, 2, 0), ...simd(0xe6), ...get(first), ...simd(0xe4)),
      // The sums take turns.
      ...set(first, ...get(second)),
      ...set(second, ...get(spare)),
    ],
    end: (to) => [
      ...set(first, ...get(first), ...get(second), ...simd(0xe4)),
      ...flushed(first),
      ...storeVector(to, 0, ...choose(get(first), words(0xffc00000), [...get(first), ...get(first), ...simd(0x41)])),
    ],
  })

/**
 * Some channels of consecutive lanes into a channels-last image. Parameters: from, to, rows, columns (at least as many as channels),
 * bytes from row to row of both, bytes from pixel to pixel of the image.
 */
function spread(channels: 4 | 8, inputSize: number, block: (at: number, out: number, step: number) => Code): Routine {
  const [from, to, rows, columns, fromStep, toStep, step] = [0, 1, 2, 3, 4, 5, 6]
  const [x, last, at, out] = [7, 8, 9, 10]
  return {
    parameters: 7,
    locals: [
      [4, i32],
      [10, v128],
    ],
    body: [
      ...set(last, ...get(columns), ...constant(channels), subtract),
      ...times(
        rows,
        ...set(x, ...constant(0)),
        ...[0x03, 0x40],
        ...set(at, ...get(from), ...get(x), ...constant(inputSize), multiply, add),
        ...set(out, ...get(to), ...get(x), ...get(step), multiply, add),
        ...block(at, out, step),
        // The last block goes back to where it fits.
        ...[...get(x), ...get(last), 0x47, 0x04, 0x40],
        ...advance(x, channels),
        ...set(x, ...get(x), ...get(last), ...get(x), ...get(last), 0x49, 0x1b), // select
        ...[0x0c, 1, 0x0b, 0x0b],
        ...advanceBy(from, fromStep),
        ...advanceBy(to, toStep),
      ),
    ],
  }
}

const lane = (at: number, i: number): Code => [...get(at), ...constant(i * laneBytes), add]

/** A square of eight bytes, as int16. */
const spreadBytes = (signed: boolean): Routine =>
  spread(8, 1, (at, out, step) => {
    const v = Array.from({ length: 8 }, (_, i) => 11 + i)
    const mix = (a: number, b: number, unit: number, upper: boolean): Code => {
      const [start, each] = [upper ? 8 / unit : 0, 8 / unit]
      const order = Array.from({ length: each }, (_, i) => [start + i, 16 / unit + start + i]).flat()
      return shuffle(
        get(a),
        get(b),
        order.flatMap((item) => Array.from({ length: unit }, (_, i) => item * unit + i)),
      )
    }
    const pair = (to: number, a: number, b: number, unit: number, other = -1): Code => {
      const low = set(other === -1 ? to : 19, ...mix(a, b, unit, false))
      return other === -1 ? low : [...low, ...set(other, ...mix(a, b, unit, true)), ...set(to, ...get(19))]
    }
    return [
      ...v.flatMap((one, i) => set(one, ...lane(at, i), ...simd(0x5d, 0, 0))), // v128.load64_zero
      ...[0, 2, 4, 6].flatMap((i) => pair(v[i]!, v[i]!, v[i + 1]!, 1)),
      ...[0, 4].flatMap((i) => pair(v[i]!, v[i]!, v[i + 2]!, 2, v[i + 2]!)),
      ...[0, 2].flatMap((i) => pair(v[i]!, v[i]!, v[i + 4]!, 4, v[i + 4]!)),
      ...[0, 4, 2, 6].flatMap((i) =>
        [0, 1].flatMap((half) => [
          ...storeVector(out, 0, ...get(v[i]!), ...simd((signed ? 0x87 : 0x89) + half)),
          ...advanceBy(out, step),
        ]),
      ),
    ]
  })

/** A square of four float32, or binary16 or bfloat16 as float32. */
const spreadFloats = (type: 'f32' | 'f16' | 'bf16'): Routine =>
  spread(4, type === 'f32' ? 4 : 2, (at, out, step) => {
    const [a, b, c, d, e, f] = [11, 12, 13, 14, 15, 16]
    const load = (to: number, i: number): Code => {
      if (type === 'f32') return [...set(to, ...lane(at, i), ...simd(0x00, 0, 0)), ...flushed(to)]
      const bits: Code = [...lane(at, i), ...simd(0x04, 0, 0)]
      return type === 'bf16'
        ? set(to, ...bits, ...constant(16), ...simd(0xab))
        : [...set(to, ...bits), ...f16Widened(to, e)]
    }
    const mix = (one: number, other: number, order: readonly number[]): Code =>
      shuffleWords(get(one), get(other), order)
    const store = (value: Code): Code => [...storeVector(out, 0, ...value), ...advanceBy(out, step)]
    return [
      ...[a, b, c, d].flatMap(load),
      ...set(e, ...mix(a, b, [0, 4, 1, 5])),
      ...set(f, ...mix(c, d, [0, 4, 1, 5])),
      ...store(mix(e, f, [0, 1, 4, 5])),
      ...store(mix(e, f, [2, 3, 6, 7])),
      ...set(e, ...mix(a, b, [2, 6, 3, 7])),
      ...set(f, ...mix(c, d, [2, 6, 3, 7])),
      ...store(mix(e, f, [0, 1, 4, 5])),
      ...store(mix(e, f, [2, 3, 6, 7])),
    ]
  })

/**
 * A filter's 8-bit weights, in blocks of 64 channels and in them tap by tap, as int16 channel by channel, less their zero point.
 * Parameters: from, to, runs and taps of each, bytes from tap to tap and from block to block, channels, zero point. A run is filled
 * with zeros to a multiple of 8 numbers; 16 bytes behind the last one are written, too.
 */
function filterBytes(signed: boolean): Routine {
  const [from, to, runs, taps, tapStep, blockStep, channels, zero] = [0, 1, 2, 3, 4, 5, 6, 7]
  const [left, at, out, count, end, run] = [8, 9, 10, 11, 12, 13]
  const [zeros] = [14]
  return {
    parameters: 8,
    locals: [
      [6, i32],
      [1, v128],
    ],
    body: [
      ...set(zeros, ...get(zero), ...simd(0x10)),
      ...times(
        runs,
        ...set(run, ...get(to)),
        ...set(left, ...get(taps)),
        ...times(
          left,
          ...set(at, ...get(from)),
          ...set(out, ...get(to)),
          ...set(end, ...get(to), ...get(channels), ...constant(2), multiply, add),
          ...set(count, ...constant(8)),
          ...loopBelow(
            out,
            end,
            ...storeVector(out, 0, ...get(at), ...simd(signed ? 0x01 : 0x02, 0, 0), ...get(zeros), ...simd(0x91)),
            ...advance(out, 16),
            ...advance(at, 8),
            ...set(count, ...get(count), ...constant(1), subtract),
            ...[...get(count), 0x45], // i32.eqz
            ...when(
              ...set(at, ...get(at), ...get(blockStep), add, ...constant(64), subtract),
              ...set(count, ...constant(8)),
            ),
          ),
          ...set(to, ...get(end)),
          ...advanceBy(from, tapStep),
        ),
        ...storeVector(to, 0, ...words(0)),
        // Up to a multiple of 16 bytes.
        ...set(to, ...get(run), ...get(to), ...get(run), subtract, ...constant(15), add, ...constant(-16), 0x71, add),
      ),
    ],
  }
}

/** Bytes from a table of 256. Parameters: to, from (bytes that are places in the table), count, table. */
function lookup(): Routine {
  const [to, from, count, table, rest] = [0, 1, 2, 3, 4]
  const one = (i: number): Code => [
    ...get(to),
    ...[...get(table), ...get(from), ...[0x2d, 0, i], add], // i32.load8_u
    ...[0x2d, 0, 0, 0x3a, 0, i], // i32.load8_u, i32.store8
  ]
  return {
    parameters: 4,
    locals: [[1, i32]],
    body: [
      ...set(rest, ...get(count), ...constant(7), 0x71),
      ...set(count, ...get(count), ...constant(3), 0x76),
      ...get(count),
      ...when(...times(count, ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap(one), ...advance(to, 8), ...advance(from, 8))),
      ...get(rest),
      ...when(...times(rest, ...one(0), ...advance(to, 1), ...advance(from, 1))),
    ],
  }
}

/** Parameters: to, from, rows, bytes of a row, bytes from row to row of both. */
const copyRows: Routine = {
  parameters: 6,
  locals: [],
  body: times(2, ...copyBytes(get(0), get(1), get(3)), ...advanceBy(0, 4), ...advanceBy(1, 5)),
}

export const planeRoutines = {
  largest_s8_1: largestBytes(1, true),
  largest_s8_2: largestBytes(2, true),
  largest_u8_1: largestBytes(1, false),
  largest_u8_2: largestBytes(2, false),
  largest_f32_1: largestFloats(1, false),
  largest_f32_2: largestFloats(2, false),
  largest_f16_1: largestFloats(1, true),
  largest_f16_2: largestFloats(2, true),
  weighted_s8_1: weightedBytes(1, true),
  weighted_s8_2: weightedBytes(2, true),
  weighted_u8_1: weightedBytes(1, false),
  weighted_u8_2: weightedBytes(2, false),
  weighted_f32_1: weightedSingles(1),
  weighted_f32_2: weightedSingles(2),
  spread_s8: spreadBytes(true),
  spread_u8: spreadBytes(false),
  spread_f32: spreadFloats('f32'),
  spread_f16: spreadFloats('f16'),
  spread_bf16: spreadFloats('bf16'),
  filter_s8: filterBytes(true),
  filter_u8: filterBytes(false),
  lookup: lookup(),
  copyRows,
} as const
