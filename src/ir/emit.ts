/** Graph -> float ONNX: for calibration, for the tuner's single layers, for tests. */
import { QuantError } from '../errors.js'
import { isFunction } from './functions.js'
import { type Graph, type Node, nodesByName, type Op, type Relu } from './graph.js'
import { type AttributeValue, DataType, float, type OnnxBuilder, onnxBuilder } from './onnx/builder.js'
import { writeFunction } from './onnx/functions.js'

export interface EmitOptions {
  /** Nodes whose values the model gives, called by their names; the graph's outputs otherwise. May be all nodes, inputs too. */
  readonly outputs?: readonly string[] | undefined
  /** Nodes whose values are fed instead of computed: only what lies between them and the outputs is written. */
  readonly from?: readonly string[] | undefined
}

/**
 * An opset 13 model with float32 inputs and outputs, weights inside. Every node is a tensor of its own name, so whatever the
 * network has can be asked for. A name that is fed may be asked for as well: it comes back as it went in.
 * @throws QuantError 'model' when a name is none of the graph's.
 */
export function emitOnnx(graph: Graph, { outputs = graph.outputs, from = [] }: EmitOptions = {}): Uint8Array {
  const builder = onnxBuilder(graph.name)
  const fed = new Set(from)
  const needed = new Set(outputs)
  for (const node of graph.nodes.toReversed())
    if (needed.has(node.name) && !fed.has(node.name)) for (const input of node.inputs) needed.add(input)

  const byName = nodesByName(graph)
  for (const name of [...outputs, ...from])
    if (!byName.has(name)) throw new QuantError('model', `graph \`${graph.name}\` has no layer \`${name}\``)
  for (const node of graph.nodes) {
    if (!needed.has(node.name)) continue
    if (fed.has(node.name)) {
      builder.input(node.name, node.shape)
      continue
    }
    for (const input of node.inputs) {
      const weight = graph.weights.get(input)
      if (weight && !builder.has(input)) builder.weight(input, weight.shape, weight.data)
    }
    emitNode(graph, node, byName, builder)
  }
  for (const output of outputs) builder.output(output, byName.get(output)!.shape)
  return builder.finish()
}

function emitNode(graph: Graph, node: Node, byName: ReadonlyMap<string, Node>, builder: OnnxBuilder): string {
  const { name, op, inputs } = node
  const fresh = (suffix: string): string => {
    let inner = `${name}/${suffix}`
    while (builder.has(inner) || byName.has(inner) || graph.weights.has(inner)) inner += '_'
    return inner
  }
  const integers = (suffix: string, values: readonly number[]): string =>
    builder.weight(fresh(suffix), [values.length], BigInt64Array.from(values, BigInt))
  const number = (suffix: string, value: number): string => builder.weight(fresh(suffix), [], Float32Array.of(value))
  const shapeOf = (operand: string): readonly number[] => (graph.weights.get(operand) ?? byName.get(operand))!.shape

  /** The last ONNX node of an op: its result is the node's, clamped if the op has a relu. */
  const finish = (
    type: string,
    operands: readonly string[],
    attributes: Record<string, AttributeValue> = {},
  ): string => {
    if (!hasRelu(op)) return builder.node(type, operands, name, attributes)
    return clamp(builder.node(type, operands, fresh('linear'), attributes), op.reluLimit)
  }
  const clamp = (operand: string, limit: number): string =>
    limit < 0
      ? builder.node('Relu', [operand], name)
      : builder.node('Clip', [operand, number('min', 0), number('max', limit)], name)
  /** Two or more operands: a chain from left to right. */
  const chain = (type: string): string => {
    const [last, ...before] = inputs.toReversed() as [string, ...string[]]
    const left = before.reverse().reduce((sum, next, i) => builder.node(type, [sum, next], fresh(`part${i}`)))
    return finish(type, [left, last])
  }

  if (isFunction(op))
    return writeFunction(op, inputs[0]!, {
      node: (type, operands, attributes) => builder.node(type, operands, fresh('step'), attributes),
      last: finish,
      number: (value) => number('number', value),
    })
  switch (op.type) {
    case 'Input':
      return builder.input(name, node.shape)
    case 'Conv':
      return finish('Conv', inputs, {
        kernel_shape: op.kernel,
        strides: op.strides,
        dilations: op.dilations,
        pads: op.pads,
        group: op.group,
      })
    case 'Deconv': {
      // ONNX wants [ic, oc/group, kh, kw].
      const { kernel, group } = op
      const [oc, perGroup] = shapeOf(inputs[1]!) as [number, number]
      const { data } = graph.weights.get(inputs[1]!)!
      const apart = builder.weight(fresh('filter'), [group, oc / group, perGroup, ...kernel], data)
      const turned = builder.node('Transpose', [apart], fresh('turned'), { perm: [0, 2, 1, 3, 4] })
      const shape = integers('filter_shape', [group * perGroup, oc / group, ...kernel])
      const filter = builder.node('Reshape', [turned, shape], fresh('reshaped'))
      return finish('ConvTranspose', [inputs[0]!, filter, ...inputs.slice(2)], {
        kernel_shape: kernel,
        strides: op.strides,
        dilations: op.dilations,
        pads: op.pads,
        output_padding: op.outputPadding,
        group,
      })
    }
    case 'MatMul': {
      const [x, right, bias] = inputs as [string, string, string?]
      if (shapeOf(x).length === 2) return finish('Gemm', inputs, { transB: op.rightTranspose ? 1 : 0 })
      const axes = shapeOf(right).map((_, axis) => axis)
      const perm = [...axes.slice(0, -2), ...axes.slice(-2).reverse()]
      const turned = op.rightTranspose ? builder.node('Transpose', [right], fresh('right'), { perm }) : right
      if (bias === undefined) return finish('MatMul', [x, turned])
      return finish('Add', [builder.node('MatMul', [x, turned], fresh('product')), bias])
    }
    case 'Scale': {
      const perChannel = (i: number): string => {
        const { data } = graph.weights.get(inputs[i]!)!
        const shape = [data.length, ...node.shape.slice(2).map(() => 1)]
        return builder.weight(fresh(`operand${i}`), shape, data)
      }
      return finish('Add', [builder.node('Mul', [inputs[0]!, perChannel(1)], fresh('product')), perChannel(2)])
    }
    case 'Relu':
      return clamp(inputs[0]!, op.limit)
    case 'LeakyRelu':
      return finish('LeakyRelu', inputs, { alpha: float(op.alpha) })
    case 'PRelu':
      return finish('PRelu', inputs)
    case 'Min':
    case 'Max':
      return finish(op.type, inputs)
    case 'Softmax':
      return finish('Softmax', inputs, { axis: op.axis })
    case 'ArgMax': {
      const index = builder.node('ArgMax', inputs, fresh('index'), { axis: op.axis, keepdims: op.keepDims ? 1 : 0 })
      return finish('Cast', [index], { to: DataType.FLOAT })
    }
    case 'MaxPool':
      return finish('MaxPool', inputs, { kernel_shape: op.kernel, strides: op.strides, pads: op.pads })
    case 'AvgPool': {
      const attributes = {
        kernel_shape: op.kernel,
        strides: op.strides,
        pads: op.pads,
        count_include_pad: op.countIncludePad ? 1 : 0,
      }
      if (op.keepDims) return finish('AveragePool', inputs, attributes)
      const pooled = builder.node('AveragePool', inputs, fresh('pooled'), attributes)
      return finish('Reshape', [pooled, integers('shape', node.shape)])
    }
    case 'Add':
    case 'Mul':
    case 'Sub':
    case 'Div':
      return chain(op.type)
    case 'Concat':
      return finish('Concat', inputs, { axis: op.axis })
    case 'Upsample': {
      const scales = builder.weight(fresh('scales'), [4], Float32Array.of(1, 1, op.scaleH, op.scaleW))
      return finish('Resize', [inputs[0]!, '', scales], {
        mode: 'nearest',
        coordinate_transformation_mode: 'asymmetric',
        nearest_mode: 'floor',
      })
    }
    case 'Permute':
      return finish('Transpose', inputs, { perm: op.order })
    case 'Reshape':
      return finish('Reshape', [inputs[0]!, integers('shape', node.shape)])
    case 'Slice': {
      const axes = op.offsets.map((_, axis) => axis)
      return finish('Slice', [
        inputs[0]!,
        integers('starts', op.offsets),
        integers('ends', op.ends),
        integers('axes', axes),
        integers('steps', op.steps),
      ])
    }
    case 'Pad':
      return finish('Pad', [inputs[0]!, integers('pads', op.paddings), number('value', op.value)], { mode: 'constant' })
  }
}

const hasRelu = (op: Op): op is Op & Relu => 'relu' in op && op.relu
