/**
 * clamp(RSR(v * m, s)) in ONNX, exact. Three forms, the cheapest that is proven for the numbers at hand:
 *
 * float32, when |v * m| <= 2^23: the product is exact. If 0 < s <= 24, adding 1/2 keeps at most 24
 *   bits; if s > 24, |p| <= 1/4, and rounding cannot carry the sum out of [1/4, 3/4]. If s <= 0 there is nothing to round.
 * double, when s <= 45: m * 2^-s is exact, and so is the product while it is below 2^53 units of 2^-s. Larger ones are above 2^8
 *   and clamped, rounded or not. The sum with 1/2 and the offset is exact below 256 in the same way.
 * double in two halves, for larger s, with m = high * 2^16 + low:
 *   floor((v * m + 2^(s-1)) / 2^s) = floor((v * high + floor(v * low / 2^16) + 2^(s-17)) / 2^(s-16)), where no step needs 53 bits.
 */
import { DataType } from '../../ir/onnx/builder.js'
import type { Requant } from '../qgraph.js'
import { type IntType, intRange } from '../rounding.js'
import { type Emission, float32, float64, type Range } from './context.js'

/** Whether the product stays exact in float32. `bound` is the largest |v|. */
const fitsFloat32 = (bound: number, { multiplier }: Requant): boolean => bound * Math.abs(multiplier) <= 2 ** 23

/** What a result is clamped to; a relu cuts off the lower half. */
export function clampRange({ kind }: IntType, relu: boolean): Range {
  const [low, high] = intRange(kind)
  return [relu ? 0 : low, high]
}

/**
 * RSR(v * m, s) of a float32 value that `fitsFloat32` (8-bit values times 8-bit multipliers always do), unclamped. Without
 * a fraction to round the floor still turns -0 into 0; adding 1/4 is exact or rounds back to the whole number.
 */
export function shiftFloat(emission: Emission, value: string, { multiplier, shift }: Requant): string {
  const product = emission.step('Mul', [value, float32(emission, multiplier * 2 ** -shift)])
  return emission.step('Floor', [emission.step('Add', [product, float32(emission, shift > 0 ? 0.5 : 0.25)])])
}

export const clip = (emission: Emission, value: string, [low, high]: Range): string =>
  emission.step('Clip', [value, float32(emission, low), float32(emission, high)])

/** Of a float32 value of whole numbers with |v| <= bound. */
export function requantFloat(emission: Emission, value: string, bound: number, requant: Requant, range: Range): string {
  if (fitsFloat32(bound, requant)) return clip(emission, shiftFloat(emission, value, requant), range)
  return requantDouble(emission, emission.step('Cast', [value], { to: DataType.DOUBLE }), [requant], range)
}

/** Of a double value of whole numbers below 2^31; one requant, or one per channel of axis 1. The result is float32. */
export function requantDouble(
  emission: Emission,
  value: string,
  requants: readonly Requant[],
  [low, high]: Range,
): string {
  const { step } = emission
  const perChannel = (of: (requant: Requant) => number): string =>
    emission.constant(Float64Array.from(requants, of), requants.length === 1 ? [] : [1, requants.length, 1, 1])
  // Counted from -128 where results are signed: without negative numbers the cast to uint8 does the floor.
  const zero = low < 0 || high === 127 ? 128 : 0
  let counted: string
  if (requants.every(({ shift }) => shift <= 45)) {
    const product = step('Mul', [value, perChannel(({ multiplier, shift }) => multiplier * 2 ** -shift)])
    counted = step('Add', [product, float64(emission, zero + 0.5)])
  } else {
    const carry = step('Floor', [step('Mul', [value, perChannel((requant) => halves(requant).low)])])
    const sum = step('Add', [step('Mul', [value, perChannel((requant) => halves(requant).high)]), carry])
    const half = step('Add', [sum, perChannel((requant) => halves(requant).half)])
    const floor = step('Floor', [step('Mul', [half, perChannel((requant) => halves(requant).unit)])])
    counted = step('Add', [floor, float64(emission, zero)])
  }
  const bounds = [float64(emission, low + zero), float64(emission, high + zero + 0.9)]
  const byte = step('Cast', [step('Clip', [counted, ...bounds])], { to: DataType.UINT8 })
  const result = step('Cast', [byte], { to: DataType.FLOAT })
  return zero === 0 ? result : step('Sub', [result, float32(emission, zero)])
}

/** A channel with a small shift is its own upper half, so that both kinds of channel can share the form. */
function halves({ multiplier, shift }: Requant) {
  if (shift <= 45) return { high: multiplier * 2 ** -shift, low: 0, half: 0.5, unit: 1 }
  const high = Math.floor(multiplier / 2 ** 16)
  return { high, low: multiplier / 2 ** 16 - high, half: 2 ** (shift - 17), unit: 2 ** (16 - shift) }
}
