/**
 * The float graph as Top-dialect text, the vendor's `NAME.mlir`: each weight stands as `top.Weight` in front of the first layer that
 * reads it, its data in the npz file that `module.weight_file` names, under the weight's name.
 */

import type { Threshold, Thresholds } from '../../calibrate/threshold.js'
import type { Graph, Node } from '../graph.js'
import { flopsOf } from '../mlir/flops.js'
import { double, i64, quoted, type TextOperation, writeModule } from '../mlir/print.js'
import { usedWeights } from '../mlir/weights.js'
import type { NpyArray } from '../npz.js'
import { OPERANDS, textName, writeAttributes } from './ops.js'

export interface TopOptions {
  /** Bare name of the weight npz, beside the text. */
  readonly weightFile: string
  /** Layers named here get calibrated types: [-threshold, threshold], or [0, threshold] when the minimum is not below 0. */
  readonly thresholds?: Thresholds
}

export function writeTop(graph: Graph, options: TopOptions): string {
  const { thresholds } = options
  const shapes = new Map<string, readonly number[]>(graph.nodes.map(({ name, shape }) => [name, shape]))
  for (const [name, { shape }] of graph.weights) shapes.set(name, shape)

  const operations: TextOperation[] = []
  const written = new Set<string>()
  for (const node of graph.nodes) {
    for (const name of node.inputs) {
      const weight = graph.weights.get(name)
      if (weight === undefined || written.has(name)) continue
      written.add(name)
      operations.push({ op: 'top.Weight', name, operands: [], attributes: {}, shape: weight.shape, element: 'f32' })
    }
    operations.push({
      op: `top.${textName(node.op.type)}`,
      name: node.name,
      operands: operandsOf(node),
      attributes: writeAttributes(node.op, node.shape),
      shape: node.shape,
      element: calibrated(thresholds?.get(node.name)),
    })
  }
  const layers = graph.nodes.map(({ op, shape, inputs }) => ({
    op,
    shape,
    operands: inputs.map((i) => shapes.get(i) ?? []),
  }))
  return writeModule({
    attributes: {
      'module.FLOPs': i64(flopsOf(layers)),
      'module.chip': quoted('ALL'),
      'module.name': quoted(graph.name),
      'module.state': quoted(thresholds === undefined ? 'TOP_F32' : 'TOP_CALIBRATED'),
      'module.weight_file': quoted(options.weightFile),
    },
    operations,
    outputs: graph.outputs,
  })
}

/** The arrays of the weight npz, in the order in which the text names them. */
export const topWeights = (graph: Graph): [string, NpyArray][] => usedWeights(graph)

/** An absent bias is written as an empty operand. */
function operandsOf({ op, inputs }: Node): string[] {
  const most = op.type === 'Conv' || op.type === 'Deconv' || op.type === 'MatMul' ? OPERANDS[op.type][1] : inputs.length
  return Array.from({ length: most }, (_, i) => inputs[i] ?? '')
}

function calibrated(known: Threshold | undefined): string {
  if (known === undefined) return 'f32'
  const { threshold, min } = known
  return `!quant.calibrated<f32<${double(min < 0 ? -threshold : 0)}:${double(threshold)}>>`
}
