/** Which rows of its operands an op needs for some rows of its result. */
import { functionTypes } from '../../ir/functions.js'
import type { QNode, QOp } from '../../quantize/qgraph.js'
import { axisOf } from './kernels/define.js'

/** Half open; may reach beyond the picture where padding does. */
export type Rows = readonly [from: number, to: number]

/** How rows of an operand follow from rows of the result. */
export type RowMap =
  /** Row by row. */
  | { readonly kind: 'same' }
  /** Windows: rows [from * stride - padTop, (to - 1) * stride - padTop + extent). */
  | {
      readonly kind: 'window'
      readonly stride: number
      readonly extent: number
      readonly padTop: number
      readonly padBottom: number
    }
  /** Every row of the operand is repeated. */
  | { readonly kind: 'repeat'; readonly factor: number }
  /** All of them: the op cannot be cut along h. */
  | { readonly kind: 'all' }

const same: RowMap = { kind: 'same' }
const all: RowMap = { kind: 'all' }

/** Of operand `index`, which is a value of the shape `input`; both shapes as local memory knows them. */
export function rowMap(
  { op, shape: { length: rank } }: QNode,
  input: readonly number[],
  output: readonly number[],
): RowMap {
  switch (op.type) {
    case 'ConvInt':
    case 'Conv':
      return window(op.kernel[0], op.strides[0], op.pads, op.dilations[0])
    case 'MaxPool':
      return window(op.kernel[0], op.strides[0], op.pads)
    case 'AvgPool':
    case 'AvgPoolInt':
      if (!op.keepDims || (op.type === 'AvgPool' && !op.countIncludePad)) return all
      return window(op.kernel[0], op.strides[0], op.pads)
    case 'Spread':
    case 'Upsample':
      return { kind: 'repeat', factor: op.scaleH }
    case 'Softmax':
      return axisOf(op.axis, rank) === 2 ? all : same
    case 'Concat':
      return rank === 4 && op.axis !== 2 ? same : all
    default:
      return input[2] === output[2] ? same : all
  }
}

/** Whether a result is made as a whole: rows of it alone cannot be had. */
export function isWhole({ op, shape }: QNode): boolean {
  if (op.type === 'Softmax') return axisOf(op.axis, shape.length) === 2
  return op.type === 'AvgPool' && op.keepDims && !op.countIncludePad
}

function window(kernel: number, stride: number, pads: readonly number[], dilation = 1): RowMap {
  return { kind: 'window', stride, extent: (kernel - 1) * dilation + 1, padTop: pads[0]!, padBottom: pads[2]! }
}

/** Rows of the operand, not yet cut to the picture. */
export function operandRows(map: RowMap, [from, to]: Rows, height: number): Rows {
  switch (map.kind) {
    case 'same':
      return [from, to]
    case 'window':
      return [from * map.stride - map.padTop, (to - 1) * map.stride - map.padTop + map.extent]
    case 'repeat':
      return [Math.floor(from / map.factor), Math.ceil(to / map.factor)]
    case 'all':
      return [0, height]
  }
}

/** Ops that treat every element alike, so that any shape of the same elements will do. */
const elementwise = new Set<QOp['type']>([
  'Cast',
  'LeakyReluInt',
  'ReluInt',
  'MulShift',
  'Lut',
  'LeakyRelu',
  'Relu',
  ...functionTypes,
])
const elementwiseOfMany = new Set<QOp['type']>([
  'AddInt',
  'SubInt',
  'SumInt',
  'MulInt',
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Min',
  'Max',
])

/** @param operands shapes of the operands that are values; constants among the operands make an op depend on places */
export function isElementwise(node: QNode, operands: readonly (readonly number[])[], constants: number): boolean {
  if (elementwise.has(node.op.type)) return true
  if (!elementwiseOfMany.has(node.op.type) || constants > 0) return false
  return operands.every(
    (shape) => shape.length === node.shape.length && shape.every((size, i) => size === node.shape[i]),
  )
}
