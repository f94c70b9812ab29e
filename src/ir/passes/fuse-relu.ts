import type { Graph, Node, Op, Relu } from '../graph.js'
import { useCounts } from './rewrite.js'

type Fusable = Extract<Op, Relu>

const fuses = (op: Op): op is Fusable => 'relu' in op

/**
 * Relu into what makes its operand (Conv, MatMul, Scale, Add, Mul, Concat), when nothing else reads that: the survivor stands
 * where it stood and takes the relu's name. Of two limits the smaller one holds.
 */
export function fuseRelu(graph: Graph): Graph {
  const uses = useCounts(graph)
  const nodes: (Node | undefined)[] = []
  const place = new Map<string, number>()
  for (const node of graph.nodes) {
    const at = place.get(node.inputs[0] ?? '')
    const source = at === undefined ? undefined : nodes[at]
    if (node.op.type === 'Relu' && source && fuses(source.op) && uses.get(source.name) === 1) {
      const op = { ...source.op, relu: true, reluLimit: smallerLimit(source.op.reluLimit, node.op.limit) }
      nodes[at!] = { ...source, name: node.name, op }
      place.set(node.name, at!)
    } else {
      place.set(node.name, nodes.push(node) - 1)
    }
  }
  return { ...graph, nodes: nodes.filter((node) => node !== undefined) }
}

/** -1 is no limit. */
const smallerLimit = (a: number, b: number): number => (a < 0 ? b : b < 0 ? a : Math.min(a, b))
