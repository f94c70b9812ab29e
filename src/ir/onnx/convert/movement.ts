/** Operators that move values and compute nothing. */

import { type Shape, showShape } from '../../shapes.js'
import { type Convert, integers, type OnnxNode, wholeAxis } from '../node.js'
import { TensorProto_DataType as Type } from '../onnx_pb.js'
import { flattened, reshapeTarget, squeezed, unsqueezed } from '../reshape.js'
import { spanOf } from '../span.js'

const toShape =
  (shapeFor: (node: OnnxNode, shape: Shape) => Shape): Convert =>
  (node) =>
    node.add({ type: 'Reshape' }, [node.value(0)], shapeFor(node, node.shape(0)))

export const reshape = toShape(reshapeTarget)
export const flatten = toShape(flattened)
export const squeeze = toShape(squeezed)
export const unsqueeze = toShape(unsqueezed)

export const identity: Convert = (node) => node.alias(node.value(0))

export const dropout: Convert = (node) => {
  if (node.constant(2)?.data[0]) node.refuse('is in training mode', 'export the model in evaluation mode')
  node.alias(node.value(0))
}

/** Between float types: everything is float32 here. */
export const cast: Convert = (node) => {
  const to = node.attributes.int('to') ?? 0
  if (![Type.FLOAT, Type.FLOAT16, Type.DOUBLE].includes(to)) node.refuse('casts a computed tensor to integers')
  node.alias(node.value(0))
}

export const transpose: Convert = (node) => {
  const order = node.attributes.ints('perm') ?? node.shape(0).map((_, axis, { length }) => length - 1 - axis)
  node.add({ type: 'Permute', order }, [node.value(0)])
}

export const slice: Convert = (node) => node.add({ type: 'Slice', ...spanOf(node, node.shape(0)) }, [node.value(0)])

/** Every part is a Slice, called after the last result: `<last>_<i>_Split`. */
export const split: Convert = (node) => {
  const shape = node.shape(0)
  const axis = wholeAxis(node, node.attributes.int('axis') ?? 0, shape.length)
  const length = shape[axis]!
  const parts = node.outputs.length
  // Without sizes: equal parts, the last one smaller.
  const sizes = integers(node, 'split', 1) ?? equalParts(length, parts)
  if (sizes.length !== parts || sizes.some((n) => n < 1) || sizes.reduce((a, b) => a + b, 0) !== length)
    node.refuse(`cannot split axis ${axis} of ${showShape(shape)} in [${sizes}]`)
  let start = 0
  for (const [i, size] of sizes.entries()) {
    const span = {
      offsets: shape.map((_, a) => (a === axis ? start : 0)),
      ends: shape.map((n, a) => (a === axis ? start + size : n)),
      steps: shape.map(() => 1),
    }
    start += size
    node.addPart(i, `${node.outputs.at(-1)}_${i}_Split`, { type: 'Slice', ...span }, [node.value(0)])
  }
}

function equalParts(length: number, parts: number): number[] {
  const size = Math.ceil(length / parts)
  return Array.from({ length: parts }, (_, i) => Math.min(size, length - i * size))
}

export const concat: Convert = (node) => {
  const inputs = Array.from({ length: node.operandCount }, (_, i) => node.value(i))
  const axis = wholeAxis(node, node.attributes.int('axis') ?? 1, node.shape(0).length)
  node.add({ type: 'Concat', axis, relu: false, reluLimit: -1 }, inputs)
}

/** Constant padding: attributes before opset 11, operands since; `axes` since 18. */
export const pad: Convert = (node) => {
  const mode = node.attributes.string('mode') || 'constant'
  if (mode !== 'constant') node.refuse(`mode ${mode}, but only constant is supported`)
  const rank = node.shape(0).length
  const given = integers(node, 'pads', 1) ?? node.refuse('has no pads')
  const axes =
    integers(node, 'axes', 3)?.map((axis) => wholeAxis(node, axis, rank)) ?? node.shape(0).map((_, axis) => axis)
  if (given.length !== 2 * axes.length) node.refuse(`pads [${given}] do not fit rank ${rank}`)
  const paddings = Array.from({ length: 2 * rank }, () => 0)
  for (const [i, axis] of axes.entries()) {
    paddings[axis] = given[i]!
    paddings[axis + rank] = given[i + axes.length]!
  }
  const value = node.has(2) ? node.known(2, 'its value').data[0] : node.attributes.float('value')
  node.add({ type: 'Pad', paddings, value: value ?? 0 }, [node.value(0)])
}
