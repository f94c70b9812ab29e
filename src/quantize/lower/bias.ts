import type { Thresholds } from '../../calibrate/threshold.js'
import { QuantError } from '../../errors.js'
import type { Graph, Weight } from '../../ir/graph.js'
import type { Precision } from '../qgraph.js'
import { placement } from './placement.js'

/**
 * The graph in which the convs that will be 8 bit have the biases that calibration corrected; those in float keep theirs, since it is
 * the error of 8 bit that is taken back.
 * @throws QuantError 'input' for a correction that is none for this layer
 */
export function withCorrectedBiases(
  graph: Graph,
  thresholds: Thresholds,
  precision: (layer: string) => Precision,
): Graph {
  const weights = new Map<string, Weight>(graph.weights)
  const nodes = graph.nodes.map((node) => {
    const correction = thresholds.get(node.name)?.biasCorrection
    if (correction === undefined) return node
    const [x, filter, bias] = node.inputs
    const before = graph.weights.get(bias ?? '')
    if (node.op.type !== 'Conv' || before?.data.length !== correction.length)
      throw new QuantError(
        'input',
        `the calibration table corrects ${correction.length} biases of ${node.name}, which ${before ? `has ${before.data.length}` : 'has none'}`,
        { hint: 'it was made for another model: calibrate again, or remove its bias_correction lines' },
      )
    if (placement(graph, node, precision(node.name)).precision !== 'INT8') return node
    // Under the layer's name: another layer may read the same bias.
    const name = `${node.name}_corrected_bias`
    weights.set(name, { shape: before.shape, data: before.data.map((value, i) => value + correction[i]!) })
    return { ...node, inputs: [x!, filter!, name] }
  })
  return nodes.some((node, i) => node !== graph.nodes[i]) ? { ...graph, nodes, weights } : graph
}
