import { emitOnnx } from '../ir/emit.js'
import { type Graph, type Node, nodesByName, sizeOf, type Tensor, type Weight } from '../ir/graph.js'
import { openSession } from '../runtime/session.js'

/** One layer, ready to run. */
export interface Layer {
  /** @param operands the layer's operands that are no weights, in its order. The result is only valid until the next run. */
  run(operands: readonly Tensor[]): Promise<Tensor>
  release(): Promise<void>
}

/** Makes one layer of the graph runnable, with `weights` in place of the graph's. */
export type OpenLayer = (node: Node, weights: ReadonlyMap<string, Weight>) => Promise<Layer>

/** Single layers of a graph as onnxruntime sessions. Every run of a layer writes into the same buffer. */
export function layerOpener(graph: Graph): OpenLayer {
  const nodes = nodesByName(graph)
  return async (node, weights) => {
    // A layer may read one value twice: it is one input of the model.
    const operands = node.inputs.filter((name) => nodes.has(name))
    const model = emitOnnx({ ...graph, weights }, { outputs: [node.name], from: [...new Set(operands)] })
    const session = await openSession(model, `layer ${JSON.stringify(node.name)}`)
    const result: Tensor = { shape: node.shape, data: new Float32Array(sizeOf(node.shape)) }
    return {
      async run(values) {
        const feeds = Object.fromEntries(operands.map((name, i) => [name, values[i]!]))
        await session.run(feeds, { [node.name]: result })
        return result
      },
      release: () => session.release(),
    }
  }
}
