/**
 * Loops over rows of elements, in vectors: the elementwise commands that networks consist of. Each computes what the general code
 * beside it (`arith.ts`, `requant.ts`, `cast.ts`) does, bit for bit.
 */
import { laneBytes, lanes } from '../chip.js'
import { f16Narrowed, f16Widened, flushed, flushedDoubles, plainNaN } from './floats.js'
import {
  advance,
  advanceBy,
  both,
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
  shuffleWords,
  simd,
  storeVector,
  subtract,
  v128,
  when,
  words,
} from './wasm.js'

/** Behind local memory: room for the elements of a row that do not fill a vector, and for values that stand for whole rows. */
const tails = lanes * laneBytes
/** Room for a value in all places of a vector, for each of two inputs. */
export const repeated = [tails + 256, tails + 320] as const
/** From here on convolution and pooling have their room. */
export const workBase = tails + 512

/** Local variables of a body: where the result goes, where inputs come from, what was given beside them, and some vectors. */
interface Names {
  readonly to: number
  readonly from: readonly number[]
  readonly given: readonly number[]
  readonly v: readonly number[]
}

interface Row {
  readonly routine: Routine
  readonly elements: number
}

/**
 * Parameters: to, count (of elements), for each input its address and its step in bytes from vector to vector (0 for a value in
 * all places), then `given` numbers. A row may be its own input where both have one width.
 * @param count elements of a vector
 * @param sizes bytes of an element of the result and of each input
 */
function row(
  count: number,
  [resultSize, ...inputSizes]: readonly [number, ...number[]],
  given: number,
  body: (names: Names) => Code,
): Row {
  const [to, total] = [0, 1]
  const from = inputSizes.map((_, i) => 2 + 2 * i)
  const firstGiven = 2 + 2 * inputSizes.length
  const parameters = firstGiven + given
  const [end, rest, saved] = [parameters, parameters + 1, parameters + 2]
  const v = Array.from({ length: 10 }, (_, i) => parameters + 3 + i)
  const names: Names = { to, from, given: Array.from({ length: given }, (_, i) => firstGiven + i), v }
  const bytes = (size: number): Code => [...get(rest), ...constant(size), multiply]
  const routine: Routine = {
    parameters,
    locals: [
      [3, i32],
      [10, v128],
    ],
    body: [
      ...set(rest, ...get(total), ...constant(count - 1), 0x71),
      ...set(total, ...get(total), ...get(rest), subtract),
      ...get(total),
      ...when(
        ...set(end, ...get(to), ...get(total), ...constant(resultSize), multiply, 0x6a),
        ...loopBelow(
          to,
          end,
          ...body(names),
          ...advance(to, count * resultSize),
          ...from.flatMap((address) => advanceBy(address, address + 1)),
        ),
      ),
      ...get(rest),
      ...when(
        ...inputSizes.flatMap((size, i) => [
          ...copyBytes(constant(tails + 64 * i), get(from[i]!), bytes(size)),
          ...set(from[i]!, ...constant(tails + 64 * i)),
        ]),
        ...set(saved, ...get(to)),
        ...set(to, ...constant(tails + 128)),
        ...body(names),
        ...copyBytes(get(saved), constant(tails + 128), bytes(resultSize)),
      ),
    ],
  }
  return { routine, elements: count }
}

const four = (of: (i: number) => Code): Code => [0, 1, 2, 3].flatMap(of)
const splat = (local: number, ofLane: 'i8' | 'i16' | 'i32' | 'i64'): Code => [
  ...get(local),
  ...(ofLane === 'i64' ? [0xac] : []),
  ...simd({ i8: 0x0f, i16: 0x10, i32: 0x11, i64: 0x12 }[ofLane]),
]
/** Four vectors of int32 in v[0..3] as 16 results of a narrower type: saturated. */
type Narrow = 's8' | 'u8' | 's16' | 'u16'
const narrowFrom: Readonly<Record<'i16' | 'i32', Readonly<Record<'s' | 'u', Code>>>> = {
  i16: { s: simd(0x65), u: simd(0x66) },
  i32: { s: simd(0x85), u: simd(0x86) },
}
function storeNarrow({ to, v }: Names, type: Narrow): Code {
  const pair = (i: number, sign: 's' | 'u'): Code => [...get(v[i]!), ...get(v[i + 1]!), ...narrowFrom.i32[sign]]
  if (type === 's8' || type === 'u8')
    return storeVector(to, 0, ...pair(0, 's'), ...pair(2, 's'), ...narrowFrom.i16[type === 's8' ? 's' : 'u'])
  const sign = type === 's16' ? 's' : 'u'
  return [...storeVector(to, 0, ...pair(0, sign)), ...storeVector(to, 16, ...pair(2, sign))]
}

/**
 * rq1 of int32: round half up(x * multiplier * 2^-shift) + zero, saturated. Given: multiplier, shift - 32, zero, and half of 2^shift as
 * a power of 2; shift 32 .. 62. The upper words of the 64-bit sums are the result but for a shift.
 */
function requantRow(type: Narrow): Row {
  return row(16, [type === 's8' || type === 'u8' ? 1 : 2, 4], 4, (names) => {
    const { v, from, given } = names
    const [multiplier, half, zero] = [v[4]!, v[5]!, v[6]!]
    const product = (value: number, part: 'low' | 'high'): Code => [
      ...[...get(value), ...get(multiplier), ...simd(part === 'low' ? 0xdc : 0xdd)], // i64x2.extmul
      ...[...get(half), ...simd(0xce)], // i64x2.add
    ]
    return [
      ...set(multiplier, ...splat(given[0]!, 'i32')),
      ...set(half, ...simd(0x0c, 1, ...new Array<number>(7).fill(0), 1, ...new Array<number>(7).fill(0))),
      ...set(half, ...get(half), ...get(given[3]!), ...simd(0xcb)), // i64x2.shl
      ...set(zero, ...splat(given[2]!, 'i32')),
      ...four((i) => [
        ...set(v[i]!, ...loadVector(from[0]!, 16 * i)),
        ...set(
          v[i]!,
          ...shuffleWords(product(v[i]!, 'low'), product(v[i]!, 'high'), [1, 3, 5, 7]),
          ...[...get(given[1]!), ...simd(0xac)], // i32x4.shr_s
          ...[...get(zero), ...simd(0xae)],
        ),
      ]),
      ...storeNarrow(names, type),
    ]
  })
}

/** adds of int32. */
const addWords = row(4, [4, 4, 4], 0, ({ to, from, v }) => [
  ...set(v[0]!, ...loadVector(from[0]!)),
  ...set(v[1]!, ...loadVector(from[1]!)),
  ...set(v[2]!, ...get(v[0]!), ...get(v[1]!), ...simd(0xae)),
  // Both inputs differ in sign from their sum: it becomes the extreme on their side.
  ...set(v[3]!, ...both([...get(v[0]!), ...get(v[2]!), ...simd(0x51)], [...get(v[1]!), ...get(v[2]!), ...simd(0x51)])),
  ...storeVector(
    to,
    0,
    ...choose([...get(v[0]!), ...constant(31), ...simd(0xac), ...words(0x7fffffff), ...simd(0x51)], get(v[2]!), [
      ...get(v[3]!),
      ...constant(31),
      ...simd(0xac),
    ]),
  ),
])

/** adds of int16 to int8. */
const addHalves = row(16, [1, 2, 2], 0, ({ to, from }) => {
  const sum = (at: number): Code => [...loadVector(from[0]!, at), ...loadVector(from[1]!, at), ...simd(0x8f)]
  return storeVector(to, 0, ...sum(0), ...sum(16), ...narrowFrom.i16.s)
})

/**
 * muls of 8 bits by a number, shifted to the right and rounded half up. Given: the number, the shift (0 .. 15), shift - 1 (or 0) and
 * 1 (0 for no shift). Products fit int16.
 */
function scaleBytes(input: 's' | 'u', type: 's8' | 'u8' | 's16'): Row {
  return row(16, [type === 's16' ? 2 : 1, 1], 4, ({ to, from, given, v }) => {
    const extend = { s: [0x87, 0x88], u: [0x89, 0x8a] }[input]
    const part = (i: number): Code => [
      ...set(v[i]!, ...get(v[2]!), ...simd(extend[i]!), ...splat(given[0]!, 'i16'), ...simd(0x95)), // i16x8.mul
      ...set(
        v[i]!,
        ...[...get(v[i]!), ...get(given[1]!), ...simd(0x8c)], // i16x8.shr_s
        ...both([...get(v[i]!), ...get(given[2]!), ...simd(0x8c)], splat(given[3]!, 'i16')),
        ...simd(0x8e),
      ),
    ]
    const store =
      type === 's16'
        ? [...storeVector(to, 0, ...get(v[0]!)), ...storeVector(to, 16, ...get(v[1]!))]
        : storeVector(to, 0, ...get(v[0]!), ...get(v[1]!), ...narrowFrom.i16[type === 's8' ? 's' : 'u'])
    return [...set(v[2]!, ...loadVector(from[0]!)), ...part(0), ...part(1), ...store]
  })
}

const largerBytes = (operation: number): Row =>
  row(16, [1, 1, 1], 0, ({ to, from }) =>
    storeVector(to, 0, ...loadVector(from[0]!), ...loadVector(from[1]!), ...simd(operation)),
  )

/** mul, add of float32: in doubles, rounded once behind the flush. */
function singles(operation: number): Row {
  return row(4, [4, 4, 4], 0, ({ to, from, v }) => {
    const [a, b, low, high] = [v[0]!, v[1]!, v[2]!, v[3]!]
    const half = (local: number, upper: boolean): Code => [
      ...(upper ? shuffleWords(get(local), get(local), [2, 3, 2, 3]) : get(local)),
      ...simd(0x5f), // f64x2.promote_low_f32x4
    ]
    return [
      ...set(a, ...loadVector(from[0]!)),
      ...set(b, ...loadVector(from[1]!)),
      ...flushed(a),
      ...flushed(b),
      ...set(low, ...half(a, false), ...half(b, false), ...simd(operation)),
      ...set(high, ...half(a, true), ...half(b, true), ...simd(operation)),
      ...flushedDoubles(low),
      ...flushedDoubles(high),
      ...set(a, ...shuffleWords([...get(low), ...simd(0x5e)], [...get(high), ...simd(0x5e)], [0, 1, 4, 5])),
      ...plainNaN(a),
      ...storeVector(to, 0, ...get(a)),
    ]
  })
}

const largerSingles = row(4, [4, 4, 4], 0, ({ to, from, v }) => {
  const [a, b] = [v[0]!, v[1]!]
  return [
    ...set(a, ...loadVector(from[0]!)),
    ...set(b, ...loadVector(from[1]!)),
    ...flushed(a),
    ...flushed(b),
    ...set(a, ...choose(get(a), get(b), [...get(a), ...get(b), ...simd(0x44)])),
    ...flushed(a),
    ...plainNaN(a),
    ...storeVector(to, 0, ...get(a)),
  ]
})

/** Subnormal numbers of a row become 0. */
const flushRow = row(4, [4, 4], 0, ({ to, from, v }) => [
  ...set(v[0]!, ...loadVector(from[0]!)),
  ...flushed(v[0]!),
  ...storeVector(to, 0, ...get(v[0]!)),
])

/** Casts of float32 to 8 bits, ties to even or away from 0; NaN becomes 0. */
function castSingles(type: 's8' | 'u8', ties: 'even' | 'away'): Row {
  return row(16, [1, 4], 0, (names) => {
    const { from, v } = names
    const [value, whole] = [v[4]!, v[5]!]
    const rest: Code = [...get(value), ...get(whole), ...simd(0xe5), ...simd(0xe0)]
    const away: Code = [
      ...set(whole, ...get(value), ...simd(0x69)), // f32x4.trunc
      ...get(whole),
      ...both([...words(0x3f000000), ...rest, ...simd(0x45)], words(0x3f800000)), // 0.5 <= rest ? 1 : 0
      ...both(get(value), words(1 << 31)),
      ...simd(0x50),
      ...simd(0xe4),
    ]
    return [
      ...four((i) => [
        ...set(value, ...loadVector(from[0]!, 16 * i)),
        ...set(v[i]!, ...(ties === 'even' ? [...get(value), ...simd(0x6a)] : away), ...simd(0xf8)), // i32x4.trunc_sat
      ]),
      ...storeNarrow(names, type),
    ]
  })
}

/** mul, add, max of binary16, by way of float32: its 24 bits are twice 11 and 2, so that rounding twice does no harm. */
function halves(operation: 'mul' | 'add' | 'max'): Row {
  return row(8, [2, 2, 2], 0, ({ to, from, v }) => {
    const part = (i: 0 | 1): Code => [
      ...set(v[2]!, ...loadVector(from[0]!), ...simd(i === 0 ? 0xa9 : 0xaa)),
      ...set(v[3]!, ...loadVector(from[1]!), ...simd(i === 0 ? 0xa9 : 0xaa)),
      ...f16Widened(v[2]!, v[4]!),
      ...f16Widened(v[3]!, v[4]!),
      ...set(
        v[i]!,
        ...(operation === 'max'
          ? choose(get(v[2]!), get(v[3]!), [...get(v[2]!), ...get(v[3]!), ...simd(0x44)])
          : [...get(v[2]!), ...get(v[3]!), ...simd(operation === 'mul' ? 0xe6 : 0xe4)]),
      ),
      ...f16Narrowed(v[i]!, v[4]!, v[5]!),
    ]
    return [...part(0), ...part(1), ...storeVector(to, 0, ...get(v[0]!), ...get(v[1]!), ...simd(0x86))]
  })
}

const halfToSingle = row(4, [4, 2], 0, ({ to, from, v }) => [
  ...set(v[0]!, ...get(from[0]!), ...simd(0x04, 0, 0)), // v128.load16x4_u
  ...f16Widened(v[0]!, v[1]!),
  ...plainNaN(v[0]!),
  ...storeVector(to, 0, ...get(v[0]!)),
])

const singleToHalf = row(8, [2, 4], 0, ({ to, from, v }) => [
  ...([0, 1] as const).flatMap((i) => [
    ...set(v[i]!, ...loadVector(from[0]!, 16 * i)),
    ...flushed(v[i]!),
    ...f16Narrowed(v[i]!, v[4]!, v[5]!),
  ]),
  ...storeVector(to, 0, ...get(v[0]!), ...get(v[1]!), ...simd(0x86)),
])

/** dq0 of 8 bits: (x - zero) * scale. Given: zero, the bits of the scale. */
const toSingles = (input: 's' | 'u'): Row =>
  row(8, [4, 1], 2, ({ to, from, given, v }) => [
    ...set(v[0]!, ...get(from[0]!), ...simd(input === 's' ? 0x01 : 0x02, 0, 0)), // v128.load8x8
    ...([0, 1] as const).flatMap((i) =>
      storeVector(
        to,
        16 * i,
        ...[...get(v[0]!), ...simd(i === 0 ? 0xa7 : 0xa8)],
        ...[...splat(given[0]!, 'i32'), ...simd(0xb1), ...simd(0xfa)],
        ...[...splat(given[1]!, 'i32'), ...simd(0xe6)],
      ),
    ),
  ])

const rows = {
  requant_s8: requantRow('s8'),
  requant_u8: requantRow('u8'),
  requant_s16: requantRow('s16'),
  requant_u16: requantRow('u16'),
  add32: addWords,
  add16_s8: addHalves,
  scale_s8_s8: scaleBytes('s', 's8'),
  scale_s8_s16: scaleBytes('s', 's16'),
  scale_u8_s8: scaleBytes('u', 's8'),
  scale_u8_u8: scaleBytes('u', 'u8'),
  scale_u8_s16: scaleBytes('u', 's16'),
  max_s8: largerBytes(0x78),
  max_u8: largerBytes(0x79),
  mul_f32: singles(0xf2),
  add_f32: singles(0xf0),
  max_f32: largerSingles,
  flush_f32: flushRow,
  cast_s8_even: castSingles('s8', 'even'),
  cast_s8_away: castSingles('s8', 'away'),
  cast_u8_even: castSingles('u8', 'even'),
  cast_u8_away: castSingles('u8', 'away'),
  mul_f16: halves('mul'),
  add_f16: halves('add'),
  max_f16: halves('max'),
  f16_f32: halfToSingle,
  f32_f16: singleToHalf,
  dequant_s8: toSingles('s'),
  dequant_u8: toSingles('u'),
} as const

const each = <T>(of: (one: Row) => T): Record<keyof typeof rows, T> =>
  Object.fromEntries(Object.entries(rows).map(([name, one]) => [name, of(one)])) as Record<keyof typeof rows, T>

export const rowRoutines = each(({ routine }) => routine)
/** Elements that a loop takes at once. */
export const vectorElements = each(({ elements }) => elements)
