/** What passes share. */
import type { Graph, Node } from '../graph.js'

/** How often each node is read; being an output counts as once more. */
export function useCounts(graph: Graph): Map<string, number> {
  const counts = new Map<string, number>()
  const count = (name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1)
  for (const node of graph.nodes) node.inputs.forEach(count)
  graph.outputs.forEach(count)
  return counts
}

/**
 * Takes nodes out: whoever read one (or has it as output) reads what it is replaced by instead. Chains of replacements are followed.
 * @param replaced name of a node to take out -> name of the node that stands for it.
 */
export function replace(graph: Graph, nodes: readonly Node[], replaced: ReadonlyMap<string, string>): Graph {
  const resolve = (name: string): string => {
    let now = name
    for (let next = replaced.get(now); next !== undefined; next = replaced.get(now)) now = next
    return now
  }
  return {
    ...graph,
    nodes: nodes
      .filter(({ name }) => !replaced.has(name))
      .map((node) => ({ ...node, inputs: node.inputs.map(resolve) })),
    outputs: graph.outputs.map(resolve),
  }
}

/** `name`, or `name_2`, `name_3`... when that is taken. */
export function freshName(name: string, taken: (name: string) => boolean): string {
  let fresh = name
  for (let i = 2; taken(fresh); i++) fresh = `${name}_${i}`
  return fresh
}
