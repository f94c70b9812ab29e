/** From a name that a layer might have had, if nothing had been fused into it, to the layer. */
import { tensorOf } from '../graph.js'
import { parseOnnx } from './read.js'

/**
 * Layers are called by the tensor that they make, `_` and the operator. Where a name is right by that rule but its node was taken into
 * another layer (a Sigmoid into a SiLU, a BatchNormalization into a Conv), finds that layer: the nearest one along the way of the data,
 * first behind the node, then before it.
 * @param bytes of the ONNX file @throws as `parseOnnx`
 * @returns for each name, the layer; undefined where the model has no such node
 */
export function fusedInto(
  bytes: Uint8Array,
  file: string,
  layers: ReadonlySet<string>,
): (name: string) => string | undefined {
  const nodes = parseOnnx(bytes, file).graph!.node
  type Node = (typeof nodes)[number]
  const maker = new Map(nodes.flatMap((node) => node.output.map((tensor) => [tensor, node] as const)))
  const readers = new Map<string, Node[]>()
  for (const node of nodes) for (const tensor of node.input) readers.set(tensor, [...(readers.get(tensor) ?? []), node])
  const byTensor = new Map([...layers].map((layer) => [tensorOf(layer), layer]))

  const walk = (from: Node, next: (node: Node) => Node | undefined): string | undefined => {
    const seen = new Set<Node>()
    for (let node: Node | undefined = from; node && !seen.has(node); node = next(node)) {
      seen.add(node)
      const layer = byTensor.get(node.output[0]!)
      if (layer !== undefined) return layer
    }
    return undefined
  }
  return (name) => {
    const node = maker.get(name) ?? maker.get(tensorOf(name))
    if (!node) return undefined
    return (
      walk(node, (at) => readers.get(at.output[0]!)?.[0]) ??
      walk(node, (at) => at.input.map((tensor) => maker.get(tensor)).find((one) => one !== undefined))
    )
  }
}
