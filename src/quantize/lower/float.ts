import type { Node, Op, OpOf } from '../../ir/graph.js'
import type { QOp } from '../qgraph.js'
import { type FloatKind, roundTo } from '../rounding.js'
import type { Lowering } from './context.js'
import { spreadOperand, turnedFilter } from './deconv.js'
import { lowerProduct } from './product.js'

/** A layer in float: operands cast, weights rounded to the type, the result rounded once. A conv's bias stays float32. */
export function lowerFloat(
  lowering: Lowering,
  node: Node & { readonly op: Exclude<Op, OpOf<'ArgMax'>> },
  kind: FloatKind,
): void {
  const { op } = node
  if (op.type === 'Deconv') lowerDeconv(lowering, { ...node, op }, kind)
  else if (op.type === 'Softmax') lowerSoftmax(lowering, { ...node, op }, kind)
  else if (op.type === 'MatMul' && !lowering.graph.weights.has(node.inputs[1]!))
    lowerProduct(lowering, { ...node, op }, kind)
  else lowerPlain(lowering, { ...node, op }, kind)
}

function lowerPlain(
  lowering: Lowering,
  node: Node & { readonly op: Exclude<Op, OpOf<'Deconv' | 'ArgMax'>> },
  kind: FloatKind,
): void {
  const { op, name } = node
  const inputs = node.inputs.map((input, i) => lowering.float(input, op.type === 'Conv' && i === 2 ? 'f32' : kind))
  // What is padded is stored like all else.
  const stored = op.type === 'Pad' && kind !== 'f32' ? { ...op, value: roundTo(kind, op.value) } : op
  lowering.add({ ...node, op: stored satisfies QOp, inputs, type: { kind }, layer: name })
}

function lowerDeconv(lowering: Lowering, node: Node & { readonly op: OpOf<'Deconv'> }, kind: FloatKind): void {
  const { name, inputs, shape } = node
  const { x, op } = spreadOperand(lowering, node, lowering.float(inputs[0]!, kind), { kind })
  const turned = turnedFilter(lowering.constant(inputs[1]!, name))
  const data = turned.data.map((w) => (kind === 'f32' ? w : roundTo(kind, w)))
  const filter = lowering.weight(`${name}_filter_${kind}`, { ...turned, data, kind })
  const bias = inputs.slice(2).map((value) => lowering.float(value, 'f32'))
  lowering.add({ name, op, inputs: [x, filter, ...bias], shape, type: { kind }, layer: name })
}

/** On the chip the leading dimensions are the batch, along which nothing can be summed: such an axis is moved to the end. */
function lowerSoftmax(lowering: Lowering, node: Node & { readonly op: OpOf<'Softmax'> }, kind: FloatKind): void {
  const { name, op, shape } = node
  const x = lowering.float(node.inputs[0]!, kind)
  const leading = shape.length > 3 ? shape.length - 3 : shape.length > 1 ? 1 : 0
  if (op.axis >= leading) {
    lowering.add({ ...node, inputs: [x], type: { kind }, layer: name })
    return
  }
  const axes = shape.map((_, axis) => axis)
  const order = [...axes.filter((axis) => axis !== op.axis), op.axis]
  const back = axes.map((axis) => order.indexOf(axis))
  const add = step(lowering, node, kind)
  const turnedShape = order.map((axis) => shape[axis]!)
  const turned = add('turned', { type: 'Permute', order }, [x], turnedShape)
  const result = add('softmax', { type: 'Softmax', axis: shape.length - 1 }, [turned], turnedShape)
  lowering.add({ ...node, op: { type: 'Permute', order: back }, inputs: [result], type: { kind }, layer: name })
}

/** Adds a node on the way to a layer's result. */
const step =
  (lowering: Lowering, { name }: Node, kind: FloatKind) =>
  (what: string, op: QOp, inputs: readonly string[], shape: readonly number[]): string => {
    const own = `${name}_${what}`
    lowering.add({ name: own, op, inputs, shape, type: { kind }, layer: own })
    return own
  }
