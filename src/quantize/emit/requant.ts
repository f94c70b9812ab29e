/**
 * clamp(RSR(v * m, s)) in ONNX, exact. Adding 1.5 * 2^23 leaves no room for a fraction in float32 and so rounds to the nearest whole
 * number; subtracted again, it is gone. Unlike RSR this sends ties to even, so it is used only where that is shown to make no
 * difference:
 *
 * float32, for values of 8 bit: all of them are tried.
 * double, for sums: the sum with 1.5 * 2^23 is rounded to 2^-29 and then, by the cast to float32, to 1. Products nearer than that to
 *   the middle between two results may go wrong; none is, if that holds for the nearest on both sides of all 255 middles.
 *
 * Otherwise with floor, in three forms, the cheapest that is proven for the numbers at hand:
 *
 * float32, when |v * m| <= 2^23: the product is exact. If 0 < s <= 24, adding 1/2 keeps at most 24
 *   bits; if s > 24, |p| <= 1/4, and rounding cannot carry the sum out of [1/4, 3/4]. If s <= 0 there is nothing to round.
 * double, when s <= 45: m * 2^-s is exact, and so is the product while it is below 2^53 units of 2^-s. Larger ones are above 2^8
 *   and clamped, rounded or not. The sum with 1/2 and the offset is exact below 256 in the same way.
 * double in two halves, for larger s, with m = high * 2^16 + low:
 *   floor((v * m + 2^(s-1)) / 2^s) = floor((v * high + floor(v * low / 2^16) + 2^(s-17)) / 2^(s-16)), where no step needs 53 bits.
 */
import { DataType, float } from '../../ir/onnx/builder.js'
import type { Requant } from '../qgraph.js'
import { type IntType, intRange, rsr, zeroOf } from '../rounding.js'
import { type Emission, float32, float64, type Range } from './context.js'

/** Whether the product stays exact in float32. `bound` is the largest |v|. */
const fitsFloat32 = (bound: number, { multiplier }: Requant): boolean => bound * Math.abs(multiplier) <= 2 ** 23

/** A float32 from which on, up to twice itself, only whole numbers can be told apart. In the middle, for both signs. */
export const ROUNDER = 1.5 * 2 ** 23

/** A float32 value rounded to the nearest whole number, ties to even, for |x| < 2^22. Never -0. */
export const roundEven = (emission: Emission, value: string): string => {
  const rounder = float32(emission, ROUNDER)
  return emission.step('Sub', [emission.step('Add', [value, rounder]), rounder])
}

/** Whether float32 gives RSR(v * m, s) as roundEven(v * factor), for every whole v of the range. */
export function roundsAlike({ multiplier, shift }: Requant, factor: number, [low, high]: Range): boolean {
  if (high - low > 255) return false
  for (let v = low; v <= high; v++) {
    const rounded = Math.fround(Math.fround(v * Math.fround(factor)) + ROUNDER) - ROUNDER
    if (rounded !== rsr(v * multiplier, shift)) return false
  }
  return true
}

/** Whether fround(v * m * 2^-s + ROUNDER) rounds as RSR does, up to clamping, for every whole v. */
function roundsByCast({ multiplier, shift }: Requant, [low, high]: Range): boolean {
  if (multiplier < 0 || shift > 30) return false
  if (multiplier === 0 || shift <= 0) return true
  const unit = 2 ** -shift
  for (let result = low + 1; result <= high; result++) {
    // The products are whole numbers of units, and all numbers here are below 2^53.
    const middle = (2 * result - 1) * 2 ** (shift - 1)
    const above = Math.ceil(middle / multiplier) * multiplier - middle
    if (Math.min(above, multiplier - above) * unit <= 2 ** -30) return false
  }
  return true
}

/** What a result is clamped to; a relu cuts off what stands for less than 0. */
export function clampRange(type: IntType, relu: boolean): Range {
  const [low, high] = intRange(type.kind)
  return [relu ? zeroOf(type) : low, high]
}

/**
 * RSR(v * m, s) of a float32 value in the range that `fitsFloat32` (8-bit values times 8-bit multipliers always do), unclamped.
 * Without a fraction to round the floor still turns -0 into 0; adding 1/4 is exact or rounds back to the whole number.
 */
export function shiftFloat(emission: Emission, value: string, requant: Requant, range: Range): string {
  const { multiplier, shift } = requant
  const factor = multiplier * 2 ** -shift
  const product = emission.step('Mul', [value, float32(emission, factor)])
  if (roundsAlike(requant, factor, range)) return roundEven(emission, product)
  return emission.step('Floor', [emission.step('Add', [product, float32(emission, shift > 0 ? 0.5 : 0.25)])])
}

export const clip = (emission: Emission, value: string, [low, high]: Range): string =>
  emission.step('Clip', [value, float32(emission, low), float32(emission, high)])

/** Of a float32 value of whole numbers in `values`. */
export function requantFloat(emission: Emission, value: string, values: Range, requant: Requant, range: Range): string {
  if (fitsFloat32(Math.max(-values[0], values[1]), requant))
    return clip(emission, shiftFloat(emission, value, requant, values), range)
  return requantDouble(emission, emission.step('Cast', [value], { to: DataType.DOUBLE }), [requant], range)
}

/**
 * Of a double value of whole numbers below 2^31; one requant, or one per channel of axis 1. The result is float32.
 * @param zero is added before the clamp to `range`
 */
export function requantDouble(
  emission: Emission,
  value: string,
  requants: readonly Requant[],
  range: Range,
  zero = 0,
): string {
  const { step } = emission
  const [low, high] = [range[0] - zero, range[1] - zero]
  if (requants.every((requant) => roundsByCast(requant, [low, high]))) {
    const sum = step('Cast', [scaleAndRound(emission, value, requants)], { to: DataType.FLOAT })
    return clip(emission, step('Sub', [sum, float32(emission, ROUNDER - zero)]), range)
  }
  const perChannel = (of: (requant: Requant) => number): string =>
    emission.constant(Float64Array.from(requants, of), requants.length === 1 ? [] : [1, requants.length, 1, 1])
  // Counted from the lowest result: without negative numbers the cast to uint8 does the floor.
  const base = Math.max(-low, 0)
  let counted: string
  if (requants.every(({ shift }) => shift <= 45)) {
    const product = step('Mul', [value, perChannel(({ multiplier, shift }) => multiplier * 2 ** -shift)])
    counted = step('Add', [product, float64(emission, base + 0.5)])
  } else {
    const carry = step('Floor', [step('Mul', [value, perChannel((requant) => halves(requant).low)])])
    const sum = step('Add', [step('Mul', [value, perChannel((requant) => halves(requant).high)]), carry])
    const half = step('Add', [sum, perChannel((requant) => halves(requant).half)])
    const floor = step('Floor', [step('Mul', [half, perChannel((requant) => halves(requant).unit)])])
    counted = step('Add', [floor, float64(emission, base)])
  }
  const bounds = [float64(emission, low + base), float64(emission, high + base + 0.9)]
  const byte = step('Cast', [step('Clip', [counted, ...bounds])], { to: DataType.UINT8 })
  const result = step('Cast', [byte], { to: DataType.FLOAT })
  return base === zero ? result : step('Sub', [result, float32(emission, base - zero)])
}

/** v * m * 2^-s + ROUNDER. Per channel as a BatchNormalization of mean 0 and variance 1: one pass instead of two. */
function scaleAndRound(emission: Emission, value: string, requants: readonly Requant[]): string {
  const factors = Float64Array.from(requants, ({ multiplier, shift }) => multiplier * 2 ** -shift)
  const channels = factors.length
  if (channels === 1)
    return emission.step('Add', [emission.step('Mul', [value, emission.constant(factors)]), float64(emission, ROUNDER)])
  const all = (number: number): string => emission.constant(new Float64Array(channels).fill(number), [channels])
  const operands = [value, emission.constant(factors, [channels]), all(ROUNDER), all(0), all(1)]
  return emission.step('BatchNormalization', operands, { epsilon: float(0) })
}

/** A channel with a small shift is its own upper half, so that both kinds of channel can share the form. */
function halves({ multiplier, shift }: Requant) {
  if (shift <= 45) return { high: multiplier * 2 ** -shift, low: 0, half: 0.5, unit: 1 }
  const high = Math.floor(multiplier / 2 ** 16)
  return { high, low: multiplier / 2 ** 16 - high, half: 2 ** (shift - 17), unit: 2 ** (16 - shift) }
}
