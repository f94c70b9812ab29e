/** Small quantized graphs by hand. */

import { expect } from 'vitest'
import type { Tensor } from '../../src/ir/graph.js'
import { emitQuantized } from '../../src/quantize/emit.js'
import { exactMatMul, openQuantized } from '../../src/quantize/execute.js'
import type { QGraph, QNode, QOp, QType, QWeight } from '../../src/quantize/qgraph.js'
import { openSession } from '../../src/runtime/session.js'

export const i8: QType = { kind: 'i8', scale: 1 }
export const u8: QType = { kind: 'u8', scale: 1 }
export const f32: QType = { kind: 'f32' }

export interface Built {
  readonly graph: QGraph
  /**
   * Runs from stored 8-bit or float values of the given nodes to the stored values of `output`: as it is executed, and in the form
   * without integer matrix products, which must give the same.
   */
  run(feeds: Record<string, Tensor>, output?: string): Promise<Tensor>
}

/** Nodes without an op are fed. */
export function build(
  given: Record<string, { shape: readonly number[]; type: QType }>,
  nodes: readonly { name: string; op: QOp; inputs: readonly string[]; shape: readonly number[]; type: QType }[],
  weights: Record<string, QWeight> = {},
): Built {
  const fed: QNode[] = Object.entries(given).map(([name, { shape, type }]) => ({
    name,
    op: { type: 'Input' },
    inputs: [],
    shape,
    type,
    layer: name,
  }))
  const graph: QGraph = {
    name: 'test',
    nodes: [...fed, ...nodes.map((node) => ({ ...node, layer: node.name }))],
    weights: new Map(Object.entries(weights)),
    outputs: [nodes.at(-1)!.name],
  }
  return {
    graph,
    async run(feeds, output = graph.outputs[0]!) {
      const session = await openQuantized(graph, { outputs: [output] })
      const result = (await session.run(feeds)).get(output)!
      await session.release()
      expect(await runPortably(graph, feeds, output)).toEqual(result)
      return result
    },
  }
}

async function runPortably(graph: QGraph, feeds: Record<string, Tensor>, output: string): Promise<Tensor> {
  const { model, inputs, outputs } = emitQuantized(graph, { outputs: [output], integerMatMul: false })
  const session = await openSession(model, 'test')
  const results = await session.run(Object.fromEntries([...inputs].map(([name, input]) => [input, feeds[name]!])))
  await session.release()
  return results.get(outputs.get(output)!)!
}

/** Whether a conv of the graph is executed as an integer matrix product here. */
export const byMatMul = async (graph: QGraph): Promise<boolean> =>
  Buffer.from(emitQuantized(graph, { integerMatMul: await exactMatMul() }).model).includes('MatMulInteger')
