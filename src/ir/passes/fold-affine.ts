import { type Graph, type Node, nodesByName, type Weight } from '../graph.js'
import { freshName, useCounts } from './rewrite.js'

/**
 * A constant per channel, or one for all, that a convolution's or a product's result is multiplied by, added to or subtracted from,
 * becomes part of its weights: a bias of its own (Paddle, Keras), an implicit factor (YOLOv7), a learned scale per level (FCOS, NanoDet).
 * Only where nothing else reads that result; the layer then takes the name of what it makes.
 */
export function foldAffine(graph: Graph): Graph {
  const uses = useCounts(graph)
  const nodes = nodesByName(graph)
  const weights = new Map(graph.weights)
  const gone = new Set<string>()
  const add = (hint: string, weight: Weight): string => {
    const fresh = freshName(hint, (taken) => weights.has(taken) || nodes.has(taken))
    weights.set(fresh, weight)
    return fresh
  }
  for (const node of graph.nodes) {
    const found = affineOf(node, weights)
    const source = found && nodes.get(found.value)
    if (!found || !source || uses.get(source.name) !== 1) continue
    const { op } = source
    if ((op.type !== 'Conv' && op.type !== 'Deconv' && op.type !== 'MatMul') || op.relu) continue
    const [x, filter, bias] = source.inputs as [string, string, string | undefined]
    const w = weights.get(filter)
    if (w === undefined || (op.type === 'MatMul' && w.shape.length !== 2)) continue
    const columns = op.type === 'MatMul' && !op.rightTranspose
    const channels = w.shape[columns ? 1 : 0]!
    const axis = op.type === 'MatMul' ? node.shape.length - 1 : 1
    const constant = perChannel(weights.get(found.constant)!, node.shape, axis, channels)
    const shift = bias === undefined ? new Float32Array(channels) : weights.get(bias)?.data
    if (constant === undefined || shift === undefined || source.shape.length !== node.shape.length) continue
    const perFilter = w.data.length / channels
    const channelOf = (i: number): number => (columns ? i % channels : Math.floor(i / perFilter))
    const { times, plus } = found
    const filters = times
      ? add(`${found.constant}_merged_weight`, {
          shape: w.shape,
          data: w.data.map((v, i) => v * times(constant[channelOf(i)]!)),
        })
      : filter
    const moved = shift.map((b, c) => (times ? b * times(constant[c]!) : b + plus!(constant[c]!)))
    const keepsBias = times !== undefined && bias === undefined
    const biases = keepsBias ? [] : [add(`${found.constant}_merged_bias`, { shape: [channels], data: moved })]
    const { relu, reluLimit } = node.op as typeof op
    nodes.set(node.name, { ...node, op: { ...op, relu, reluLimit }, inputs: [x, filters, ...biases] })
    gone.add(source.name)
  }
  if (gone.size === 0) return graph
  return { ...graph, weights, nodes: graph.nodes.flatMap(({ name }) => (gone.has(name) ? [] : [nodes.get(name)!])) }
}

interface Affine {
  readonly value: string
  readonly constant: string
  readonly times?: (constant: number) => number
  readonly plus?: (constant: number) => number
}

function affineOf({ op, inputs }: Node, weights: ReadonlyMap<string, Weight>): Affine | undefined {
  if (inputs.length !== 2) return undefined
  const [a, b] = inputs as [string, string]
  const [value, constant] = weights.has(b) ? [a, b] : [b, a]
  if (weights.has(value) || !weights.has(constant)) return undefined
  if (op.type === 'Mul') return { value, constant, times: (c) => c }
  if (op.type === 'Add') return { value, constant, plus: (c) => c }
  return op.type === 'Sub' && value === a ? { value, constant, plus: (c) => -c } : undefined
}

/** The constant for each channel; undefined where it has other axes, or differs along them. */
function perChannel(
  { shape, data }: Weight,
  of: readonly number[],
  axis: number,
  channels: number,
): number[] | undefined {
  if (shape.length > of.length) return undefined
  const aligned = [...of.slice(shape.length).map(() => 1), ...shape]
  if (!aligned.every((n, i) => n === 1 || (i === axis && n === channels))) return undefined
  return Array.from({ length: channels }, (_, c) => data[data.length === 1 ? 0 : c]!)
}
