import { type Graph, type Node, nodesByName } from '../graph.js'
import { useCounts } from './rewrite.js'

/** x * sigmoid(x), in either order, is SiLU and keeps the product's name. The sigmoid goes when nothing else reads it. */
export function fuseSilu(graph: Graph): Graph {
  const byName = nodesByName(graph)
  const uses = useCounts(graph)
  const gone = new Set<string>()
  const nodes = graph.nodes.map((node): Node => {
    const [a = '', b = ''] = node.inputs
    if (node.op.type !== 'Mul' || node.op.relu || node.inputs.length !== 2) return node
    const gate = [b, a].find((name, i) => {
      const gate = byName.get(name)
      return gate?.op.type === 'Sigmoid' && gate.inputs[0] === [a, b][i]
    })
    if (gate === undefined) return node
    if (uses.get(gate) === 1) gone.add(gate)
    return { ...node, op: { type: 'SiLU' }, inputs: byName.get(gate)!.inputs }
  })
  return { ...graph, nodes: nodes.filter(({ name }) => !gone.has(name)) }
}
