/** Where a network that cannot be taken as a whole can be cut: what the hint of an import error names. */
import type { NodeProto } from './onnx_pb.js'

export interface Cut {
  /** The last tensors that can be had, in place of the outputs that cannot. */
  readonly tensors: readonly string[]
  /** The convolutions and matrix products behind them, when there are others: what a box decoder reads. */
  readonly heads: readonly string[]
}

/** What has weights of its own. Behind the last of them a detector only decodes. */
const learned = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'BatchNormalization'])

/** More names help nobody. */
const mostHeads = 12

/**
 * @param nodes those that the outputs need, in order
 * @param converted nodes that could be converted
 * @param computed tensors among those that are values; constants are not cut at
 */
export function cutOf(
  nodes: readonly NodeProto[],
  outputs: readonly string[],
  converted: ReadonlySet<NodeProto>,
  computed: (tensor: string) => boolean,
): Cut {
  const maker = new Map(nodes.flatMap((node) => node.output.map((output) => [output, node] as const)))
  const had = (tensor: string): boolean => {
    const node = maker.get(tensor)
    return node !== undefined && converted.has(node) && computed(tensor)
  }
  const tensors = new Set(outputs.filter(had))
  for (const node of nodes) if (!converted.has(node)) for (const input of node.input) if (had(input)) tensors.add(input)

  const heads = new Set<string>()
  const seen = new Set<string>()
  const open = [...tensors]
  for (let tensor = open.pop(); tensor !== undefined; tensor = open.pop()) {
    const node = maker.get(tensor)
    if (node === undefined || seen.has(tensor)) continue
    seen.add(tensor)
    if (learned.has(node.opType)) heads.add(tensor)
    else for (const input of node.input) if (computed(input)) open.push(input)
  }
  const order = nodes.flatMap((node) => node.output)
  const sorted = (names: ReadonlySet<string>): string[] => order.filter((name) => names.has(name))
  const others = [...heads].some((head) => !tensors.has(head)) && heads.size <= mostHeads
  return { tensors: sorted(tensors), heads: others ? sorted(heads) : [] }
}

/** The hint's words; undefined where nothing can be had. */
export function describeCut({ tensors, heads }: Cut): string | undefined {
  if (tensors.length === 0) return undefined
  const decode = heads.length > 0 ? `, or before the decoding: model.outputs: [${heads.join(', ')}]` : ''
  return `end the network before it: model.outputs: [${tensors.join(', ')}]${decode}`
}
