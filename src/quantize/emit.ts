/**
 * The quantized graph as an ONNX model of float32 tensors that hold whole numbers: what gives the graph its meaning, at the
 * speed of float kernels.
 */
import { QuantError, unreachable } from '../errors.js'
import { isFunction } from '../ir/functions.js'
import { onnxBuilder } from '../ir/onnx/builder.js'
import type { Emission, NodeOf } from './emit/context.js'
import { emitConv } from './emit/conv.js'
import { emitCast, emitFloat } from './emit/float.js'
import {
  emitAdd,
  emitAvgPool,
  emitLeakyRelu,
  emitLut,
  emitMatMul,
  emitMul,
  emitMulShift,
  emitPRelu,
  emitRelu,
  emitSub,
  emitSum,
} from './emit/int.js'
import { emitMove } from './emit/move.js'
import { storedRanges } from './emit/range.js'
import type { QGraph, QNode } from './qgraph.js'

export interface EmittedModel {
  readonly model: Uint8Array
  /** Node -> name of the model's input, float32 in the node's shape. */
  readonly inputs: ReadonlyMap<string, string>
  /** Node -> name of the model's output, in the order asked for. */
  readonly outputs: ReadonlyMap<string, string>
}

/**
 * Only what the outputs need is emitted. Nodes of `from` are not computed but become inputs, in stored values.
 * @param options.integerMatMul allows the faster form that not every processor computes exactly; results are the same
 * @throws QuantError when a name is no node of the graph.
 */
export function emitQuantized(
  graph: QGraph,
  {
    outputs = graph.outputs,
    from = [],
    integerMatMul = false,
  }: { outputs?: readonly string[]; from?: readonly string[]; integerMatMul?: boolean } = {},
): EmittedModel {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
  const nodeOf = (name: string): QNode => {
    const node = nodes.get(name)
    if (node !== undefined) return node
    throw new QuantError('model', `${graph.name} has no value ${name}`, { hint: 'look up the names in its .mlir file' })
  }
  const given = new Set(from.map((name) => nodeOf(name).name))
  const needed = new Set<string>()
  for (const output of outputs) needed.add(nodeOf(output).name)
  for (const { name, inputs } of graph.nodes.toReversed())
    if (needed.has(name) && !given.has(name)) for (const input of inputs) needed.add(input)

  // Numbered names, as a name out of the network could be any of ours.
  const builder = onnxBuilder(graph.name)
  let count = 0
  const fresh = (): string => `v${count++}`
  const values = new Map<string, string>()
  const inputs = new Map<string, string>()
  const ranges = storedRanges(graph)
  const constant: Emission['constant'] = (data, shape = []) => builder.weight(fresh(), shape, data)
  const emission: Emission = {
    value(name) {
      const known = values.get(name)
      if (known !== undefined) return known
      const weight = graph.weights.get(name)
      if (weight === undefined)
        throw new QuantError('model', `${name} is read before it is computed`, { hint: 'order the nodes of the graph' })
      const value = constant(new Float32Array(weight.data), weight.shape)
      values.set(name, value)
      return value
    },
    typeOf: (name) => nodeOf(name).type,
    shapeOf: (name) => graph.weights.get(name)?.shape ?? nodeOf(name).shape,
    weightOf: (name) => graph.weights.get(name),
    rangeOf: (name) => ranges.get(name)!,
    step: (type, operands, attributes) => builder.node(type, operands, fresh(), attributes),
    constant,
    integerMatMul,
  }
  for (const node of graph.nodes) {
    if (!needed.has(node.name)) continue
    if (node.op.type === 'Input' || given.has(node.name)) {
      const input = builder.input(fresh(), node.shape)
      inputs.set(node.name, input)
      values.set(node.name, input)
    } else values.set(node.name, emitNode(emission, node))
  }
  const results = new Map(outputs.map((name) => [name, emission.step('Identity', [emission.value(name)])]))
  for (const [name, result] of results) builder.output(result, nodeOf(name).shape)
  return { model: builder.finish(), inputs, outputs: results }
}

function emitNode(emission: Emission, node: QNode): string {
  const { op } = node
  if (isFunction(op)) return emitFloat(emission, { ...node, op })
  switch (op.type) {
    case 'ConvInt':
      return emitConv(emission, node as NodeOf<'ConvInt'>)
    case 'MatMulInt':
      return emitMatMul(emission, node as NodeOf<'MatMulInt'>)
    case 'LeakyReluInt':
      return emitLeakyRelu(emission, node as NodeOf<'LeakyReluInt'>)
    case 'ReluInt':
      return emitRelu(emission, node as NodeOf<'ReluInt'>)
    case 'AddInt':
      return emitAdd(emission, node as NodeOf<'AddInt'>)
    case 'SubInt':
      return emitSub(emission, node as NodeOf<'SubInt'>)
    case 'PReluInt':
      return emitPRelu(emission, node as NodeOf<'PReluInt'>)
    case 'MulInt':
      return emitMul(emission, node as NodeOf<'MulInt'>)
    case 'MulShift':
      return emitMulShift(emission, node as NodeOf<'MulShift'>)
    case 'SumInt':
      return emitSum(emission, node as NodeOf<'SumInt'>)
    case 'Lut':
      return emitLut(emission, node as NodeOf<'Lut'>)
    case 'AvgPoolInt':
      return emitAvgPool(emission, node as NodeOf<'AvgPoolInt'>)
    case 'Cast':
      return emitCast(emission, node as NodeOf<'Cast'>)
    case 'Spread':
    case 'MaxPool':
    case 'Concat':
    case 'Upsample':
    case 'Permute':
    case 'Reshape':
    case 'Slice':
    case 'Pad':
    case 'Min':
    case 'Max':
      return emitMove(emission, { ...node, op })
    case 'Conv':
    case 'MatMul':
    case 'Scale':
    case 'Relu':
    case 'LeakyRelu':
    case 'PRelu':
    case 'Softmax':
    case 'ArgMax':
    case 'AvgPool':
    case 'Add':
    case 'Mul':
    case 'Sub':
    case 'Div':
      return emitFloat(emission, { ...node, op })
    case 'Input':
      return emission.value(node.name)
    default:
      return unreachable(op)
  }
}
