/** Where a value lies in global memory: a strided window on a stored tensor. Reshape, Slice and Concat are views, not code. */

import type { Shape4 } from '../layout.js'

/** Strides and offset in elements of the value's own type. */
export interface View {
  /** Which stored tensor. */
  readonly root: string
  readonly offset: number
  readonly shape: readonly number[]
  readonly strides: readonly number[]
}

/**
 * A shape as local memory knows it: [a] is [1, a, 1, 1], [a, b] is [a, b, 1, 1], [a, b, c] is [a, b, 1, c], and of more than four
 * dimensions the first ones are n.
 */
export function shape4(shape: readonly number[]): Shape4 {
  const [a, b, c] = shape as [number, number, number]
  if (shape.length === 0) return [1, 1, 1, 1]
  if (shape.length === 1) return [1, a, 1, 1]
  if (shape.length === 2) return [a, b, 1, 1]
  if (shape.length === 3) return [a, b, 1, c]
  const n = shape.slice(0, -3).reduce((product, size) => product * size, 1)
  return [n, ...(shape.slice(-3) as [number, number, number])]
}

export function packedStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!
  return strides
}

export const whole = (root: string, shape: readonly number[]): View => ({
  root,
  offset: 0,
  shape,
  strides: packedStrides(shape),
})

/** The part of a view from `offsets` to `ends`, every `steps`-th. */
export function sliceView(
  { root, offset, strides }: View,
  shape: readonly number[],
  offsets: readonly number[],
  steps: readonly number[] = offsets.map(() => 1),
): View {
  return {
    root,
    offset: offset + offsets.reduce((sum, at, axis) => sum + at * strides[axis]!, 0),
    shape,
    strides: strides.map((stride, axis) => stride * steps[axis]!),
  }
}

export const permuteView = (view: View, order: readonly number[]): View => ({
  ...view,
  shape: order.map((axis) => view.shape[axis]!),
  strides: order.map((axis) => view.strides[axis]!),
})

/** Elements follow each other without gaps, in order. */
export function isPacked({ shape, strides }: View): boolean {
  const packed = packedStrides(shape)
  return shape.every((size, axis) => size === 1 || strides[axis] === packed[axis])
}

/** The same elements under another shape, or undefined where the view has gaps between them. */
export function reshapeView(view: View, shape: readonly number[]): View | undefined {
  return isPacked(view) ? { ...view, shape, strides: packedStrides(shape) } : undefined
}

/** The fewest dimensions that walk two views of one shape side by side: neighbours merge where both are contiguous. */
export function mergeAxes(shape: readonly number[], ...strides: (readonly number[])[]) {
  const sizes: number[] = []
  const merged: number[][] = strides.map(() => [])
  shape.forEach((size, axis) => {
    if (size === 1) return
    const last = sizes.length - 1
    if (last >= 0 && strides.every((of, i) => merged[i]![last] === of[axis]! * size)) {
      sizes[last] = sizes[last]! * size
      strides.forEach((of, i) => {
        merged[i]![last] = of[axis]!
      })
    } else {
      sizes.push(size)
      strides.forEach((of, i) => {
        merged[i]!.push(of[axis]!)
      })
    }
  })
  return { shape: sizes, strides: merged }
}

/** Strides of a view as [n, c, h, w], or undefined where leading dimensions cannot be walked as one. */
export function strides4({ shape, strides }: View): Shape4 | undefined {
  const last = (axis: number): number => strides.at(axis)!
  if (shape.length === 0) return [1, 1, 1, 1]
  if (shape.length === 1) return [shape[0]! * last(-1), last(-1), 1, 1]
  if (shape.length === 2) return [strides[0]!, last(-1), 1, 1]
  if (shape.length === 3) return [strides[0]!, strides[1]!, shape[2]! * last(-1), last(-1)]
  const leading = mergeAxes(shape.slice(0, -3), strides.slice(0, -3))
  if (leading.shape.length > 1) return undefined
  const n = leading.strides[0]![0] ?? 0
  return [n, last(-3), last(-2), last(-1)]
}
