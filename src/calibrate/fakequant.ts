/** Float arithmetic that pretends to be 8 bit: what the tuner measures with. */

/** 1.5 * 2^52: adding it to a small double drops the fraction, rounding half to even, as numpy rounds. */
const ROUNDER = 6755399441055744

/** into[i] = clamp(round(x * 127 / t), -128, 127) * t / 127, ties to even. `into` may be `data`. */
export function fakeQuantize(data: Float32Array, threshold: number, into: Float32Array): void {
  const perStep = 127 / threshold
  const step = threshold / 127
  for (let i = 0; i < data.length; i++) {
    let q = data[i]! * perStep
    if (q > 127) q = 127
    else if (q < -128) q = -128
    into[i] = (q + ROUNDER - ROUNDER) * step
  }
}

/**
 * ||f(x) - f(q)||_2 for q = x fake-quantised with t and f(x) = x for x >= 0, negativeSlope * x below; q has the sign of x.
 */
export function quantizationError(data: Float32Array, threshold: number, negativeSlope: number): number {
  const perStep = 127 / threshold
  const step = threshold / 127
  let positive = 0
  let negative = 0
  for (let i = 0; i < data.length; i++) {
    const x = data[i]!
    let q = x * perStep
    if (q > 127) q = 127
    else if (q < -128) q = -128
    const error = x - Math.fround((q + ROUNDER - ROUNDER) * step)
    // Both sums every time: after a Conv nobody can predict the sign.
    const below = +(x < 0)
    negative += below * error * error
    positive += (1 - below) * error * error
  }
  return Math.sqrt(positive + negativeSlope * negativeSlope * negative)
}

/** Bins of `leastErrors` on each side of 0. */
const SIDE = 2 ** 14

/**
 * What `quantizationError` is at least, for many thresholds from one look at the data: within about 1 % of it. The distance to the
 * nearest level changes by no more than x does, so that in a bin it is at least that of the middle less half the width. 0 for
 * short data, where the look would cost more than it spares.
 */
export function leastErrors(data: Float32Array, thresholds: readonly number[], negativeSlope: number): number[] {
  if (data.length < 4 * SIDE) return thresholds.map(() => 0)
  let absMax = 0
  for (let i = 0; i < data.length; i++) absMax = Math.max(absMax, Math.abs(data[i]!))
  const width = absMax / (SIDE - 1)
  const perBin = 1 / width
  if (!(perBin > 0 && perBin < Infinity)) return thresholds.map(() => 0)
  // Bin SIDE has what is nearer to 0 than a width, on both sides.
  const bins = new Uint32Array(2 * SIDE + 1)
  for (let i = 0; i < data.length; i++) bins[((data[i]! * perBin) | 0) + SIDE]!++
  return thresholds.map((threshold) => {
    const step = threshold / 127
    // The levels that are compared with are rounded to float32; and a few bits for the bins' own rounding.
    const half = width * 0.5 + absMax * 2 ** -22
    let sum = 0
    for (let k = 0; k < bins.length; k++) {
      if (bins[k] === 0 || k === SIDE) continue
      const middle = (k - SIDE + (k > SIDE ? 0.5 : -0.5)) * width
      const level = Math.min(127, Math.max(-128, Math.round(middle / step))) * step
      const error = Math.max(0, Math.abs(middle - level) - half)
      sum += bins[k]! * error * error * (middle < 0 ? negativeSlope * negativeSlope : 1)
    }
    return Math.sqrt(sum) * (1 - 1e-6)
  })
}

/** ||a - b||_2. Four sums, because one alone waits for its last addition. */
export function distance(a: Float32Array, b: Float32Array): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0]
  const whole = a.length - (a.length % 4)
  for (let i = 0; i < whole; i += 4) {
    s0 += (a[i]! - b[i]!) ** 2
    s1 += (a[i + 1]! - b[i + 1]!) ** 2
    s2 += (a[i + 2]! - b[i + 2]!) ** 2
    s3 += (a[i + 3]! - b[i + 3]!) ** 2
  }
  for (let i = whole; i < a.length; i++) s0 += (a[i]! - b[i]!) ** 2
  return Math.sqrt(s0 + s1 + s2 + s3)
}

/** sum |x| */
export function oneNorm(values: Float32Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += Math.abs(values[i]!)
  return sum
}

/** A weight rounded to 8 bit per tensor: rnd(w * 127 / max) * max / 127, rnd half away from zero as C++ rounds. */
export function fakeQuantizedWeight(data: Float32Array): Float32Array {
  let absMax = 0
  for (let i = 0; i < data.length; i++) absMax = Math.max(absMax, Math.abs(data[i]!))
  if (absMax === 0) return data
  return data.map((value) => {
    const q = (value * 127) / absMax
    return (Math.sign(q) * Math.floor(Math.abs(q) + 0.5) * absMax) / 127
  })
}
