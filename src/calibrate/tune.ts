/**
 * Threshold tuning as the vendor does it, with the rule that it later corrected: a KL threshold is raised where that brings the
 * layer that reads the tensor closer to its float result.
 */
import { QuantError } from '../errors.js'
import { type Graph, inputsOf, type Node, type Tensor, usersOf, type Weight } from '../ir/graph.js'
import { distance, fakeQuantize, fakeQuantizedWeight, leastErrors, oneNorm, quantizationError } from './fakequant.js'
import { layerOpener, type OpenLayer } from './layer.js'
import type { Thresholds } from './threshold.js'

/** A tensor's threshold is tried at 21 values from its own up to the tensor's absolute maximum. */
const STEPS = 20

/**
 * Layer by layer in graph order, each operand that no earlier layer tuned (the first one again if all were): its threshold t is
 * tried at t0 + i (absMax - t0) / 20, i = 0..20. At each, all operands are float values fake-quantised with t, weights are
 * fake-quantised per tensor, and
 *
 *   distance = sum over pictures of ||float - out||_2 / ||float||_1.
 *
 * The t of the smallest distance is taken where it is larger than the threshold so far; the first of equals. Tensors that no layer
 * reads keep theirs.
 *
 * Float values are computed on the way, one layer at a time, and dropped behind their last reader: memory is that of the live
 * tensors of all `pictures`.
 *
 * @param pictures per tune picture the values of the Input layers, by name. Without any, thresholds come back as they are.
 * @param progress called with 1 after each layer; Input layers are none.
 */
export async function tuneThresholds(
  graph: Graph,
  thresholds: Thresholds,
  pictures: readonly Readonly<Record<string, Tensor>>[],
  progress: (layers: number) => void = () => {},
  openLayer: OpenLayer = layerOpener(graph),
): Promise<Thresholds> {
  if (pictures.length === 0) return thresholds
  const tuned = new Map(thresholds)
  const visited = new Set<string>()
  const lastReader = new Map([...usersOf(graph)].map(([name, users]) => [name, users.at(-1)?.name]))
  const alive = pictures.map((feeds) => new Map(inputsOf(graph).map(({ name }) => [name, fed(feeds, name)])))

  for (const node of graph.nodes) {
    if (node.op.type === 'Input') continue
    const operands = node.inputs.filter((name) => !graph.weights.has(name))
    const exact = await openLayer(node, graph.weights)
    const cases: Case[] = []
    for (const values of alive) {
      const given = operands.map((name) => values.get(name)!)
      const { shape, data } = await exact.run(given)
      const expected = data.slice()
      values.set(node.name, { shape, data: expected })
      // Where the largest value is says little of how far the values are off: they count themselves.
      const judged = node.op.type === 'ArgMax' ? given[0]!.data : expected
      // A layer that is zero in a picture says nothing.
      const size = oneNorm(judged)
      if (size > 0) cases.push({ operands: given, expected: judged, size })
    }
    await exact.release()

    const fresh = [...new Set(operands)].filter((name) => !visited.has(name))
    const aims = fresh.length > 0 ? fresh : operands.slice(0, 1)
    const candidates = aims
      .map((name) => ({ name, steps: stepsFor(thresholds, name) }))
      .filter(({ steps }) => steps.length > 0)
    if (cases.length > 0 && candidates.length > 0) {
      const meter = await openMeter(graph, node, cases, openLayer)
      for (const { name, steps } of candidates) {
        const now = tuned.get(name)!
        const threshold = await closest(steps, cases, meter)
        if (threshold > now.threshold) tuned.set(name, { ...now, threshold })
      }
      await meter.release()
    }
    for (const name of aims) visited.add(name)
    for (const values of alive)
      for (const name of [...operands, node.name])
        if ((lastReader.get(name) ?? node.name) === node.name) values.delete(name)
    progress(1)
  }
  return tuned
}

function fed(feeds: Readonly<Record<string, Tensor>>, name: string): Tensor {
  const value = feeds[name]
  if (value) return value
  throw new QuantError('input', `a picture for tuning has no value for input ${JSON.stringify(name)}`, {
    hint: 'give one array for every input of the model',
  })
}

/** Nothing to try where the threshold is (nearly) the maximum already, or unknown. */
function stepsFor(thresholds: Thresholds, name: string): number[] {
  const known = thresholds.get(name)
  if (known === undefined) return []
  const room = Math.max(Math.abs(known.min), Math.abs(known.max)) - known.threshold
  if (room <= 0.01) return []
  return Array.from({ length: STEPS + 1 }, (_, i) => known.threshold + (room / STEPS) * i)
}

/** One layer in one picture: float operands and result, and the sum of its magnitudes. */
interface Case {
  readonly operands: readonly Tensor[]
  readonly expected: Float32Array
  readonly size: number
}

/** Measures ||float - out||_2 / ||float||_1 of one layer whose operands are fake-quantised. */
interface Meter {
  error(one: Case, threshold: number): Promise<number> | number
  /** What the error is at least, cheaply, at each of the thresholds. */
  atLeast(one: Case, thresholds: readonly number[]): readonly number[]
  release(): Promise<void>
}

/**
 * The step with the smallest distance, the first of equals. What is known of a step's distance only grows as more of its pictures
 * are measured, so the step of which least is known gets the next picture, and the first one that has seen all of them has won.
 */
async function closest(steps: readonly number[], cases: readonly Case[], { error, atLeast }: Meter): Promise<number> {
  const sums = steps.map(() => 0)
  const seen = steps.map(() => 0)
  const bounds = cases.map((one) => atLeast(one, steps))
  /** Of a step: what its pictures from the first unseen one on add at least. */
  const rest = steps.map((_, i) => bounds.reduce((sum, bound) => sum + bound[i]!, 0))
  for (;;) {
    const known = sums.map((sum, i) => sum + rest[i]!)
    const lead = Math.max(0, known.indexOf(Math.min(...known)))
    const picture = seen[lead]!++
    const next = cases[picture]
    if (next === undefined) return steps[lead]!
    sums[lead]! += await error(next, steps[lead]!)
    // Summed anew: at the end it must be 0, not nearly.
    rest[lead] = bounds.slice(picture + 1).reduce((sum, bound) => sum + bound[lead]!, 0)
  }
}

async function openMeter(graph: Graph, node: Node, cases: readonly Case[], openLayer: OpenLayer): Promise<Meter> {
  const known = errorByElement(node)
  if (known)
    return {
      error: (one, threshold) => quantizationError(known.values(one), threshold, known.negativeSlope) / one.size,
      atLeast: (one, thresholds) =>
        leastErrors(known.values(one), thresholds, known.negativeSlope).map((least) => least / one.size),
      release: async () => {},
    }
  const layer = await openLayer(node, fakeQuantizedWeights(graph, node))
  const scratch = cases[0]!.operands.map(({ shape, data }) => ({ shape, data: new Float32Array(data.length) }))
  return {
    async error({ operands, expected, size }, threshold) {
      for (const [k, { data }] of operands.entries()) fakeQuantize(data, threshold, scratch[k]!.data)
      const { data } = await layer.run(scratch)
      return distance(expected, data) / size
    },
    atLeast: (_, thresholds) => thresholds.map(() => 0),
    release: layer.release,
  }
}

/**
 * Layers whose error needs no run: rounding is monotonic, so it may as well come after a layer that moves values or takes
 * maxima, and a layer that bends at 0 scales each error by its slope.
 */
function errorByElement({ op }: Node): { values(one: Case): Float32Array; negativeSlope: number } | undefined {
  switch (op.type) {
    case 'MaxPool':
    case 'Upsample':
    case 'Permute':
    case 'Reshape':
    case 'Slice':
    case 'ArgMax':
      return { values: ({ expected }) => expected, negativeSlope: 1 }
    case 'LeakyRelu':
      return { values: ({ operands }) => operands[0]!.data, negativeSlope: op.alpha }
    default:
      return undefined
  }
}

/** The graph's weights, those of this layer rounded to 8 bit; the biases of Conv and MatMul stay. */
function fakeQuantizedWeights(graph: Graph, node: Node): Map<string, Weight> {
  const weights = new Map(graph.weights)
  const biased = node.op.type === 'Conv' || node.op.type === 'Deconv' || node.op.type === 'MatMul'
  for (const [i, name] of node.inputs.entries()) {
    const weight = graph.weights.get(name)
    if (weight && !(biased && i === 2))
      weights.set(name, { shape: weight.shape, data: fakeQuantizedWeight(weight.data) })
  }
  return weights
}
