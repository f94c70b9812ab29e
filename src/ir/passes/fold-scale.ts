import type { Graph, Node, Weight } from '../graph.js'
import { nodesByName, sizeOf } from '../graph.js'
import { freshName, replace, useCounts } from './rewrite.js'

/**
 * BatchNormalization into the convolution before it, when nothing else reads that one: w' = w * s, b' = b * s + t per output
 * channel, in float32. The convolution keeps its own name, as with the simplifiers that run ahead of the vendor's importer
 * (`convolution_output12_Conv`, not the normalisation's name), and the new weights are called what those call them.
 */
export function foldScale(graph: Graph): Graph {
  const uses = useCounts(graph)
  const nodes = nodesByName(graph)
  const weights = new Map(graph.weights)
  const replaced = new Map<string, string>()
  const add = (name: string, weight: Weight): string => {
    const fresh = freshName(name, (taken) => weights.has(taken) || nodes.has(taken))
    weights.set(fresh, weight)
    return fresh
  }

  for (const node of graph.nodes) {
    if (node.op.type !== 'Scale') continue
    // A second normalisation reads the first, which is by now part of the convolution.
    const source = node.inputs[0]!
    const conv = nodes.get(replaced.get(source) ?? source)!
    if ((conv.op.type !== 'Conv' && conv.op.type !== 'Deconv') || conv.op.relu || uses.get(source) !== 1) continue
    const [, scaleName, shiftName] = node.inputs as [string, string, string]
    const [scale, shift] = [weights.get(scaleName)!, weights.get(shiftName)!]
    const weight = weights.get(conv.inputs[1]!)!
    const bias = conv.inputs[2] === undefined ? undefined : weights.get(conv.inputs[2])!
    const perFilter = sizeOf(weight.shape.slice(1))
    const folded: Node = {
      ...conv,
      op: { ...conv.op, relu: node.op.relu, reluLimit: node.op.reluLimit },
      inputs: [
        conv.inputs[0]!,
        add(`ConvBnFusion_W_${conv.inputs[1]}`, {
          shape: weight.shape,
          data: weight.data.map((w, i) => w * scale.data[Math.floor(i / perFilter)]!),
        }),
        add(`ConvBnFusion_${shiftName}`, {
          shape: shift.shape,
          data: shift.data.map((t, c) => (bias ? Math.fround(bias.data[c]! * scale.data[c]!) + t : t)),
        }),
      ],
    }
    nodes.set(conv.name, folded)
    replaced.set(node.name, conv.name)
  }
  return replace(
    { ...graph, weights },
    graph.nodes.map(({ name }) => nodes.get(name)!),
    replaced,
  )
}
