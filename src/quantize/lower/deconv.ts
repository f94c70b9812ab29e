/**
 * A Deconv is a convolution over its operand with zeros put between the pixels, by the filter turned around. That is what it means;
 * how the chip leaves the multiplications by zeros out is `bm1684x/codegen/phases.ts`.
 */
import type { Node, OpOf, Pads, Weight } from '../../ir/graph.js'
import { extentOf } from '../../ir/shapes.js'
import type { QType } from '../qgraph.js'
import type { Lowering } from './context.js'

/**
 * Puts the zeros in, and cuts off what the Deconv's pads cut off.
 * @param x the operand as it is stored, in `type`
 * @returns the value to convolve, and the convolution
 */
export function spreadOperand(
  lowering: Lowering,
  node: Node & { readonly op: OpOf<'Deconv'> },
  x: string,
  type: QType,
): { readonly x: string; readonly op: OpOf<'Conv'> } {
  const { op, name } = node
  const { kernel, strides, dilations, pads, outputPadding, group, relu, reluLimit } = op
  const [n, c, h, w] = lowering.shapeOf(node.inputs[0]!) as [number, number, number, number]
  let value = x
  let shape = [n, c, h, w]
  if (strides.some((stride) => stride > 1)) {
    shape = [n, c, h * strides[0], w * strides[1]]
    value = `${name}_spread`
    const spread = { type: 'Spread', scaleH: strides[0], scaleW: strides[1] } as const
    lowering.add({ name: value, op: spread, inputs: [x], shape, type, layer: value })
  }
  // Behind the last pixel stand stride - 1 zeros already.
  const reach = (axis: 0 | 1): number => extentOf(kernel[axis], dilations[axis]) - 1
  const before = ([0, 1] as const).map((axis) => reach(axis) - pads[axis])
  const after = ([0, 1] as const).map(
    (axis) => reach(axis) - pads[axis + 2]! + outputPadding[axis] - (strides[axis] - 1),
  )
  if ([...before, ...after].some((pad) => pad < 0)) {
    const cut = (pads: readonly number[]): number[] => [0, 0, ...pads.map((pad) => Math.max(0, -pad))]
    const offsets = cut(before)
    const ends = shape.map((size, axis) => size - cut(after)[axis]!)
    const slice = { type: 'Slice', offsets, ends, steps: [1, 1, 1, 1] } as const
    const kept = ends.map((end, axis) => end - offsets[axis]!)
    lowering.add({ name: `${name}_cut`, op: slice, inputs: [value], shape: kept, type, layer: `${name}_cut` })
    value = `${name}_cut`
  }
  const around = [...before, ...after].map((pad) => Math.max(0, pad)) as unknown as Pads
  return {
    x: value,
    op: { type: 'Conv', kernel, strides: [1, 1], dilations, pads: around, group, relu, reluLimit },
  }
}

/** The filter [oc, ic/group, kh, kw], each kernel turned by 180 degrees. */
export function turnedFilter({ shape, data }: Weight): Weight {
  const size = shape[2]! * shape[3]!
  return { shape, data: data.map((_, i) => data[i - (i % size) + (size - 1 - (i % size))]!) }
}
