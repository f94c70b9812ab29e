import type { Graph, OpType } from '../ir/graph.js'

/** Ops that only move data, or are float anyway: making them float changes nothing. */
const NEVER: ReadonlySet<OpType> = new Set([
  'Input',
  'Reshape',
  'Softmax',
  'MaxPool',
  'Slice',
  'Permute',
  'Upsample',
  'Pad',
])

/** The layers that a search tries in float, in graph order. */
export const candidateLayers = (graph: Graph): string[] =>
  graph.nodes.filter((node) => !NEVER.has(node.op.type)).map((node) => node.name)
