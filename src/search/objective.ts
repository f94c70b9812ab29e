/** What a search makes small. */
import { QuantError } from '../errors.js'
import { sizeOf, type Tensor, tensorOf } from '../ir/graph.js'
import { centredPower } from './loss.js'

export type ObjectiveKind = 'detection' | 'sqnr' | 'cosine'

export interface Objective {
  readonly kind: ObjectiveKind
  /** How much each output counts, in the graph's order; not for detection. */
  readonly weights: readonly number[]
}

/** One picture with some layers in float. */
export interface SampleLoss {
  /** -SQNR over the outputs as the vendor weighs them, dB. */
  readonly sqnr: number
  /** Distance of the boxes from the float model's; undefined without a detector. */
  readonly boxes: number | undefined
  /** In the graph's order. */
  readonly outputs: readonly OutputLoss[]
}

export interface OutputLoss {
  /** SQNR, dB. */
  readonly sqnr: number
  /** Of both outputs as vectors: 1 is the same direction. */
  readonly cosine: number
}

export const describeObjective: Readonly<Record<ObjectiveKind, string>> = {
  detection: 'distance of the boxes',
  sqnr: '-SQNR in dB',
  cosine: '1 - cosine',
}

/** An output of the float network, with what every comparison needs of it. */
export interface Reference {
  readonly data: Float32Array
  /** Sums of squares, of the values and of the values without their mean. */
  readonly squares: number
  readonly power: number
}

export const referenceOf = ({ data }: Tensor): Reference => ({
  data,
  squares: data.reduce((sum, value) => sum + value * value, 0),
  power: centredPower(data),
})

/**
 * Of outputs of equal shapes, paired by position: SQNR as `sqnr` has it, bit for bit, and cosine. The cosine is 1 for two outputs that
 * are all zero and 0 where one of them is; NaN where an element is not finite.
 */
export const outputLosses = (references: readonly Reference[], quantized: readonly Tensor[]): OutputLoss[] =>
  references.map(({ data, squares, power }, output) => {
    const other = quantized[output]!.data
    // In the order of `centredPower` over a - b, without an array of its own: a few MB a picture keep the garbage collector busy.
    let dot = 0
    let others = 0
    let noise = 0
    for (let i = 0; i < data.length; i++) {
      const a = data[i]!
      const b = other[i]!
      noise += a - b
      dot += a * b
      others += b * b
    }
    const mean = noise / data.length
    let noisePower = 0
    for (let i = 0; i < data.length; i++) noisePower += (data[i]! - other[i]! - mean) ** 2
    const zeros = (squares === 0 ? 1 : 0) + (others === 0 ? 1 : 0)
    return {
      sqnr: noisePower === 0 ? Infinity : 10 * Math.log10(power / noisePower),
      cosine: zeros > 0 ? zeros - 1 : dot / Math.sqrt(squares * others),
    }
  })

/** dB. As good as equal: 1e-5 of the signal, far below what F16 can tell apart. */
const perfect = 100

/**
 * The loss of one picture; smaller is better. `sqnr` and `cosine`: mean over the outputs by their weights. An output that is equal to the
 * float one, as those of an ArgMax easily are, counts as one of 100 dB, and none counts more: the mean over pictures goes on telling how
 * good the others are. Where the float output is constant and the other is not there is no signal, and 0 dB is as much as that says. An
 * output that is not finite is the worst that can happen.
 */
export function lossOf({ boxes, outputs }: Omit<SampleLoss, 'sqnr'>, { kind, weights }: Objective): number {
  if (kind === 'detection') return boxes!
  const losses = outputs.map(({ sqnr, cosine }) => {
    if (kind === 'cosine') return Math.max(0, 1 - cosine)
    return sqnr === -Infinity ? 0 : -Math.min(perfect, sqnr)
  })
  return weightedMean(losses, weights) ?? -perfect
}

/**
 * The loss of one picture as the vendor has it, dB: `sqnrLoss`, from the SQNRs of the outputs. Outputs whose SQNR is infinite say nothing
 * and do not count; -Infinity when there is no other.
 * @param weights numbers of elements
 */
export const vendorLoss = (outputs: readonly OutputLoss[], weights: readonly number[]): number =>
  weightedMean(
    outputs.map(({ sqnr }) => -sqnr),
    weights,
  ) ?? -Infinity

/** Over losses that are finite; undefined where none counts. Infinity where one is NaN. */
function weightedMean(losses: readonly number[], weights: readonly number[]): number | undefined {
  if (losses.some((loss) => Number.isNaN(loss))) return Infinity
  let [sum, weight] = [0, 0]
  for (const [i, loss] of losses.entries()) {
    if (!Number.isFinite(loss)) continue
    sum += loss * weights[i]!
    weight += weights[i]!
  }
  return weight === 0 ? undefined : sum / weight
}

/**
 * How much each output counts.
 * @param named by the user: those that are not named count 1; undefined: all count by their number of elements, as the vendor's do
 * @throws QuantError 'config' for a name that is no output
 */
export function weightsOf(
  outputs: readonly { readonly name: string; readonly shape: readonly number[] }[],
  named: Readonly<Record<string, number>> | undefined,
): number[] {
  if (named === undefined) return outputs.map(({ shape }) => sizeOf(shape))
  const unknown = Object.keys(named).find((name) => !outputs.some((output) => names(output.name, name)))
  if (unknown !== undefined)
    throw new QuantError('config', `\`mix.weights\` names ${unknown}, which is no output of the model`, {
      hint: `outputs are ${outputs.map(({ name }) => tensorOf(name)).join(', ')}`,
    })
  return outputs.map(({ name }) => Object.entries(named).find(([one]) => names(name, one))?.[1] ?? 1)
}

const names = (layer: string, given: string): boolean => layer === given || tensorOf(layer) === given
