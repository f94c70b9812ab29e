import { type Graph, type Node, nodesByName } from '../graph.js'
import { sameShape } from '../shapes.js'
import { replace } from './rewrite.js'

/** Takes out nodes that change nothing. One that is a graph output stays: the caller asked for it by name. */
export function dropIdentities(graph: Graph): Graph {
  const byName = nodesByName(graph)
  const replaced = new Map<string, string>()
  for (const node of graph.nodes) {
    const source = byName.get(node.inputs[0] ?? '')
    if (source && changesNothing(node, source) && !graph.outputs.includes(node.name))
      replaced.set(node.name, source.name)
  }
  return replace(graph, graph.nodes, replaced)
}

function changesNothing({ op, inputs, shape }: Node, source: Node): boolean {
  switch (op.type) {
    case 'Permute':
      return op.order.every((axis, i) => axis === i)
    case 'Concat':
      return inputs.length === 1 && !op.relu
    case 'Reshape':
    case 'Slice':
    case 'Pad':
    case 'Upsample':
      return sameShape(shape, source.shape)
    default:
      return false
  }
}
