/** Layers in 8 bit. */
import { QuantError } from '../../errors.js'
import type { Warning } from '../../events.js'
import { isFunction } from '../../ir/functions.js'
import type { Node, Weight } from '../../ir/graph.js'
import { scaleAndShift, scaleAndShiftPositive } from '../multiplier.js'
import type { QOp } from '../qgraph.js'
import { clamp, type IntType, intRange, roundHalfAway, sameType, zeroOf } from '../rounding.js'
import type { IntValue, Lowering } from './context.js'
import { spreadOperand, turnedFilter } from './deconv.js'
import { constant, atScale as constantAt, convFilter, matmulFilter, slopes } from './filter.js'
import { lowerProductInt } from './product.js'
import { lookupTable } from './table.js'

interface Lowered {
  readonly op: QOp
  readonly inputs: readonly string[]
}

export function lowerInt8(lowering: Lowering, node: Node, warn: (warning: Warning) => void): void {
  if (node.op.type === 'MatMul' && !lowering.graph.weights.has(node.inputs[1]!)) {
    lowerProductInt(lowering, { ...node, op: node.op })
    return
  }
  const type = lowering.intType(node.name, node.name)
  const { op, inputs } = intOp(lowering, node, type, warn)
  lowering.add({ name: node.name, op, inputs, shape: node.shape, type, layer: node.name })
}

function intOp(lowering: Lowering, node: Node, type: IntType, warn: (warning: Warning) => void): Lowered {
  const { op, name, shape } = node
  const operand = (i: number): IntValue => lowering.int(node.inputs[i]!, name)
  if (isFunction(op)) {
    const x = operand(0)
    const table = lowering.weight(`${name}_table`, lookupTable(op, x.type, type))
    return { op: { type: 'Lut' }, inputs: [x.name, table] }
  }
  switch (op.type) {
    case 'Conv': {
      const { kernel, strides, dilations, pads, group, relu } = op
      const { inputs, multipliers, shifts } = convOperands(lowering, node, type, warn)
      return { op: { type: 'ConvInt', kernel, strides, dilations, pads, group, relu, multipliers, shifts }, inputs }
    }
    case 'Deconv': {
      const x = operand(0)
      const spread = spreadOperand(lowering, { ...node, op }, x.name, x.type)
      const { kernel, strides, dilations, pads, group, relu } = spread.op
      const turned = turnedFilter(lowering.constant(node.inputs[1]!, name))
      const { inputs, multipliers, shifts } = convOperands(lowering, node, type, warn, turned)
      const convolution = { kernel, strides, dilations, pads, group, relu, multipliers, shifts }
      return { op: { type: 'ConvInt', ...convolution }, inputs: [spread.x, ...inputs.slice(1)] }
    }
    case 'Scale': {
      // As a depthwise 1x1 conv it keeps a full multiplier per channel.
      const group = shape[1]!
      const { inputs, multipliers, shifts } = convOperands(lowering, node, type, warn, {
        ...lowering.constant(node.inputs[1]!, name),
        shape: [group, 1, 1, 1],
      })
      const one = { kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] } as const
      return { op: { type: 'ConvInt', ...one, group, relu: op.relu, multipliers, shifts }, inputs }
    }
    case 'MatMul': {
      const x = operand(0)
      const [filter, bias] = constants(lowering, node)
      const ints = matmulFilter(name, filter, bias, op.rightTranspose, x.type, type.scale)
      const inputs = [x.name, lowering.weight(`${name}_filter_int8`, ints.filter)]
      inputs.push(...storeBias(lowering, name, ints, (n) => [n], warn))
      const { relu, rightTranspose } = op
      return { op: { type: 'MatMulInt', relu, rightTranspose, requant: ints.requants[0]! }, inputs }
    }
    case 'LeakyRelu':
      return { op: { type: 'LeakyReluInt', requant: scaleAndShift(op.alpha, 8) }, inputs: [operand(0).name] }
    case 'Relu':
      return { op: { type: 'ReluInt' }, inputs: [operand(0).name] }
    case 'PRelu': {
      const { slope, shift } = slopes(lowering.constant(node.inputs[1]!, name))
      return { op: { type: 'PReluInt', shift }, inputs: [operand(0).name, lowering.weight(`${name}_slope_i8`, slope)] }
    }
    case 'Add': {
      // Constants are stored at the result's scale and need no rescale of their own.
      const operands = mixedOperands(lowering, node, type.scale)
      const inputs = operands.map((o) => o.name)
      const shifted = shiftedSum(
        type,
        operands,
        operands.map(() => 1),
        op.relu,
      )
      if (shifted) return { op: shifted, inputs }
      const requants = operands.map(({ scale }) => scaleAndShiftPositive(scale / type.scale, 8))
      return { op: { type: 'AddInt', requants, relu: op.relu }, inputs }
    }
    case 'Sub': {
      const [a, b] = mixedOperands(lowering, node) as [Stored, Stored]
      const requant = ({ scale }: Stored) => scaleAndShiftPositive(scale / type.scale, 8)
      const difference: QOp = { type: 'SubInt', requants: [requant(a), requant(b)], relu: op.relu }
      return { op: shiftedSum(type, [a, b], [1, -1], op.relu) ?? difference, inputs: [a.name, b.name] }
    }
    case 'Min':
    case 'Max':
      return { op, inputs: node.inputs.map((value) => atScale(lowering, value, node, type)) }
    case 'Mul': {
      const operands = mixedOperands(lowering, node)
      const requant = scaleAndShift(operands.reduce((product, { scale }) => product * scale, 1) / type.scale, 8)
      return { op: { type: 'MulInt', requant, relu: op.relu }, inputs: operands.map((o) => o.name) }
    }
    case 'AvgPool': {
      const x = operand(0)
      const { kernel, strides, pads, keepDims } = op
      const requant = scaleAndShift(x.type.scale / (type.scale * kernel[0] * kernel[1]), 8)
      return { op: { type: 'AvgPoolInt', kernel, strides, pads, keepDims, requant }, inputs: [x.name] }
    }
    case 'Concat':
      return { op: { ...op, reluLimit: -1 }, inputs: node.inputs.map((value) => rescaled(lowering, value, node, type)) }
    case 'Pad': {
      const [low, high] = intRange(type.kind)
      const value = clamp(roundHalfAway(op.value / type.scale) + zeroOf(type), low, high)
      return { op: { ...op, value }, inputs: [operand(0).name] }
    }
    case 'MaxPool':
    case 'Upsample':
    case 'Permute':
    case 'Slice':
      return { op, inputs: [operand(0).name] }
    case 'Input':
    case 'Reshape':
    case 'Softmax':
    case 'ArgMax':
    case 'Div':
      throw new QuantError('model', `${name} has no 8-bit form`, { hint: 'compute the layer in another precision' })
  }
}

function convOperands(
  lowering: Lowering,
  node: Node,
  type: IntType,
  warn: (warning: Warning) => void,
  instead?: Weight,
) {
  const x = lowering.int(node.inputs[0]!, node.name)
  const [filter, bias] = constants(lowering, node)
  const ints = convFilter(node.name, instead ?? filter, bias, x.type, type.scale)
  const inputs = [x.name, lowering.weight(`${node.name}_filter_${ints.filter.kind}`, ints.filter)]
  inputs.push(...storeBias(lowering, node.name, ints, (n) => [1, n, 1, 1], warn))
  return {
    inputs,
    multipliers: ints.requants.map(({ multiplier }) => multiplier),
    shifts: ints.requants.map(({ shift }) => shift),
  }
}

/** The filter and, where there is one, the bias. */
function constants(lowering: Lowering, { name, inputs: [, filter, bias] }: Node) {
  return [lowering.constant(filter!, name), bias === undefined ? undefined : lowering.constant(bias, name)] as const
}

function storeBias(
  lowering: Lowering,
  name: string,
  { bias, clamped }: { readonly bias: Int32Array | undefined; readonly clamped: number },
  shape: (n: number) => number[],
  warn: (warning: Warning) => void,
): string[] {
  if (bias === undefined) return []
  if (clamped > 0)
    warn({ about: name, message: `${clamped} biases do not fit the 32-bit sums at the scale of the operand: clamped` })
  return [lowering.weight(`${name}_bias_int32`, { shape: shape(bias.length), data: bias, kind: 'i32' })]
}

interface Stored {
  readonly name: string
  readonly scale: number
  readonly zero: number
}

/**
 * Rescaled operands added up, where one of them or the result has a zero point. Undefined where none has.
 * @param signs 1 or -1 of each operand
 */
function shiftedSum(
  result: IntType,
  operands: readonly Stored[],
  signs: readonly number[],
  relu: boolean,
): QOp | undefined {
  if (zeroOf(result) === 0 && operands.every(({ zero }) => zero === 0)) return undefined
  const requants = operands.map(({ scale }, i) => {
    const { multiplier, shift } = scaleAndShiftPositive(scale / result.scale, 32)
    return { multiplier: signs[i]! * multiplier, shift }
  })
  return { type: 'SumInt', requants, relu }
}

/** Operands of Add, Sub and Mul: values, or constants in 8 bit at the given scale or their own. */
function mixedOperands(lowering: Lowering, { name, inputs }: Node, constantScale?: number): Stored[] {
  return inputs.map((value) => {
    if (!lowering.graph.weights.has(value)) {
      const x = lowering.int(value, name)
      return { name: x.name, scale: x.type.scale, zero: zeroOf(x.type) }
    }
    const { weight, scale } = constant(name, lowering.constant(value, name), constantScale)
    // Under the layer's name too: another layer may need the same constant at another scale.
    return { name: lowering.weight(`${name}_${value}_${weight.kind}`, weight), scale, zero: 0 }
  })
}

/** An operand of Min or Max as the result is stored: a constant, or a value with a MulShift in front where its scale is another. */
function atScale(lowering: Lowering, value: string, node: Node, type: IntType): string {
  if (!lowering.graph.weights.has(value)) return rescaled(lowering, value, node, type)
  const stored = constantAt(node.name, lowering.constant(value, node.name), type)
  return lowering.weight(`${node.name}_${value}_${type.kind}`, stored)
}

/** An operand of a concat at the concat's scale: itself, or a MulShift `VALUE_to_CONCAT` put in front. */
function rescaled(lowering: Lowering, value: string, concat: Node, type: IntType): string {
  const x = lowering.int(value, concat.name)
  if (sameType(x.type, type)) return x.name
  const name = `${value}_to_${concat.name}`
  const stored = { name: x.name, scale: x.type.scale, zero: zeroOf(x.type) }
  if (!lowering.has(name))
    lowering.add({
      name,
      op: shiftedSum(type, [stored], [1], false) ?? {
        type: 'MulShift',
        requant: scaleAndShift(x.type.scale / type.scale, 8),
      },
      inputs: [x.name],
      shape: lowering.shapeOf(value),
      type,
      layer: undefined,
    })
  return name
}
