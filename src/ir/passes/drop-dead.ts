import type { Graph } from '../graph.js'

/** Takes out nodes (inputs too) that no output needs, and weights that no node reads. */
export function dropDead(graph: Graph): Graph {
  const needed = new Set(graph.outputs)
  const nodes = graph.nodes.toReversed().filter(({ name, inputs }) => {
    if (!needed.has(name)) return false
    for (const input of inputs) needed.add(input)
    return true
  })
  return {
    ...graph,
    nodes: nodes.reverse(),
    weights: new Map([...graph.weights].filter(([name]) => needed.has(name))),
  }
}
