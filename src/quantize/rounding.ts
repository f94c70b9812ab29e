/**
 * The roundings of the BM chips. Everything that becomes an integer or a 16-bit float goes through these.
 */
import type { QType } from './qgraph.js'

export type IntType = Extract<QType, { readonly kind: 'i8' | 'u8' }>
export type IntKind = IntType['kind']
export type FloatKind = Exclude<QType['kind'], IntKind>

/** Smallest and largest stored value. */
export const intRange = (kind: IntKind): readonly [number, number] => (kind === 'i8' ? [-128, 127] : [0, 255])

export const isInt = (type: QType): type is IntType => type.kind === 'i8' || type.kind === 'u8'

/** What stands for 0. */
export const zeroOf = (type: QType): number => ('zero' in type ? (type.zero ?? 0) : 0)

export const sameType = (a: IntType, b: IntType): boolean =>
  a.kind === b.kind && a.scale === b.scale && zeroOf(a) === zeroOf(b)

export const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value))

/** C's round: to the nearest, ties away from zero. `Math.round` sends ties up, and |x| + 0.5 fails just below 0.5. */
export function roundHalfAway(value: number): number {
  const whole = Math.trunc(value)
  return Math.abs(value - whole) >= 0.5 ? whole + Math.sign(value) : whole
}

/**
 * Right shift with rounding: floor(value / 2^shift + 1/2), ties towards +infinity; a negative shift multiplies.
 * Exact for whole |value| below 2^53.
 */
export function rsr(value: number, shift: number): number {
  const unit = 2 ** shift
  if (shift <= 0) return value / unit
  const floor = Math.floor(value / unit)
  return value - floor * unit >= unit / 2 ? floor + 1 : floor
}

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** float32 -> float16 -> float32: nearest, ties to even; below 2^-14 in steps of 2^-24; from 65520 on infinity. */
export function roundF16(value: number): number {
  float[0] = value
  const size = Math.abs(float[0])
  if (size < 2 ** -14) {
    // float32 numbers next to 0.5 are 2^-24 apart, so adding 0.5 rounds to subnormal steps.
    const rounded = Math.fround(size + 0.5) - 0.5
    return value < 0 || Object.is(value, -0) ? -rounded : rounded
  }
  if (Number.isNaN(value) || size === Infinity) return value
  bits[0] = (bits[0]! + 0xfff + ((bits[0]! >>> 13) & 1)) & ~0x1fff
  const rounded = float[0]
  return Math.abs(rounded) > 65504 ? Math.sign(rounded) * Infinity : rounded
}

/** float32 -> bfloat16 -> float32: nearest, ties to even. */
export function roundBf16(value: number): number {
  if (Number.isNaN(value)) return value
  float[0] = value
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & ~0xffff
  return float[0]
}

/** How a real number is stored in a float type; the double is narrowed to float32 first, as the chip's tools do. */
export function roundTo(kind: FloatKind, value: number): number {
  if (kind === 'f16') return roundF16(Math.fround(value))
  return kind === 'bf16' ? roundBf16(Math.fround(value)) : Math.fround(value)
}
