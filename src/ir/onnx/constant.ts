/** Values known at import: weights and the small integer tensors that compute shapes. Plain functions on dense arrays, C order. */
import { sizeOf, type Tensor } from '../graph.js'
import { broadcast, type Shape } from '../shapes.js'

/** Float kinds are kept as float32, integers and booleans exactly up to 2^53 (INT64_MAX, "to the end", becomes 2^63). */
export type Constant =
  | ({ readonly kind: 'float' } & Tensor<Float32Array>)
  | ({ readonly kind: 'int' } & Tensor<Float64Array>)

export type Kind = Constant['kind']

/** Damaged bytes must not ask for all memory: a constant that grows at import (by repeating numbers) stays below this. */
export const mostNumbers = 2 ** 22

export const constant = (kind: Kind, shape: Shape, values: Iterable<number>): Constant =>
  kind === 'float' ? { kind, shape, data: Float32Array.from(values) } : { kind, shape, data: Float64Array.from(values) }

/** The same numbers under another shape of the same size. */
export const reshaped = (x: Constant, shape: Shape): Constant => ({ ...x, shape })

/** The elements of `x` at flat positions, under a shape of that size. */
export const take = (x: Constant, shape: Shape, positions: Uint32Array): Constant =>
  x.kind === 'float'
    ? { kind: x.kind, shape, data: Float32Array.from(positions, (position) => x.data[position]!) }
    : { kind: x.kind, shape, data: Float64Array.from(positions, (position) => x.data[position]!) }

/** Flat positions of a strided view, in C order. */
export function positions(shape: Shape, strides: readonly number[], start = 0): Uint32Array {
  // Before anything is made: beside a length of 0 others may be of any size.
  if (shape.includes(0)) return new Uint32Array()
  let flat = Uint32Array.of(start)
  for (const [axis, n] of shape.entries()) {
    const next = new Uint32Array(flat.length * n)
    let k = 0
    for (const base of flat) for (let i = 0; i < n; i++) next[k++] = base + i * strides[axis]!
    flat = next
  }
  return flat
}

/** C order. */
export const stridesOf = (shape: Shape): number[] => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)))

export function permuted(x: Constant, order: readonly number[]): Constant {
  const strides = stridesOf(x.shape)
  const shape = order.map((axis) => x.shape[axis]!)
  const view = order.map((axis) => strides[axis]!)
  return take(x, shape, positions(shape, view))
}

/** numpy broadcasting of an operation on two constants of one kind; undefined where the shapes do not fit. */
export function zip(a: Constant, b: Constant, fn: (a: number, b: number) => number): Constant | undefined {
  const shape = broadcast(a.shape, b.shape)
  if (!shape || sizeOf(shape) > Math.max(mostNumbers, a.data.length, b.data.length)) return undefined
  const left = expanded(a, shape).data
  const right = expanded(b, shape).data
  return constant(
    a.kind,
    shape,
    Array.from(left, (value, i) => fn(value, right[i]!)),
  )
}

/** numpy broadcasting to a shape that `x` fits. */
export function expanded(x: Constant, shape: Shape): Constant {
  const strides = stridesOf(x.shape)
  const skip = shape.length - x.shape.length
  const view = shape.map((_, axis) => ((x.shape[axis - skip] ?? 1) === 1 ? 0 : strides[axis - skip]!))
  return take(x, shape, positions(shape, view))
}
