import type { Pads } from '../../ir/graph.js'
import { DataType } from '../../ir/onnx/builder.js'
import type { QWeight } from '../qgraph.js'
import { type IntType, zeroOf } from '../rounding.js'
import { type Emission, type Emit, float32, int64, type NodeOf, paddedRange } from './context.js'
import { accumulateByMatMul, suitsMatMul } from './matmul.js'
import { clampRange, requantDouble } from './requant.js'
import { exactBelow, reach, split } from './sum.js'

/** 8-bit convolution as a product of integer matrices, or as a float32 one on whole numbers. */
export const emitConv: Emit<'ConvInt'> = (emission, node) => {
  const { op } = node
  const requants = op.multipliers.map((multiplier, channel) => ({ multiplier, shift: op.shifts[channel]! }))
  const sums =
    emission.integerMatMul && suitsMatMul(emission, node)
      ? emission.step('Cast', [accumulateByMatMul(emission, node)], { to: DataType.DOUBLE })
      : accumulate(emission, node)
  return requantDouble(emission, sums, requants, clampRange(node.type as IntType, op.relu), zeroOf(node.type))
}

/** The accumulators, double. */
function accumulate(emission: Emission, { op, inputs, name }: NodeOf<'ConvInt'>): string {
  const [x, filterName, biasName] = inputs as [string, string, string | undefined]
  const filter = emission.weightOf(filterName)!
  const bias = biasName === undefined ? undefined : emission.weightOf(biasName)!.data
  const [channels, depth] = filter.shape as [number, number]
  const window = op.kernel[0] * op.kernel[1]
  const range = paddedRange(emission, x)
  const bound = (from: number, to: number, extra: (channel: number) => number): number => {
    let largest = 0
    for (let channel = 0; channel < channels; channel++) {
      const start = channel * depth * window
      const sum = reach(filter.data, range, start + from * window, start + to * window)
      largest = Math.max(largest, sum + extra(channel))
    }
    return largest
  }
  const conv = (operands: string[]): string => {
    const { kernel, strides, dilations, group } = op
    const sum = emission.step('Conv', operands, { kernel_shape: kernel, strides, dilations, pads, group })
    return emission.step('Cast', [sum], { to: DataType.DOUBLE })
  }

  const { value: input, pads } = padded(emission, op.pads, x)
  if (bound(0, depth, (channel) => Math.abs(bias?.[channel] ?? 0)) <= exactBelow) {
    if (bias === undefined) return conv([input, emission.value(filterName)])
    const flat = emission.constant(new Float32Array(bias), [channels])
    return conv([input, emission.value(filterName), flat])
  }
  const parts = split(name, depth, (from, to) => bound(from, to, () => 0)).map(([from, to]) => {
    if (op.group > 1) return conv([input, blanked(emission, filter, from, to)])
    const slice = emission.step('Slice', [input, ...[[from], [to], [1]].map((n) => int64(emission, n))])
    return conv([slice, cut(emission, filter, from, to)])
  })
  if (bias !== undefined) parts.push(emission.constant(new Float64Array(bias), [1, channels, 1, 1]))
  return parts.reduce((a, b) => emission.step('Add', [a, b]))
}

/** A Conv pads with 0; another zero point is put around by itself. */
function padded(emission: Emission, pads: Pads, name: string): { readonly value: string; readonly pads: Pads } {
  const value = emission.value(name)
  const zero = zeroOf(emission.typeOf(name))
  if (zero === 0 || pads.every((pad) => pad === 0)) return { value, pads }
  const [top, left, bottom, right] = pads
  const around = int64(emission, [0, 0, top, left, 0, 0, bottom, right])
  return { value: emission.step('Pad', [value, around, float32(emission, zero)]), pads: [0, 0, 0, 0] }
}

/** The filter of input channels [from, to). */
function cut(emission: Emission, { data, shape }: QWeight, from: number, to: number): string {
  const [channels, depth, ...kernel] = shape as [number, number, ...number[]]
  const window = data.length / channels / depth
  const size = (to - from) * window
  const part = new Float32Array(channels * size)
  for (let channel = 0; channel < channels; channel++) {
    const start = (channel * depth + from) * window
    part.set(data.subarray(start, start + size), channel * size)
  }
  return emission.constant(part, [channels, to - from, ...kernel])
}

/** The whole filter with zeros outside input channels [from, to): channels of a grouped conv cannot be sliced. */
function blanked(emission: Emission, { data, shape }: QWeight, from: number, to: number): string {
  const [channels, depth] = shape as [number, number]
  const window = data.length / channels / depth
  const part = Float32Array.from(data, (w, i) => {
    const channel = Math.floor(i / window) % depth
    return channel >= from && channel < to ? w : 0
  })
  return emission.constant(part, shape)
}
