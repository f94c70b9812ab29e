import { type Graph, type Node, nodesByName, type Op } from '../graph.js'

/** What "no limit" is where limits are finite numbers. */
const largest = 3.4028234663852886e38

/** One limit after another is one op with both: Relu6 as Min(Max(x, 0), 6). The first is left to `dropDead`. */
export function mergeBounds(graph: Graph): Graph {
  const nodes = nodesByName(graph)
  for (const node of graph.nodes) {
    const outer = boundsOf(node.op)
    const source = outer && nodes.get(node.inputs[0]!)!
    const inner = source && boundsOf(source.op)
    if (!outer || !inner) continue
    const [low, high] = inner.map((bound) => Math.min(Math.max(bound, outer[0]), outer[1])) as [number, number]
    if (low >= high) continue
    const op: Op =
      low === 0
        ? { type: 'Relu', limit: high < largest ? high : -1 }
        : { type: 'Clip', min: Math.max(low, -largest), max: Math.min(high, largest) }
    nodes.set(node.name, { ...node, op, inputs: source.inputs })
  }
  return { ...graph, nodes: graph.nodes.map(({ name }): Node => nodes.get(name)!) }
}

function boundsOf(op: Op): readonly [number, number] | undefined {
  if (op.type === 'Clip') return [op.min, op.max]
  return op.type === 'Relu' ? [0, op.limit < 0 ? largest : op.limit] : undefined
}
