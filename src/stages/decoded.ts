/** A network that decodes its boxes, in 8 bits: why it finds nothing, and where it had better end. */
import { decodesInside } from '../detect/decode/readings.js'
import type { DetectorSpec } from '../detect/types.js'
import type { Graph } from '../ir/graph.js'
import { headsOfGraph } from '../ir/heads.js'

/** More names help nobody. */
const mostHeads = 12

/** @returns what to warn of; undefined where pixels and scores do not share a tensor */
export function decodedWarning(graph: Graph, spec: DetectorSpec): string | undefined {
  const shapes = new Map(graph.nodes.map(({ name, shape }) => [name, shape]))
  if (
    !decodesInside(
      spec,
      graph.outputs.map((name) => shapes.get(name)!),
    )
  )
    return undefined
  const heads = tensorsOfHeads(graph)
  const where = heads.length > 0 && heads.length <= mostHeads ? `: model.outputs: [${heads.join(', ')}]` : ''
  return `the network decodes its boxes, so pixels and scores share one tensor, and in 8 bits little is left of scores; end it at its raw heads${where}`
}

/** Tensors of the ONNX file in which the raw heads end. Import calls a node by its tensor and operator. */
function tensorsOfHeads(graph: Graph): string[] {
  const heads = headsOfGraph(graph)
  return graph.nodes.flatMap(({ name }) => (heads.has(name) ? [name.replace(/_[A-Za-z]+$/, '')] : []))
}
