/** Float layers: computed in float32; what is stored in 16 bit is rounded once, at the end. */
import { isFunction } from '../../ir/functions.js'
import type { FunctionOp, Relu } from '../../ir/graph.js'
import { DataType, float } from '../../ir/onnx/builder.js'
import { writeFunction } from '../../ir/onnx/functions.js'
import type { FloatOpType } from '../qgraph.js'
import { type FloatKind, intRange, isInt, roundTo, zeroOf } from '../rounding.js'
import { type Emission, type Emit, float32, float64, int64, type NodeOf } from './context.js'
import { clip, ROUNDER } from './requant.js'

type FloatOp = FloatOpType | FunctionOp['type'] | 'ArgMax'

export const emitFloat: Emit<FloatOp> = (emission, node) =>
  store(emission, compute(emission, node), node.type.kind as FloatKind)

function compute(emission: Emission, { op, inputs, shape }: NodeOf<FloatOp>): string {
  const { step } = emission
  const values = inputs.map(emission.value)
  const x = values[0]!
  if (isFunction(op))
    return writeFunction(op, x, { node: step, last: step, number: (value) => float32(emission, value) })
  switch (op.type) {
    case 'Conv': {
      const { kernel, strides, dilations, pads, group } = op
      const y = step('Conv', values, { kernel_shape: kernel, strides, dilations, pads, group })
      return activate(emission, y, op)
    }
    case 'MatMul': {
      const rank = emission.shapeOf(inputs[1]!).length
      const perm = Array.from({ length: rank }, (_, axis) => axis)
      perm.push(...perm.splice(-2).reverse())
      const right = op.rightTranspose ? step('Transpose', [values[1]!], { perm }) : values[1]!
      const product = step('MatMul', [x, right])
      return activate(emission, values[2] === undefined ? product : step('Add', [product, values[2]]), op)
    }
    case 'Scale': {
      const perChannel = int64(emission, [-1, ...shape.slice(2).fill(1)])
      const [scale, bias] = values.slice(1).map((value) => step('Reshape', [value, perChannel]))
      return activate(emission, step('Add', [step('Mul', [x, scale!]), bias!]), op)
    }
    case 'Relu':
      return activate(emission, x, { relu: true, reluLimit: op.limit })
    case 'LeakyRelu':
      return step('LeakyRelu', [x], { alpha: float(op.alpha) })
    case 'PRelu':
      return step('PRelu', values)
    case 'Softmax':
      return step('Softmax', [x], { axis: op.axis })
    case 'ArgMax':
      return step('Cast', [step('ArgMax', [x], { axis: op.axis, keepdims: 1 })], { to: DataType.FLOAT })
    case 'AvgPool': {
      const { kernel, strides, pads } = op
      const count_include_pad = op.countIncludePad ? 1 : 0
      const y = step('AveragePool', [x], { kernel_shape: kernel, strides, pads, count_include_pad })
      return op.keepDims ? y : step('Reshape', [y, int64(emission, shape)])
    }
    case 'Add':
    case 'Mul':
    case 'Sub':
    case 'Div':
      return activate(
        emission,
        values.reduce((a, b) => step(op.type, [a, b])),
        op,
      )
  }
}

/** The fused relu, on any float32 tensor. */
export function activate(emission: Emission, value: string, { relu, reluLimit }: Relu): string {
  if (!relu) return value
  if (reluLimit <= 0) return emission.step('Relu', [value])
  return emission.step('Clip', [value, float32(emission, 0), float32(emission, reluLimit)])
}

/** Rounds as the type is stored. Without the pair of casts onnxruntime would keep float32 all the way. */
function store(emission: Emission, value: string, kind: FloatKind): string {
  if (kind === 'f32') return value
  const narrow = emission.step('Cast', [value], { to: kind === 'f16' ? DataType.FLOAT16 : DataType.BFLOAT16 })
  return emission.step('Cast', [narrow], { to: DataType.FLOAT })
}

/** Between types. Scales and products are rounded to the float type at hand: a 16-bit value is not first made float32. */
export const emitCast: Emit<'Cast'> = (emission, { inputs, type }) => {
  const from = emission.typeOf(inputs[0]!)
  const x = emission.value(inputs[0]!)
  if (isInt(from) && isInt(type)) return x
  if (isInt(from)) {
    const kind = type.kind as FloatKind
    const zero = zeroOf(from)
    const counted = zero === 0 ? x : emission.step('Sub', [x, float32(emission, zero)])
    return store(emission, emission.step('Mul', [counted, float32(emission, roundTo(kind, from.scale))]), kind)
  }
  if (!isInt(type)) return store(emission, x, type.kind)
  const { step } = emission
  // Multiplied in double and narrowed, which is the float32 product: a float32 Mul could be fused into a conv in front.
  const reciprocal = Math.min(roundTo(from.kind, 1 / type.scale), from.kind === 'f16' ? 65504 : Infinity)
  const wide = step('Cast', [x], { to: DataType.DOUBLE })
  const product = step('Mul', [wide, emission.constant(Float64Array.of(reciprocal))])
  const scaled = store(emission, step('Cast', [product], { to: DataType.FLOAT }), from.kind)
  // Half away from zero: a trifle further from 0, ties are none any more. It is less than the distance of float32 numbers, and
  // not less than what a double can hold beside the rounder. Negated, as onnxruntime drops a factor that is nearly 1.
  const nudged = step('Mul', [step('Cast', [scaled], { to: DataType.DOUBLE }), float64(emission, -1 - 2 ** -28)])
  const rounded = step('Cast', [step('Sub', [float64(emission, ROUNDER), nudged])], { to: DataType.FLOAT })
  const unshifted = step('Sub', [rounded, float32(emission, ROUNDER)])
  const zero = zeroOf(type)
  // The cast makes 0 of what is no number; the zero point comes after it.
  if (zero === 0) {
    const whole = clip(emission, unshifted, intRange(type.kind))
    const byte = step('Cast', [whole], { to: type.kind === 'i8' ? DataType.INT8 : DataType.UINT8 })
    return step('Cast', [byte], { to: DataType.FLOAT })
  }
  const whole = step('Cast', [clip(emission, unshifted, [-(2 ** 15), 2 ** 15 - 1])], { to: DataType.INT16 })
  const moved = step('Add', [step('Cast', [whole], { to: DataType.FLOAT }), float32(emission, zero)])
  return clip(emission, moved, intRange(type.kind))
}
