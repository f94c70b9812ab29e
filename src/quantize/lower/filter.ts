/**
 * Filters, biases and constants in 8 bit.
 *
 * The chip's accumulator has 32 bits and wraps around. Here it is made sure that it never does, whatever the network input: a
 * bias is clamped to what the largest possible products leave it, and a filter whose products alone could leave 32 bits is refused.
 */
import { QuantError } from '../../errors.js'
import type { Weight } from '../../ir/graph.js'
import { scaleAndShift } from '../multiplier.js'
import type { QWeight, Requant } from '../qgraph.js'
import { clamp, type IntKind, type IntType, intRange, roundHalfAway, zeroOf } from '../rounding.js'

/** Below this a channel's weights are taken as this large; the vendor's constant, a float32. */
const smallestScale = Math.fround(1e-5)

export interface IntFilter {
  readonly filter: QWeight
  readonly bias: Int32Array | undefined
  /** One per output channel of a conv, one for a fully connected layer. */
  readonly requants: readonly Requant[]
  /** Biases that had no room in the accumulator and were clamped. */
  readonly clamped: number
}

/**
 * Per output channel: scale = max|w| / 127, or / 255 for a filter without negative values and without bias. The bias takes back what
 * the operand's zero point adds to the sums: round(b / scale - zero * sum of w).
 * @param filter [oc, ...]
 * @param bias [oc]
 * @param input of the operand
 * @param output scale of the result
 * @throws QuantError 'model' when the products of one channel can leave 32 bits.
 */
export function convFilter(
  name: string,
  filter: Weight,
  bias: Weight | undefined,
  input: IntType,
  output: number,
): IntFilter {
  const { kind, data, scales, magnitudes, sums } = channels(name, filter, bias !== undefined)
  return {
    filter: { shape: filter.shape, data, kind },
    requants: scales.map((scale) => scaleAndShift((scale * input.scale) / output, 32)),
    ...intBias(name, bias, roomFor(name, magnitudes, input), zeroOf(input), sums, (c) => scales[c]! * input.scale),
  }
}

interface Channels {
  readonly kind: IntKind
  readonly data: Int8Array | Uint8Array
  readonly scales: readonly number[]
  /** Sum of |w| over what one output channel reads. */
  readonly magnitudes: readonly number[]
  /** Sum of w over the same. */
  readonly sums: readonly number[]
}

/** Kept as long as the weights are: a search lowers the same network for every candidate. */
const quantized = new WeakMap<Float32Array, Map<boolean, Channels>>()

function channels(name: string, filter: Weight, biased: boolean): Channels {
  const known = quantized.get(filter.data) ?? new Map<boolean, Channels>()
  quantized.set(filter.data, known)
  const result = known.get(biased) ?? quantizeChannels(name, filter, biased)
  known.set(biased, result)
  return result
}

function quantizeChannels(name: string, filter: Weight, biased: boolean): Channels {
  const kind: IntKind = extrema(name, filter).low < 0 || biased ? 'i8' : 'u8'
  const data = kind === 'i8' ? new Int8Array(filter.data.length) : new Uint8Array(filter.data.length)
  const size = filter.data.length / filter.shape[0]!
  const magnitudes: number[] = []
  const sums: number[] = []
  const scales = Array.from({ length: filter.shape[0]! }, (_, channel) => {
    const part = filter.data.subarray(channel * size, (channel + 1) * size)
    let largest = 0
    for (let i = 0; i < part.length; i++) largest = Math.max(largest, Math.abs(part[i]!))
    const scale = Math.max(Math.fround(largest / intRange(kind)[1]), smallestScale)
    const stored = data.subarray(channel * size, (channel + 1) * size)
    quantize(part, scale, kind, stored)
    magnitudes.push(sumOf(stored, Math.abs))
    sums.push(sumOf(stored, plain))
    return scale
  })
  return { kind, data, scales, magnitudes, sums }
}

/**
 * One scale for the whole matrix, max|w| / 127, always signed.
 * @param filter [k, n], or [n, k] when `transposed`
 * @param bias [n]
 * @throws QuantError 'model' when the products of one result can leave 32 bits.
 */
export function matmulFilter(
  name: string,
  filter: Weight,
  bias: Weight | undefined,
  transposed: boolean,
  input: IntType,
  output: number,
): IntFilter {
  const { low, high } = extrema(name, filter)
  const scale = Math.max(-low, high) / 127 || smallestScale
  const data = new Int8Array(filter.data.length)
  quantize(filter.data, scale, 'i8', data)
  const [rows, columns] = filter.shape as [number, number]
  const perResult = (of: (w: number) => number): number[] =>
    transposed
      ? Array.from({ length: rows }, (_, n) => sumOf(data.subarray(n * columns, (n + 1) * columns), of))
      : Array.from({ length: columns }, (_, n) => sumOf(data, of, n, columns))
  return {
    filter: { shape: filter.shape, data, kind: 'i8' },
    requants: [scaleAndShift((input.scale * scale) / output, 32)],
    ...intBias(
      name,
      bias,
      roomFor(name, perResult(Math.abs), input),
      zeroOf(input),
      zeroOf(input) === 0 ? [] : perResult(plain),
      () => scale * input.scale,
    ),
  }
}

/**
 * A constant operand. Without a given scale the constant's own, max|c| / 127 or / 255. (The vendor takes the largest
 * value instead of the largest magnitude, which destroys constants that are mainly negative.)
 */
export function constant(name: string, weight: Weight, given?: number): { weight: QWeight; scale: number } {
  const { low, high } = extrema(name, weight)
  const kind: IntKind = low < 0 ? 'i8' : 'u8'
  const scale = given ?? (Math.fround(Math.max(-low, high) / intRange(kind)[1]) || 1)
  const data = kind === 'i8' ? new Int8Array(weight.data.length) : new Uint8Array(weight.data.length)
  quantize(weight.data, scale, kind, data)
  return { weight: { shape: weight.shape, data, kind }, scale }
}

/** A constant as values of the type are stored, cut off at what it can hold. */
export function atScale(name: string, weight: Weight, type: IntType): QWeight {
  const { kind, scale } = type
  extrema(name, weight)
  const zero = zeroOf(type)
  if (zero !== 0) {
    const [low, high] = intRange(kind)
    const stored = Int8Array.from(weight.data, (x) => clamp(roundHalfAway(x / scale) + zero, low, high))
    return { shape: weight.shape, data: stored, kind }
  }
  const data = kind === 'i8' ? new Int8Array(weight.data.length) : new Uint8Array(weight.data.length)
  quantize(weight.data, scale, kind, data)
  return { shape: weight.shape, data, kind }
}

/**
 * Slopes of a PRelu as slope * 2^shift in int8, with the largest shift, 0 to 31, that keeps the largest magnitude below 127. As the
 * vendor's tools do it, the fraction is dropped and not rounded. Slopes that are too large are cut off.
 */
export function slopes({ shape, data }: Weight): { slope: QWeight; shift: number } {
  const largest = data.reduce((most, slope) => Math.max(most, Math.abs(slope)), 0)
  let shift = 31
  while (shift > 0 && largest * 2 ** shift >= 127) shift--
  const ints = Int8Array.from(data, (slope) => clamp(Math.trunc(slope * 2 ** shift), -128, 127))
  return { slope: { shape, data: ints, kind: 'i8' }, shift: largest === 0 ? 0 : shift }
}

/** `clamp` of `roundHalfAway`, the other way round: what is small enough for int32 is cut off and rounded much faster. */
function quantize(from: Float32Array, scale: number, kind: IntKind, into: Int8Array | Uint8Array): void {
  const [low, high] = intRange(kind)
  for (let i = 0; i < from.length; i++) {
    const exact = from[i]! / scale
    const value = exact > high ? high : exact < low ? low : exact
    const whole = value | 0
    const rest = value - whole
    into[i] = rest >= 0.5 ? whole + 1 : rest <= -0.5 ? whole - 1 : whole
  }
}

const plain = (w: number): number => w

function sumOf(data: Int8Array | Uint8Array, of: (w: number) => number, from = 0, stride = 1): number {
  let sum = 0
  for (let i = from; i < data.length; i += stride) sum += of(data[i]!)
  return sum
}

/** Per channel, how large a bias may be so that no input can bring the sum out of int32. */
function roomFor(name: string, magnitudes: readonly number[], { kind }: IntType): number[] {
  const largest = kind === 'i8' ? 128 : 255
  return magnitudes.map((sum) => {
    const room = 2 ** 31 - 1 - sum * largest
    if (room >= 0) return room
    throw new QuantError('model', `the sums of ${name} can leave the 32 bits of the chip’s accumulator`, {
      hint: 'compute the layer in another precision',
    })
  })
}

function intBias(
  name: string,
  bias: Weight | undefined,
  room: readonly number[],
  zero: number,
  sums: readonly number[],
  scale: (channel: number) => number,
) {
  if (bias === undefined && zero === 0) return { bias: undefined, clamped: 0 }
  if (bias !== undefined) extrema(name, bias)
  const exact = room.map((_, c) => roundHalfAway((bias?.data[c] ?? 0) / scale(c) - (zero && zero * sums[c]!)))
  const fitting = exact.map((b, channel) => clamp(b, -room[channel]!, room[channel]!))
  return { bias: Int32Array.from(fitting), clamped: exact.filter((b, i) => b !== fitting[i]).length }
}

function extrema(name: string, { data }: Weight): { low: number; high: number } {
  let low = 0
  let high = 0
  for (let i = 0; i < data.length; i++) {
    const value = data[i]!
    if (!Number.isFinite(value))
      throw new QuantError('model', `a weight of ${name} is ${value}`, { hint: 'export the network again' })
    if (value < low) low = value
    if (value > high) high = value
  }
  return { low, high }
}
