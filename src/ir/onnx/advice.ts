/** Where a network that cannot be taken as a whole can be cut: what the hint of an import error names. */
import { rawHeads } from '../heads.js'
import type { NodeProto } from './onnx_pb.js'

export interface Cut {
  /** The last tensors that can be had, in place of the outputs that cannot. */
  readonly tensors: readonly string[]
  /** The last values with learned weights, when these are others: what a box decoder reads. */
  readonly heads: readonly string[]
}

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

  const steps = nodes.map(({ opType, input, output }) => ({
    type: opType,
    inputs: input.filter(computed),
    outputs: output,
  }))
  const heads = rawHeads(steps, tensors)
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
