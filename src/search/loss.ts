/** How far a quantized network is from the float one, as run_qtable measures it. */
import { QuantError } from '../errors.js'
import { sizeOf, type Tensor } from '../ir/graph.js'

/**
 * Signal to quantization noise ratio in dB, both without their mean:
 * 10 log10(sum (a - mean a)^2 / sum (n - mean n)^2), n = a - b. Infinity where the noise is constant, -Infinity where
 * only the signal is; NaN where an element of the noise is not finite.
 */
export function sqnr(reference: Float32Array, quantized: Float32Array): number {
  const noise = new Float64Array(reference)
  for (let i = 0; i < noise.length; i++) noise[i]! -= quantized[i]!
  const noisePower = centredPower(noise)
  return noisePower === 0 ? Infinity : 10 * Math.log10(centredPower(reference) / noisePower)
}

/**
 * The loss of one sample: minus the SQNR in dB, averaged over the network's outputs with their sizes as weights; smaller is
 * better. Outputs are paired by position. Outputs whose SQNR is infinite say nothing and do not count; -Infinity when there is
 * no other. NaN or infinity in an output is the worst that can happen: Infinity.
 * @throws QuantError 'runtime' when outputs do not pair up.
 */
export function sqnrLoss(reference: readonly Tensor[], quantized: readonly Tensor[]): number {
  if (reference.length !== quantized.length)
    throw new QuantError('runtime', `${quantized.length} quantized outputs for ${reference.length} float ones`, {
      hint: 'compare two variants of the same model',
    })
  let sum = 0
  let weight = 0
  for (const [i, a] of reference.entries()) {
    const b = quantized[i]!
    if (a.shape.join() !== b.shape.join())
      throw new QuantError('runtime', `output ${i} has shape [${b.shape}] quantized, but [${a.shape}] in float`, {
        hint: 'compare two variants of the same model',
      })
    const ratio = sqnr(a.data, b.data)
    if (Number.isNaN(ratio)) return Infinity
    if (!Number.isFinite(ratio)) continue
    sum -= ratio * sizeOf(a.shape)
    weight += sizeOf(a.shape)
  }
  return weight === 0 ? -Infinity : sum / weight
}

/** The loss of a variant: the mean over samples of `sqnrLoss`. */
export const meanLoss = (losses: readonly number[]): number => losses.reduce((sum, one) => sum + one, 0) / losses.length

/** Sum of squares without the mean. */
export function centredPower(values: Float32Array | Float64Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  const mean = sum / values.length
  let power = 0
  for (let i = 0; i < values.length; i++) power += (values[i]! - mean) ** 2
  return power
}
