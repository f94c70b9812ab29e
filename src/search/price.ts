/**
 * What a choice costs on the chip, without generating its program: the whole network in INT8, and for each float layer what it takes more
 * in a whole float program, and the casts where precisions meet. Good enough to say which of two choices is dearer; what is told to the
 * user is the estimate of the program itself.
 */
import { type Graph, sizeOf, usersOf } from '../ir/graph.js'
import type { Choice, FloatMode } from './choice.js'

/** The estimate of a whole program. */
export interface Price {
  readonly cycles: number
  /** Layer -> its part of the critical path. */
  readonly layers: Readonly<Record<string, number>>
}

/** Cycles to issue a cast, and elements that are cast in one: 64 lanes of 16. */
const castStart = 30
const castsPerCycle = 1024

/** @returns cycles of a choice, roughly */
export function cheapPrices(
  graph: Graph,
  int8: Price,
  whole: Readonly<Partial<Record<FloatMode, Price>>>,
): (choice: Choice) => number {
  const users = usersOf(graph)
  const outputs = new Set(graph.outputs)
  const computed = new Map(
    graph.nodes.flatMap((node) => (node.op.type === 'Input' ? [] : [[node.name, node] as const])),
  )
  return (choice) => {
    let cycles = int8.cycles
    // Never less than in INT8: where a program waits for memory, its layers share the time by chance.
    for (const [layer, mode] of choice)
      cycles += Math.max(0, (whole[mode]?.layers[layer] ?? 0) - (int8.layers[layer] ?? 0))
    for (const { name, shape } of computed.values()) {
      const own = choice.get(name)
      // An output is float32 in the end: in INT8 it is cast there.
      const others = new Set(users.get(name)!.map((user) => choice.get(user.name)))
      others.delete(own)
      cycles += others.size * (castStart + sizeOf(shape) / castsPerCycle)
      if (own !== undefined && outputs.has(name)) cycles -= castStart + sizeOf(shape) / castsPerCycle
    }
    return Math.round(cycles)
  }
}
