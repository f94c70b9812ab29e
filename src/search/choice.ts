/** What a search decides: which layers are float, and in which precision. */
import type { Graph } from '../ir/graph.js'
import type { Precision } from '../quantize/qgraph.js'
import { withMoves } from './candidates.js'

export type FloatMode = Exclude<Precision, 'INT8'>

/** Layer -> what it is computed in, in graph order; all others are INT8. */
export type Choice = ReadonlyMap<string, FloatMode>

export const int8Only: Choice = new Map()

/** Equal for equal choices, whatever their order. */
export const choiceKey = (choice: Choice): string => JSON.stringify([...choice].sort())

/** With the layers that move data between those that are chosen, or on to an output: each in the precision of what it reads. */
export function complete(graph: Graph, choice: Choice): Choice {
  const float = new Set(withMoves(graph, choice.keys()))
  const whole = new Map<string, FloatMode>()
  for (const { name, inputs } of graph.nodes)
    if (float.has(name)) whole.set(name, choice.get(name) ?? whole.get(inputs[0]!)!)
  return whole
}
