import { type Graph, type Node, nodesByName, type OpOf, type Pads } from '../graph.js'

/** Pads of height and width into the convolution or pool behind it. A Pad that nothing reads any more is left to `dropDead`. */
export function fusePad(graph: Graph): Graph {
  const byName = nodesByName(graph)
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const pad = byName.get(node.inputs[0] ?? '')
    const fused = pad?.op.type === 'Pad' ? padded(node, pad.op, byName.get(pad.inputs[0]!)!) : undefined
    const next = fused ? { ...node, op: fused, inputs: [pad!.inputs[0]!, ...node.inputs.slice(1)] } : node
    byName.set(node.name, next)
    nodes.push(next)
  }
  return { ...graph, nodes }
}

/** The op of `node` with the pad in it; undefined where that would give other numbers. */
function padded(node: Node, pad: OpOf<'Pad'>, source: Node): Node['op'] | undefined {
  const [n0, c0, top, left, n1, c1, bottom, right] = pad.paddings
  if (pad.paddings.length !== 8 || [n0, c0, n1, c1].some((n) => n !== 0)) return undefined
  const { op } = node
  const plus = (pads: Pads): Pads => [pads[0] + top!, pads[1] + left!, pads[2] + bottom!, pads[3] + right!]
  if (op.type === 'Conv' && pad.value === 0) return { ...op, pads: plus(op.pads) }

  if (op.type !== 'MaxPool' && op.type !== 'AvgPool') return undefined
  // A window must not lie in the pad alone: there a pool has nothing to look at.
  const pads = plus(op.pads)
  if (pads.some((n, side) => n >= op.kernel[side % 2]!)) return undefined
  if (op.type === 'AvgPool')
    return pad.value === 0 && (op.countIncludePad || op.pads.every((n) => n === 0))
      ? { ...op, pads, countIncludePad: true }
      : undefined
  // A pool pads with -infinity: zeros are the same only below what is never negative.
  const neutral = pad.value < -3e38 || (pad.value === 0 && neverNegative(source))
  return neutral ? { ...op, pads } : undefined
}

const neverNegative = ({ op }: Node): boolean =>
  op.type === 'Relu' || op.type === 'Sigmoid' || op.type === 'Softmax' || ('relu' in op && op.relu)
