/** The chip's arithmetic on single numbers: roundings, saturation, 16-bit floats. Integers are doubles where they are exact. */
import { prec, rounding } from '../isa/forms.js'

/**
 * value * 2^-shift rounded to a whole number. Exact for whole |value| < 2^53.
 * @param shift 0 or more; what lies above 63 acts as 63
 * @param mode one of `rounding`, all seven
 */
export function roundShift(value: number, shift: number, mode: number): number {
  if (shift === 0) return value
  const unit = 2 ** Math.min(shift, 63)
  const floor = Math.floor(value / unit)
  // How much is above the floor, less one half. From the ceiling 0 downwards where that is it, since the other way would not be exact.
  const side = floor === -1 ? unit / 2 + value : value - floor * unit - unit / 2
  return floor + carry(side, value !== floor * unit, floor % 2 !== 0, value < 0, mode)
}

/** The same on whole numbers of any size; the shift is right where positive, left where negative. */
export function roundShiftBig(value: bigint, shift: number, mode: number): bigint {
  if (shift <= 0) return value << BigInt(-shift)
  const by = BigInt(Math.min(shift, 63))
  const floor = value >> by
  const rest = value - (floor << by)
  const half = 1n << (by - 1n)
  return (
    floor + BigInt(carry(rest > half ? 1 : rest === half ? 0 : -1, rest !== 0n, floor % 2n !== 0n, value < 0n, mode))
  )
}

/** Rounds a real number to a whole one; `mode` is one of `rounding`. */
export function roundWhole(value: number, mode: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest === 0 || Number.isNaN(rest)) return value
  return floor + carry(rest - 0.5, true, floor % 2 !== 0, value < 0, mode)
}

/**
 * What is added to the floor of a number.
 * @param side of the fraction: below one half (< 0), on it (0) or above (> 0)
 * @param some is there a fraction
 */
function carry(side: number, some: boolean, odd: boolean, negative: boolean, mode: number): 0 | 1 {
  switch (mode) {
    case rounding.halfEven:
      return side > 0 || (side === 0 && odd) ? 1 : 0
    case rounding.halfAway:
      return side > 0 || (side === 0 && !negative) ? 1 : 0
    case rounding.towardZero:
      return some && negative ? 1 : 0
    case rounding.floor:
      return 0
    case rounding.ceil:
      return some ? 1 : 0
    case rounding.halfUp:
      return side >= 0 ? 1 : 0
    default:
      return side > 0 ? 1 : 0
  }
}

const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)
const float = new Float32Array(1)
const floatBits = new Uint32Array(float.buffer)

/** A number rounded once to a float of so many fraction bits, to the nearest or by one of `rounding` 0..4. */
function narrow(value: number, fraction: number, smallest: number, mode: number): number {
  double[0] = value
  const exponent = Math.max(((words[1]! >>> 20) & 0x7ff) - 1023, smallest)
  const unit = 2 ** (exponent - fraction)
  return roundWhole(value / unit, mode) * unit
}

/**
 * binary16 bits of a number, rounded once; small numbers stay subnormal, what is too large becomes infinity.
 * @param infinite false: where the mode rounds towards 0, it becomes the largest number instead
 */
export function f16Bits(value: number, mode: number = rounding.halfEven, infinite = true): number {
  double[0] = value
  const sign = (words[1]! >>> 16) & 0x8000
  if (Number.isNaN(value)) return 0x7e00
  const size = Math.abs(Number.isFinite(value) ? narrow(value, 10, -14, mode) : value)
  if (size > 65504) return sign | (!infinite && Number.isFinite(value) && keepsFinite(value, mode) ? 0x7bff : 0x7c00)
  if (size < 2 ** -14) return sign | (size * 2 ** 24)
  float[0] = size
  return sign | (((floatBits[0]! - 0x38000000) >>> 13) & 0x7fff)
}

/** Does what is too large become the largest number, and not infinity? */
const keepsFinite = (value: number, mode: number): boolean =>
  mode === rounding.towardZero || mode === (value > 0 ? rounding.floor : rounding.ceil)

/** bfloat16 bits of a number, rounded once. */
export function bf16Bits(value: number, mode: number = rounding.halfEven): number {
  if (Number.isNaN(value)) return 0x7fc0
  float[0] = Number.isFinite(value) ? narrow(value, 7, -126, mode) : value
  return floatBits[0]! >>> 16
}

/** A number as float32, by one of `rounding` 0..4. */
export function f32Of(value: number, mode: number = rounding.halfEven): number {
  return mode === rounding.halfEven || !Number.isFinite(value)
    ? Math.fround(value)
    : Math.fround(narrow(value, 23, -126, mode))
}

/** The number that bits of a type stand for. `bits` may have more than the type's width. */
export function f32FromBits(bits: number): number {
  floatBits[0] = bits
  return float[0]!
}

/** The bits of a number rounded to float32. */
export function f32Bits(value: number): number {
  float[0] = value
  return floatBits[0]!
}

/** The value of each binary16 pattern. */
export const f16Values: Float32Array = new Float32Array(65536).map((_, bits) => {
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  const size =
    exponent === 31
      ? fraction === 0
        ? Infinity
        : Number.NaN
      : exponent === 0
        ? fraction * 2 ** -24
        : (1 + fraction / 1024) * 2 ** (exponent - 15)
  return bits & 0x8000 ? -size : size
})

/** float32 arithmetic takes and gives 0 for subnormal numbers. */
export function flush(line: Float64Array, count: number): void {
  for (let i = 0; i < count; i++) if (Math.abs(line[i]!) < 2 ** -126) line[i] = line[i]! < 0 ? -0 : 0
}

/**
 * How a number is stored in a float type: fp32, or the 16-bit type whose bits `f16Bits` or `bf16Bits` give. The chip's elementwise,
 * pooling and special functions round so after every single operation.
 */
export function rounder(code: number): (value: number) => number {
  if (code === prec.fp16) return (value) => f16Values[f16Bits(value)]!
  if (code === prec.bf16) return (value) => f32FromBits(bf16Bits(value) << 16)
  return Math.fround
}

/**
 * Products of 16-bit floats as the cube adds them: cut off 24 bits below the leading bit of the largest, added exactly, rounded to
 * float32.
 */
export function alignedSum(products: Float64Array, count: number): number {
  let most = 0
  for (let i = 0; i < count; i++) most = Math.max(most, Math.abs(products[i]!))
  if (most === 0) return 0
  double[0] = most
  const unit = 2 ** (((words[1]! >>> 20) & 0x7ff) - 1023 - 24)
  let sum = 0
  for (let i = 0; i < count; i++) sum += Math.trunc(products[i]! / unit)
  return Math.fround(sum * unit)
}

/** Saturates numbers in place. */
export function clampLine(line: Float64Array, count: number, least: number, most: number): void {
  for (let i = 0; i < count; i++) line[i] = Math.min(most, Math.max(least, line[i]!))
}
