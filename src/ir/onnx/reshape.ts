/** The target shapes of the operators that only rename axes. */
import { sizeOf } from '../graph.js'
import { type Shape, showShape } from '../shapes.js'
import { integers, type OnnxNode, wholeAxis } from './node.js'

/** Reshape: 0 copies a dimension, one -1 is worked out. */
export function reshapeTarget(node: OnnxNode, shape: Shape): Shape {
  const asked = Array.from(node.known(1, 'its target shape').data)
  const copies = (node.attributes.int('allowzero') ?? 0) === 0
  const dims = asked.map((n, axis) => (n === 0 && copies ? (shape[axis] ?? 0) : n))
  const rest = sizeOf(dims.filter((n) => n !== -1))
  const target = dims.map((n) => (n === -1 ? sizeOf(shape) / rest : n))
  if (dims.filter((n) => n === -1).length > 1 || sizeOf(target) !== sizeOf(shape) || !target.every(Number.isInteger))
    node.refuse(`cannot give ${showShape(shape)} the shape [${asked}]`)
  return target
}

/** Flatten: two dimensions, split before `axis`; axis may equal the rank. */
export function flattened(node: OnnxNode, shape: Shape): Shape {
  const axis = wholeAxis(node, node.attributes.int('axis') ?? 1, shape.length + 1)
  const split = (node.attributes.int('axis') ?? 1) < 0 ? axis - 1 : axis
  return [sizeOf(shape.slice(0, split)), sizeOf(shape.slice(split))]
}

/** Squeeze: drops the given axes, or all of length 1. */
export function squeezed(node: OnnxNode, shape: Shape): Shape {
  const axes = integers(node, 'axes', 1)?.map((axis) => wholeAxis(node, axis, shape.length))
  for (const axis of axes ?? []) if (shape[axis] !== 1) node.refuse(`axis ${axis} of ${showShape(shape)} is not 1`)
  return shape.filter((n, axis) => (axes ? !axes.includes(axis) : n !== 1))
}

/** Unsqueeze: axes count in the result. */
export function unsqueezed(node: OnnxNode, shape: Shape): Shape {
  const given = integers(node, 'axes', 1) ?? node.refuse('has no `axes`')
  const rank = shape.length + given.length
  const axes = new Set(given.map((axis) => wholeAxis(node, axis, rank)))
  if (axes.size !== given.length) node.refuse(`axes [${given}] name one twice`)
  let next = 0
  return Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : shape[next++]!))
}
