/** 8-bit layers other than conv, on float32 tensors of whole numbers. */
import { DataType, float } from '../../ir/onnx/builder.js'
import { fractionBits, type QWeightData } from '../qgraph.js'
import { type IntType, zeroOf } from '../rounding.js'
import { type Emission, type Emit, float32, float64, int64, type Range } from './context.js'
import { clampRange, clip, requantDouble, requantFloat, roundEven, roundsAlike, shiftFloat } from './requant.js'
import { exactBelow, reach, split } from './sum.js'

const largest = ([low, high]: Range): number => Math.max(-low, high)

const toDouble = (emission: Emission, value: string): string => emission.step('Cast', [value], { to: DataType.DOUBLE })

/** An operand that is a value or a constant, with what it can be. */
function operand(emission: Emission, name: string): { value: string; range: Range } {
  const weight = emission.weightOf(name)
  return { value: emission.value(name), range: weight === undefined ? emission.rangeOf(name) : extrema(weight.data) }
}

function extrema(data: QWeightData): Range {
  let [low, high] = [0, 0]
  for (const w of data) {
    low = Math.min(low, w)
    high = Math.max(high, w)
  }
  return [low, high]
}

export const emitMatMul: Emit<'MatMulInt'> = (emission, { op, inputs, name, type, shape }) => {
  const [x, right, biasName] = inputs as [string, string, string | undefined]
  const filter = emission.weightOf(right)
  const columns = shape.at(-1)!
  const depth = filter === undefined ? emission.shapeOf(right).at(-2)! : filter.data.length / columns
  const range = emission.rangeOf(x)
  const bound = (from: number, to: number): number => {
    if (filter === undefined) return (to - from) * largest(range) * largest(emission.rangeOf(right))
    let sum = 0
    for (let n = 0; n < columns; n++) {
      const [start, stride] = op.rightTranspose ? [n * depth, 1] : [n, columns]
      sum = Math.max(sum, reach(filter.data, range, start + from * stride, start + to * stride, stride))
    }
    return sum
  }
  const slice = (value: string, from: number, to: number, axis: number): string =>
    emission.step('Slice', [value, ...[[from], [to], [axis]].map((n) => int64(emission, n))])
  const input = emission.value(x)
  const stored = emission.value(right)
  const matrix = op.rightTranspose ? emission.step('Transpose', [stored], { perm: [1, 0] }) : stored
  const parts = split(name, depth, bound).map(([from, to]) => {
    const whole = to - from === depth
    const operands = whole ? [input, matrix] : [slice(input, from, to, -1), slice(matrix, from, to, -2)]
    return toDouble(emission, emission.step('MatMul', operands))
  })
  if (biasName !== undefined)
    parts.push(emission.constant(new Float64Array(emission.weightOf(biasName)!.data), [columns]))
  const sum = parts.reduce((a, b) => emission.step('Add', [a, b]))
  return requantDouble(emission, sum, [op.requant], clampRange(type as IntType, op.relu), zeroOf(type))
}

export const emitLeakyRelu: Emit<'LeakyReluInt'> = (emission, { op, inputs, type }) => {
  const value = emission.value(inputs[0]!)
  const [low] = emission.rangeOf(inputs[0]!)
  const slope = op.requant.multiplier * 2 ** -op.requant.shift
  // A trifle less steep, ties go up as they should. Where the slope is at most 1, nothing below 0 can need clamping.
  for (const alpha of [slope, slope * (1 - 2 ** -18)])
    if (slope >= 0 && slope <= 1 && roundsAlike(op.requant, alpha, [Math.min(low, 0), 0]))
      return roundEven(emission, emission.step('LeakyRelu', [value], { alpha: float(Math.fround(alpha)) }))
  const zero = float32(emission, 0)
  const negative = emission.step('Min', [value, zero])
  const below = requantFloat(emission, negative, [Math.min(low, 0), 0], op.requant, clampRange(type as IntType, false))
  return emission.step('Add', [emission.step('Max', [value, zero]), below])
}

export const emitRelu: Emit<'ReluInt'> = (emission, { inputs, type }) =>
  clip(emission, emission.value(inputs[0]!), clampRange(type as IntType, true))

/** Every operand is rounded by itself; nothing is clamped before the sum. */
export const emitAdd: Emit<'AddInt'> = (emission, { op, inputs, type }) => {
  const terms = inputs.map((input, i) =>
    shiftFloat(emission, emission.value(input), op.requants[i]!, operand(emission, input).range),
  )
  const sum = terms.reduce((a, b) => emission.step('Add', [a, b]))
  return clip(emission, sum, clampRange(type as IntType, op.relu))
}

export const emitSub: Emit<'SubInt'> = (emission, { op, inputs, type }) => {
  const [a, b] = inputs.map((input, i) =>
    shiftFloat(emission, emission.value(input), op.requants[i]!, operand(emission, input).range),
  )
  return clip(emission, emission.step('Sub', [a!, b!]), clampRange(type as IntType, op.relu))
}

/** |x * slope| <= 2^14: neither the product nor, where it matters, the added half is rounded in float32. */
export const emitPRelu: Emit<'PReluInt'> = (emission, { op, inputs, type }) => {
  const { step } = emission
  const [x, slope] = inputs.map(emission.value)
  const zero = float32(emission, 0)
  const product = step('Mul', [step('Min', [x!, zero]), slope!])
  const shifted = step('Mul', [product, float32(emission, 2 ** -op.shift)])
  const below = step('Floor', [step('Add', [shifted, float32(emission, 0.5)])])
  return clip(emission, step('Add', [step('Max', [x!, zero]), below]), clampRange(type as IntType, false))
}

export const emitMul: Emit<'MulInt'> = (emission, { op, inputs, type }) => {
  const operands = inputs.map((input) => operand(emission, input))
  const bound = operands.reduce((product, o) => product * largest(o.range), 1)
  const range = clampRange(type as IntType, op.relu)
  const product = (values: string[]): string => values.reduce((a, b) => emission.step('Mul', [a, b]))
  const values = operands.map((o) => o.value)
  if (bound <= exactBelow) return requantFloat(emission, product(values), [-bound, bound], op.requant, range)
  return requantDouble(emission, product(values.map((value) => toDouble(emission, value))), [op.requant], range)
}

export const emitMulShift: Emit<'MulShift'> = (emission, { op, inputs, type }) => {
  const { value, range } = operand(emission, inputs[0]!)
  return requantFloat(emission, value, range, op.requant, clampRange(type as IntType, false))
}

/** In double: products of 9 and 31 bits stay exact, and so do their halves. */
export const emitSum: Emit<'SumInt'> = (emission, { op, inputs, type }) => {
  const { step } = emission
  const bits = fractionBits(inputs.length)
  const rounded = (value: string, shift: number): string =>
    shift > 0 ? step('Floor', [step('Add', [value, float64(emission, 0.5)])]) : value
  const terms = inputs.map((input, i) => {
    const { multiplier, shift } = op.requants[i]!
    const counted = step('Sub', [
      toDouble(emission, emission.value(input)),
      float64(emission, zeroOf(emission.typeOf(input))),
    ])
    const product = step('Mul', [counted, float64(emission, multiplier * 2 ** (bits - shift))])
    return rounded(product, shift - bits)
  })
  const sum = terms.reduce((a, b) => step('Add', [a, b]))
  const whole = rounded(bits > 0 ? step('Mul', [sum, float64(emission, 2 ** -bits)]) : sum, bits)
  const [low, high] = clampRange(type as IntType, op.relu)
  const moved = step('Add', [whole, float64(emission, zeroOf(type))])
  return step('Cast', [step('Clip', [moved, float64(emission, low), float64(emission, high)])], { to: DataType.FLOAT })
}

/**
 * Negative indices count from the end, so the stored value itself is the index x & 255. On flat tensors: GatherElements is
 * several times as fast as Gather, which copies single numbers as blocks.
 */
export const emitLut: Emit<'Lut'> = (emission, { inputs, shape }) => {
  const flat = emission.step('Reshape', [emission.value(inputs[0]!), int64(emission, [-1])])
  const index = emission.step('Cast', [flat], { to: DataType.INT32 })
  const table = emission.constant(new Float32Array(emission.weightOf(inputs[1]!)!.data), [256])
  const found = emission.step('GatherElements', [table, index], { axis: 0 })
  return emission.step('Reshape', [found, int64(emission, shape)])
}

/** The exact sum of a window is a depthwise conv with ones; of the whole plane a reduction in double. */
export const emitAvgPool: Emit<'AvgPoolInt'> = (emission, { op, inputs, shape, type }) => {
  const x = emission.value(inputs[0]!)
  const [, channels, ...plane] = emission.shapeOf(inputs[0]!) as [number, number, ...number[]]
  const range = clampRange(type as IntType, false)
  const global = op.pads.every((pad) => pad === 0) && plane.every((n, axis) => n === op.kernel[axis])
  if (global) {
    const sum = emission.step('ReduceSum', [toDouble(emission, x), int64(emission, [2, 3])], {
      keepdims: op.keepDims ? 1 : 0,
    })
    return requantDouble(emission, sum, [op.requant], range)
  }
  const { kernel, strides, pads } = op
  const ones = emission.constant(new Float32Array(channels * kernel[0] * kernel[1]).fill(1), [channels, 1, ...kernel])
  const sum = emission.step('Conv', [x, ones], { kernel_shape: kernel, strides, pads, group: channels })
  const bound = largest(emission.rangeOf(inputs[0]!)) * kernel[0] * kernel[1]
  const y = requantFloat(emission, sum, [-bound, bound], op.requant, range)
  return op.keepDims ? y : emission.step('Reshape', [y, int64(emission, shape)])
}
