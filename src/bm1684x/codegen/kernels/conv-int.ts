/**
 * 8-bit convolution: int32 sums, bias, requantisation, as the vendor's streams do it. Coefficients of a layer are one row per lane, in
 * the official order: a 64-byte slot of requantisation per channel group, biases, filter.
 */
import type { QWeight } from '../../../quantize/qgraph.js'
import { zeroOf } from '../../../quantize/rounding.js'
import { bankBytes, lanes, roundUp, vectorBytes } from '../../chip.js'
import {
  alignedBytes,
  channelGroups,
  packConv,
  packDepthwise,
  packRequant,
  packTogether,
  packVector,
  type Shape4,
} from '../../layout.js'
import { binary, conv, depthwise, type Place, requant, type Window } from '../commands.js'
import type { KernelSink, Packed, Slice } from '../kernel.js'
import { blockFilter, blocksOf, isDepthwise, runsOf } from './blocks.js'
import { define, part } from './define.js'
import { fitPads, padBytes, windowOf } from './windows.js'

/** What a convolution and a fully connected layer have in common. */
export interface IntLayer {
  readonly window: Window
  readonly group: number
  readonly relu: boolean
  readonly biased: boolean
  readonly signedFilter: boolean
  /** Zero point of the result; that of the operand is the window's `fill`. */
  readonly zero: number
}

/** Where the parts of a lane's row begin. */
function rowOf(oc: number, biased: boolean, filterAlign: number) {
  const groups = channelGroups(oc)
  const bias = (groups - 1) * vectorBytes + 12
  return { bias, filter: roundUp(bias + (biased ? 4 * groups : 0), filterAlign) }
}

/** The coefficients of a layer with the filter [oc, ic / group, kh, kw]. */
export function packInt(
  name: string,
  filter: Int8Array | Uint8Array,
  shape: Shape4,
  group: number,
  bias: QWeight | undefined,
  multipliers: readonly number[],
  shifts: readonly number[],
  zero: number,
): Packed {
  const [oc, depth] = shape
  // A multiplier of 0 comes with a shift that the field cannot hold, and none is needed.
  const fields = shifts.map((shift, channel) => (multipliers[channel] === 0 ? 0 : -shift))
  const parts = [{ packed: packRequant(name, multipliers, fields, zero), align: vectorBytes }]
  if (bias !== undefined) parts.push({ packed: packVector(name, bias.data as Int32Array), align: 4 })
  if (isDepthwise(depth * group, oc, group)) parts.push({ packed: packDepthwise(name, filter, shape), align: 1 })
  else
    for (const block of blocksOf(depth * group, oc, group)) {
      const dense = blockFilter(filter, shape, group, block)
      parts.push({ packed: packConv(name, dense.data, dense.shape), align: vectorBytes })
    }
  return packTogether(name, parts).packed
}

/** int32 sums are made of as many channel groups at once as fit a bank, one at least; of the whole batch where that fits. */
export function sumsOf([n, c, h, w]: Shape4) {
  const groups = channelGroups(c)
  const groupBytes = alignedBytes([1, 1, h, w], 'int32')
  if (n * groups * groupBytes <= bankBytes) return { batch: n, most: groups, bytes: n * groups * groupBytes }
  const most = Math.min(groups, Math.max(1, Math.floor(bankBytes / groupBytes)))
  return { batch: 1, most, bytes: most * groupBytes }
}

export function convolveInt(layer: IntLayer, slice: Slice, sink: KernelSink): void {
  const { output } = slice
  const { input, window } = fitPads(slice.inputs[0]!, layer.window, layer.window.fill ?? 0, sink)
  const [n, oc, oh, ow] = output.shape
  const [, ic, ih, iw] = input.shape
  const table = slice.coefficients[0]!
  const perChannel = isDepthwise(ic, oc, layer.group)
  const row = rowOf(oc, layer.biased, perChannel ? 1 : vectorBytes)
  const { batch, most, bytes } = sumsOf(output.shape)
  const runs = runsOf(ic, oc, layer.group, window.kernel[0] * window.kernel[1], 1, most)
  const together = runs.length === 1 ? batch : 1
  const sums: Place = { address: sink.scratch(bytes), prec: 'int32', signed: true }
  for (const { from, to, inputFrom, inputTo, filter } of runs) {
    const group = from / lanes
    const bias = layer.biased ? table + row.bias + 4 * group : undefined
    const weights = { address: table + row.filter + filter, signed: layer.signedFilter }
    const shape: Shape4 = [together, to - from, oh, ow]
    for (let item = 0; item < n; item += together) {
      const operand = { ...part(input, item, inputFrom), shape: [together, inputTo - inputFrom, ih, iw] as const }
      if (perChannel) sink.emit(depthwise(shape, sums, operand, weights, bias, window))
      else {
        sink.emit(conv(shape, sums, operand, weights, undefined, window))
        if (bias !== undefined) {
          const vector = { ...sums, address: bias, strides: { n: 0, c: 1, h: 0, w: 0 } }
          sink.emit(binary('adds', shape, sums, vector, sums))
        }
      }
      sink.emit(requant(shape, part(output, item, from), sums, { table: table + group * vectorBytes }))
    }
  }
  // An unsigned result is cut off at 0 as it is.
  if (layer.relu && output.signed)
    sink.emit(binary('max', output.shape, output, output, { constant: layer.zero, prec: output.prec, signed: true }))
}

export const convInt = define<'ConvInt'>({
  coefficients({ op, name, inputs, type }, weights) {
    const { data, shape } = weights.get(inputs[1]!)!
    const bias = inputs[2] === undefined ? undefined : weights.get(inputs[2])!
    const { group, multipliers, shifts } = op
    const filter = data as Int8Array
    return [packInt(name, filter, shape as unknown as Shape4, group, bias, multipliers, shifts, zeroOf(type))]
  },
  scratchBytes: ({ op }, [input], output) => sumsOf(output).bytes + padBytes(input!, 'int8', op),
  compute({ op, inputs, type }, slice, sink, { weights, typeOf }) {
    const window = { ...windowOf(op, slice), fill: zeroOf(typeOf(inputs[0]!)) }
    const signedFilter = weights.get(inputs[1]!)!.kind === 'i8'
    const { group, relu } = op
    convolveInt({ window, group, relu, biased: inputs.length > 2, signedFilter, zero: zeroOf(type) }, slice, sink)
  },
})
