/**
 * `module.FLOPs` as the vendor's tools count it: a multiply-add is 2, a bias or relu 1 more per result of a matrix product; averages
 * and sums count their results only; pure data movement is free, except that an upsampled element counts.
 */
import { sizeOf } from '../graph.js'

export interface CountedLayer {
  /** Type of the op; an integer op (`ConvInt`) counts as the float one. */
  readonly op: {
    readonly type: string
    readonly kernel?: readonly number[]
    readonly rightTranspose?: boolean
    readonly relu?: boolean
  }
  readonly shape: readonly number[]
  readonly operands: readonly (readonly number[])[]
}

/** Operations per result element. SiLU's is what the vendor's total leaves for it; a table is taken for a SiLU's. */
const PER_ELEMENT: Readonly<Record<string, number>> = {
  LeakyRelu: 1,
  Relu: 1,
  Add: 1,
  Mul: 1,
  AvgPool: 1,
  Upsample: 1,
  Scale: 1,
  Sub: 1,
  Div: 1,
  Min: 1,
  Max: 1,
  PRelu: 1,
  Sigmoid: 4,
  Softmax: 5,
  SiLU: 9,
  Lut: 9,
}

export function flopsOf(layers: readonly CountedLayer[]): number {
  return layers.reduce((sum, { op, shape, operands }) => sum + sizeOf(shape) * perElement(op, operands), 0)
}

function perElement(op: CountedLayer['op'], [, filter = [], bias]: readonly (readonly number[])[]): number {
  const type = op.type.replace(/Int$/, '')
  const extra = bias !== undefined || op.relu === true ? 1 : 0
  // A Deconv as the convolution over zeros that the chip makes of it.
  if (type === 'Conv' || type === 'Deconv') return 2 * sizeOf(filter.slice(1)) + extra
  if (type === 'MatMul') return 2 * (filter.at(op.rightTranspose === true ? -1 : -2) ?? 1) + extra
  if (type === 'MaxPool') return sizeOf(op.kernel ?? [])
  return PER_ELEMENT[type] ?? 0
}
