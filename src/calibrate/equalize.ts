/**
 * Cross-layer equalisation: what is large in one channel and small in the next costs the small one its resolution, since a tensor has
 * one scale. Between two convs a channel may have any scale: the first conv's filter and bias are divided by it, the second's filter
 * is multiplied, and the network computes what it did.
 *
 * Published rules (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, 2019) balance two filters that have one
 * scale each. Here a filter has a scale per output channel: the first filter gains and loses nothing, and what counts is the value
 * between against the input channels of the second filter.
 */
import { type Graph, type Node, nodesByName, type OpOf, type Tensor, usersOf, type Weight } from '../ir/graph.js'

type ConvNode = Node & { readonly op: OpOf<'Conv'> }

/** Two convs with nothing between them but layers that a positive factor per channel passes through. */
export interface ConvPair {
  readonly first: string
  readonly second: string
  /** What changes with it: from the result of `first` to what `second` reads. */
  readonly values: readonly string[]
}

/** In graph order. Values between have one reader and are no outputs; filters and biases have one reader, too. */
export function equalizable(graph: Graph): ConvPair[] {
  const nodes = nodesByName(graph)
  const users = usersOf(graph)
  const readers = new Map<string, number>()
  for (const { inputs } of graph.nodes) for (const name of inputs) readers.set(name, (readers.get(name) ?? 0) + 1)
  const own = ({ inputs }: Node): boolean =>
    inputs.slice(1).every((name) => graph.weights.has(name) && readers.get(name) === 1)
  return graph.nodes.flatMap((first) => {
    if (first.op.type !== 'Conv' || (first.op.relu && first.op.reluLimit >= 0) || !own(first)) return []
    const values = [first.name]
    let value = first
    for (;;) {
      const [reader, ...others] = users.get(value.name)!
      if (!reader || others.length > 0 || graph.outputs.includes(value.name)) return []
      if (reader.op.type === 'Conv')
        return reader.inputs[0] === value.name && own(reader)
          ? [{ first: first.name, second: reader.name, values }]
          : []
      if (!passes(nodes.get(reader.name)!, value.name)) return []
      value = reader
      values.push(value.name)
    }
  })
}

/** f(s * x) = s * f(x) for s > 0, channel by channel. */
function passes({ op, inputs }: Node, value: string): boolean {
  switch (op.type) {
    case 'Relu':
      return op.limit < 0
    case 'LeakyRelu':
    case 'MaxPool':
    case 'AvgPool':
    case 'Upsample':
      return true
    case 'PRelu':
      return inputs[0] === value
    default:
      return false
  }
}

/** Largest |x| of each channel; grows picture by picture. @param value [1, c, h, w] */
export function channelRanges(value: Tensor, into: Float64Array = new Float64Array(value.shape[1]!)): Float64Array {
  const size = value.data.length / into.length
  for (let i = 0; i < value.data.length; i++) {
    const c = Math.floor(i / size)
    into[c] = Math.max(into[c]!, Math.abs(value.data[i]!))
  }
  return into
}

/** How far channels are evened out: s = (range / reach)^exponent, `reach` 1 for all unless `shared`. */
export interface EvenRule {
  readonly exponent: number
  /** Whether the second filter is spared: activations and weights share the trouble. */
  readonly shared: boolean
}

/**
 * A positive factor per channel of the pair's value; the channel becomes 1 / s times as large.
 * @param ranges the largest |x| of each channel in the result of `pair.first`, not behind it: what comes before an activation is stored
 *   with the scale of what comes behind, and must not be clipped on the side that the activation makes small
 */
export function evenFactors(graph: Graph, pair: ConvPair, ranges: Float64Array, rule: EvenRule): number[] {
  const second = nodesByName(graph).get(pair.second) as ConvNode
  const reach = weightReach(second, graph.weights.get(second.inputs[1]!)!)
  return bounded(
    Array.from(ranges, (range, c) => (range / (rule.shared ? Math.max(reach[c]!, 1e-6) : 1)) ** rule.exponent),
  )
}

/** The graph with other weights: those of both convs of each pair. Pairs do not influence each other's factors. */
export function equalize(graph: Graph, factorsOf: ReadonlyMap<ConvPair, readonly number[]>): Graph {
  const nodes = nodesByName(graph)
  const weights = new Map<string, Weight>(graph.weights)
  const scaled = (name: string, factor: (i: number) => number): void => {
    const { shape, data } = weights.get(name)!
    weights.set(name, { shape, data: data.map((value, i) => value * factor(i)) })
  }
  for (const [pair, factors] of factorsOf) {
    const [first, second] = [nodes.get(pair.first) as ConvNode, nodes.get(pair.second) as ConvNode]
    const [, filter, bias] = first.inputs
    const perChannel = weights.get(filter!)!.data.length / factors.length
    scaled(filter!, (i) => 1 / factors[Math.floor(i / perChannel)]!)
    if (bias !== undefined) scaled(bias, (i) => 1 / factors[i]!)
    const channelOf = inputChannels(second, weights.get(second.inputs[1]!)!)
    scaled(second.inputs[1]!, (i) => factors[channelOf(i)]!)
  }
  return { ...graph, weights }
}

/** Factors further than this from their mean would only help channels that hardly matter. */
const MOST = 16

/** Relative to their geometric mean, which changes nothing; 1 for channels that are always 0. */
function bounded(factors: readonly number[]): number[] {
  const alive = factors.filter((factor) => factor > 0)
  const mean = Math.exp(alive.reduce((sum, factor) => sum + Math.log(factor), 0) / Math.max(1, alive.length))
  return factors.map((factor) => (factor > 0 ? Math.min(MOST, Math.max(1 / MOST, factor / mean)) : 1))
}

/** Index in a filter [oc, ic/group, kh, kw] -> channel of the operand. */
function inputChannels({ op }: ConvNode, { shape }: Weight): (i: number) => number {
  const [oc, ic, kh, kw] = shape as [number, number, number, number]
  const ofGroup = oc / op.group
  return (i) => {
    const at = Math.floor(i / (kh * kw))
    return Math.floor(Math.floor(at / ic) / ofGroup) * ic + (at % ic)
  }
}

/** Per operand channel: the largest |w| as a share of the largest in its output channel, at most over output channels; 1 if depthwise. */
function weightReach(node: ConvNode, filter: Weight): Float64Array {
  const perOutput = filter.data.length / filter.shape[0]!
  const largest = new Float64Array(filter.shape[0]!)
  for (const [i, w] of filter.data.entries()) {
    const o = Math.floor(i / perOutput)
    largest[o] = Math.max(largest[o]!, Math.abs(w))
  }
  const reach = new Float64Array(filter.shape[1]! * node.op.group)
  const channelOf = inputChannels(node, filter)
  for (const [i, w] of filter.data.entries()) {
    const c = channelOf(i)
    reach[c] = Math.max(reach[c]!, Math.abs(w) / (largest[Math.floor(i / perOutput)]! || 1))
  }
  return reach
}
