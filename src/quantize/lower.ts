/** The float graph becomes the quantized graph: every layer in its precision, casts where precisions meet. */
import type { Thresholds } from '../calibrate/threshold.js'
import type { Warning } from '../events.js'
import type { Graph, Node } from '../ir/graph.js'
import { lowerArgMax } from './lower/argmax.js'
import { withCorrectedBiases } from './lower/bias.js'
import { type Lowering, startLowering } from './lower/context.js'
import { lowerFloat } from './lower/float.js'
import { lowerInt8 } from './lower/int8.js'
import { placement } from './lower/placement.js'
import { propagateScales } from './propagate.js'
import type { Precision, QGraph } from './qgraph.js'

export { describeFallbacks } from './lower/placement.js'

const floatKinds = { F32: 'f32', F16: 'f16', BF16: 'bf16' } as const

/**
 * Lowers for the chip. Network inputs are float32; outputs are float32 nodes, `NAME_f32` where a cast is needed.
 * @param thresholds may be absent when no layer is INT8
 * @param precision of every layer; where it cannot be had, `describeFallbacks` tells what is taken
 * @param warn told of biases that had to be clamped
 * @throws QuantError 'model' naming the layer that has no threshold, 'input' for thresholds that are no positive numbers
 */
export function lower(
  graph: Graph,
  thresholds: Thresholds | undefined,
  precision: (layer: string) => Precision,
  warn: (warning: Warning) => void = () => {},
): QGraph {
  const corrected = withCorrectedBiases(graph, thresholds ?? new Map(), precision)
  const lowering = startLowering(corrected, propagateScales(corrected, thresholds ?? new Map()))
  for (const node of corrected.nodes) lowerNode(lowering, node, precision, warn)
  return lowering.finish(graph.outputs.map((output) => lowering.float(output, 'f32')))
}

function lowerNode(
  lowering: Lowering,
  node: Node,
  precision: (layer: string) => Precision,
  warn: (warning: Warning) => void,
): void {
  const { op, name, shape, inputs } = node
  if (op.type === 'Input') {
    lowering.add({ name, op, inputs: [], shape, type: { kind: 'f32' }, layer: name })
  } else if (op.type === 'Reshape') {
    // A Reshape converts nothing: it keeps the type of what it reads.
    lowering.add({ name, op, inputs, shape, type: lowering.typeOf(inputs[0]!), layer: name })
  } else if (op.type === 'ArgMax') {
    lowerArgMax(lowering, { ...node, op })
  } else {
    const place = placement(lowering.graph, node, precision(name)).precision
    if (place === 'INT8') lowerInt8(lowering, node, warn)
    else lowerFloat(lowering, { ...node, op }, floatKinds[place])
  }
}
