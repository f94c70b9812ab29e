/**
 * The quantized graph as Tpu-dialect text, the vendor's lowered `NAME_int8_tpu.mlir`: 8-bit values have types like
 * `!quant.uniform<i8:f32, 0.5>`, weights stand as `top.Weight` in front of the first layer that reads them.
 */

import { flopsOf } from '../../ir/mlir/flops.js'
import { double, i64, quoted, type TextOperation, writeModule } from '../../ir/mlir/print.js'
import { usedWeights } from '../../ir/mlir/weights.js'
import type { NpyArray } from '../../ir/npz.js'
import type { Precision, QGraph, QNode, QType } from '../qgraph.js'
import { zeroOf } from '../rounding.js'
import { operandsOf, writeTpuOp } from './ops.js'
import { elementOf, storeWeight } from './weights.js'

export interface TpuOptions {
  /** Bare name of the weight npz, beside the text. */
  readonly weightFile: string
  /** What layers are computed in unless they are named otherwise. */
  readonly mode: Precision
}

export function writeTpu(graph: QGraph, options: TpuOptions): string {
  const shapes = new Map<string, readonly number[]>(graph.nodes.map(({ name, shape }) => [name, shape]))
  for (const [name, { shape }] of graph.weights) shapes.set(name, shape)

  const operations: TextOperation[] = []
  const written = new Set<string>()
  for (const node of graph.nodes) {
    const [op, attributes] = writeTpuOp(node.op, node.shape, node.inputs.length)
    for (const name of node.inputs) {
      const weight = graph.weights.get(name)
      if (weight === undefined || written.has(name)) continue
      written.add(name)
      // The vendor's fully connected layers call their signed filter plain i8.
      const element = op === 'tpu.MatMul' && weight.kind === 'i8' ? 'i8' : elementOf(weight.kind)
      operations.push({ op: 'top.Weight', name, operands: [], attributes: {}, shape: weight.shape, element })
    }
    const { name, shape } = node
    operations.push({ op, name, operands: textOperands(node), attributes, shape, element: typeText(node.type) })
  }
  const layers = graph.nodes.map(({ op, shape, inputs }) => ({
    op,
    shape,
    operands: inputs.map((i) => shapes.get(i) ?? []),
  }))
  return writeModule({
    attributes: {
      'module.FLOPs': i64(flopsOf(layers)),
      'module.asymmetric': `${graph.nodes.some(({ type }) => zeroOf(type) !== 0)}`,
      'module.chip': quoted('BM1684X'),
      'module.mode': quoted(options.mode),
      'module.name': quoted(graph.name),
      'module.state': quoted('TPU_LOWERED'),
      'module.weight_file': quoted(options.weightFile),
    },
    operations,
    outputs: graph.outputs,
  })
}

/** The arrays of the weight npz, in the order in which the text names them. */
export const tpuWeights = (graph: QGraph): [string, NpyArray][] =>
  usedWeights(graph).map(([name, weight]) => [name, storeWeight(weight)])

/** An absent bias and the buffer that a permutation may want are written as empty operands. */
function textOperands({ op, inputs }: QNode): readonly string[] {
  if (op.type === 'Permute') return [...inputs, '']
  if (!/^(Conv|MatMul)(Int)?$/.test(op.type)) return inputs
  return Array.from({ length: operandsOf(op.type)[1] }, (_, i) => inputs[i] ?? '')
}

const typeText = (type: QType): string =>
  'scale' in type
    ? `!quant.uniform<${type.kind}:f32, ${double(type.scale)}${type.zero ? `:${type.zero}` : ''}>`
    : type.kind
