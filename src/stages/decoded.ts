/** A network that decodes its boxes, in 8 bits: why it finds nothing, and where it had better end. */
import { decodesInside } from '../detect/decode/readings.js'
import type { DetectorSpec } from '../detect/types.js'
import { QuantError } from '../errors.js'
import { type Graph, tensorOf } from '../ir/graph.js'
import { headsOfGraph, onlyMoves, typesBehindHeads } from '../ir/heads.js'

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
  const where = heads.length > 0 ? `: model.outputs: [${heads.join(', ')}]` : ''
  return `the network decodes its boxes, so pixels and scores share one tensor, and in 8 bits little is left of scores; end it at its raw heads${where}`
}

/**
 * Reads outputs; where they do not fit the detector's kind and the network goes on behind its heads, the error names these.
 * @throws what `read` throws
 */
export function readOutputs<T>(graph: Graph, read: () => T): T {
  try {
    return read()
  } catch (error) {
    const heads = error instanceof QuantError && error.code === 'model' ? tensorsOfHeads(graph) : []
    if (!(error instanceof QuantError) || heads.length === 0) throw error
    const { code, message, hint } = error
    const ends = `the network goes on behind its raw heads; to end there: model.outputs: [${heads.join(', ')}]`
    throw new QuantError(code, message, { hint: hint ? `${hint}; ${ends}` : ends, cause: error })
  }
}

/** Tensors of the ONNX file in which the raw heads end; none where the network ends there, too, or only moves what they give, or has too many. */
function tensorsOfHeads(graph: Graph): string[] {
  const heads = headsOfGraph(graph)
  if (heads.size > mostHeads || graph.outputs.every((name) => heads.has(name)) || onlyMoves(typesBehindHeads(graph)))
    return []
  return graph.nodes.flatMap(({ name }) => (heads.has(name) ? [tensorOf(name)] : []))
}
