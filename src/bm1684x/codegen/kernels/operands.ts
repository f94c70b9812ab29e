/** Operands of elementwise layers: values and constants, spread over the shape of the result as numpy would. */
import { QuantError } from '../../../errors.js'
import type { QNode, QWeight } from '../../../quantize/qgraph.js'
import { lanes } from '../../chip.js'
import { type Prec, precBytes } from '../../isa/forms.js'
import { alignedBytes, alignedStrides, channelGroups, compactStrides, type Shape4 } from '../../layout.js'
import { laneBroadcast, type Place } from '../commands.js'
import type { KernelSink, Known, Local, Packed, Slice } from '../kernel.js'
import { shape4 } from '../view.js'
import { scratchTensor, type Weights } from './define.js'
import { weightBits, weightPrec } from './weights.js'

/** Scratch that `operandsOf` takes: values of one channel are put into every lane. */
export const spreadBytes = (inputs: readonly Shape4[], [, c]: Shape4, prec: Prec): number =>
  inputs.reduce(
    (sum, [n, channels, h, w]) => (channels === 1 && c > 1 ? sum + alignedBytes([n, lanes, h, w], prec) : sum),
    0,
  )

/** All operands in order, as a command over the result's shape reads them. */
export function operandsOf(node: QNode, slice: Slice, sink: KernelSink, { weights }: Known): Place[] {
  let [values, constants] = [0, 0]
  return node.inputs.map((name) => {
    const weight = weights.get(name)
    if (weight === undefined) return spreadValue(node, slice.inputs[values++]!, slice.output.shape, sink)
    return constantPlace(node, weight, slice.coefficients[constants++]!, slice)
  })
}

function spreadValue(node: QNode, value: Local, shape: Shape4, sink: KernelSink): Place {
  const own = value.shape
  if (own.every((size, axis) => size === shape[axis])) return value
  if (!own.every((size, axis) => size === 1 || size === shape[axis])) throw unfit(node, own, shape)
  const oneChannel = own[1] === 1 && shape[1] > 1
  const from = oneChannel ? overLanes(value, Math.min(lanes, shape[1]), sink) : value
  return { ...from, strides: repeating(alignedStrides(from.shape, from.prec), own) }
}

function overLanes(value: Local, count: number, sink: KernelSink): Local {
  const [n, , h, w] = value.shape
  const wide = scratchTensor(sink, [n, count, h, w], value.prec, value.signed)
  sink.emit(laneBroadcast(wide.shape, value.prec, wide.address, value.address))
  return wide
}

/** A dimension of one element is read again and again. */
const repeating = (strides: { n: number; c: number; h: number; w: number }, [n, c, h, w]: Shape4) => ({
  n: n === 1 ? 0 : strides.n,
  c: c === 1 ? 0 : strides.c,
  h: h === 1 ? 0 : strides.h,
  w: w === 1 ? 0 : strides.w,
})

const unfit = (node: QNode, own: Shape4, shape: Shape4): QuantError =>
  new QuantError('model', `${node.name} cannot spread an operand of [${own}] over [${shape}] on the chip`, {
    hint: 'give both operands the same number of dimensions',
  })

/** The constant operands of a node, compact; those of one channel stand in every lane. */
export const packConstants = (node: QNode, weights: Weights): Packed[] =>
  node.inputs.flatMap((name) => {
    const weight = weights.get(name)
    return weight === undefined ? [] : [packConstant(`${node.name} ${name}`, weight, node.shape)]
  })

/** The constant's own shape beside the result's: as many dimensions, of which those in front of the last three are whole or 1. */
function constantShape(weight: QWeight, result: readonly number[]): { shape: readonly number[]; full: Shape4 } {
  const missing = new Array<number>(Math.max(0, result.length - weight.shape.length)).fill(1)
  const shape = [...missing, ...weight.shape]
  const leading = result.length > 3 ? result.length - 3 : 0
  const merges = shape.slice(0, leading).every((size) => size === 1)
  return { shape, full: shape4(merges ? shape : [...result.slice(0, leading), ...shape.slice(leading)]) }
}

function packConstant(name: string, weight: QWeight, result: readonly number[]): Packed {
  const { shape, full } = constantShape(weight, result)
  const bits = weightBits(weight)
  const size = bits.BYTES_PER_ELEMENT
  const bytes = new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength)
  const [n, c, h, w] = full
  const { n: itemStride, c: groupStride } = compactStrides(full)
  const rows = Math.min(lanes, c === 1 ? shape4(result)[1] : c)
  const rowBytes = n * channelGroups(c) * h * w * size
  const data = new Uint8Array(rows * rowBytes)
  const copyOf = shape4(shape)[0] === 1 ? () => 0 : leadingIndex(shape, result)
  for (let item = 0; item < n; item++)
    for (let row = 0; row < rows; row++)
      for (let channel = row; channel < Math.max(c, rows); channel += lanes) {
        const source = (copyOf(item) * c + (c === 1 ? 0 : channel)) * h * w * size
        const to = row * rowBytes + (item * itemStride + Math.floor(channel / lanes) * groupStride) * size
        data.set(bytes.subarray(source, source + h * w * size), to)
      }
  return { name, rows, rowBytes, data }
}

/** Which item of the constant's leading dimensions belongs to an item of the result's. */
function leadingIndex(shape: readonly number[], result: readonly number[]): (item: number) => number {
  const axes = result.length > 3 ? result.length - 3 : Math.min(1, result.length - 1)
  return (item) => {
    let [rest, index, step] = [item, 0, 1]
    for (let axis = axes - 1; axis >= 0; axis--) {
      const at = rest % result[axis]!
      rest = Math.floor(rest / result[axis]!)
      if (shape[axis]! > 1) index += at * step
      step *= shape[axis]!
    }
    return index
  }
}

function constantPlace(node: QNode, weight: QWeight, address: number, slice: Slice): Place {
  const { full } = constantShape(weight, node.shape)
  const prec = weightPrec(weight)
  const strides = repeating(compactStrides(full), full)
  const row = full[2] === 1 ? 0 : slice.outputRow * strides.h
  return { address: address + row * precBytes[prec], prec, signed: weight.kind !== 'u8', strides }
}
