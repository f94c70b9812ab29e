/** Small quantized graphs by hand. */
import type { Tensor } from '../../src/ir/graph.js'
import { openQuantized } from '../../src/quantize/execute.js'
import type { QGraph, QNode, QOp, QType, QWeight } from '../../src/quantize/qgraph.js'

export const i8: QType = { kind: 'i8', scale: 1 }
export const u8: QType = { kind: 'u8', scale: 1 }
export const f32: QType = { kind: 'f32' }

export interface Built {
  readonly graph: QGraph
  /** Runs from stored 8-bit or float values of the given nodes to the stored values of `output`. */
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
      try {
        return (await session.run(feeds)).get(output)!
      } finally {
        await session.release()
      }
    },
  }
}
