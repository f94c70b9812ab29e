/**
 * Convolution in float: the bias is fp32 and inside the command, the result is rounded once. Products of 16-bit types are exact and
 * their sums wider than fp32; fp32 sums differ from the executor's in their order.
 */
import type { Relu } from '../../../ir/graph.js'
import type { QWeight } from '../../../quantize/qgraph.js'
import { lanes, roundUp, vectorBytes } from '../../chip.js'
import { precBytes } from '../../isa/forms.js'
import { channelGroups, packConv, packDepthwise, packTogether, packVector, type Shape4 } from '../../layout.js'
import { conv as commandOf, depthwise, type Window } from '../commands.js'
import type { KernelSink, Packed, Slice } from '../kernel.js'
import { blockFilter, blocksOf, isDepthwise, runsOf } from './blocks.js'
import { define, part } from './define.js'
import { activate } from './float.js'
import { weightBits } from './weights.js'
import { inFloat32, widenedBytes } from './widen.js'
import { fitPads, padBytes, windowOf } from './windows.js'

/** What a convolution and a fully connected layer have in common. */
export interface FloatLayer extends Relu {
  readonly window: Window
  readonly group: number
  readonly biased: boolean
}

/** The coefficients of a layer with the filter [oc, ic / group, kh, kw]: biases, then filters. */
export function packFloat(
  name: string,
  filter: QWeight,
  shape: Shape4,
  group: number,
  bias: QWeight | undefined,
): Packed {
  const [oc, depth] = shape
  const parts = bias === undefined ? [] : [{ packed: packVector(name, bias.data as Float32Array), align: 4 }]
  if (isDepthwise(depth * group, oc, group))
    parts.push({ packed: packDepthwise(name, filter.data as Float32Array, shape), align: 4 })
  else
    for (const block of blocksOf(depth * group, oc, group)) {
      const dense = blockFilter(weightBits(filter), shape, group, block)
      parts.push({ packed: packConv(name, dense.data, dense.shape), align: filter.kind === 'f32' ? 4 : vectorBytes })
    }
  return packTogether(name, parts).packed
}

/** Sums, bias and activation of a slice. */
export function convolve(layer: FloatLayer, slice: Slice, sink: KernelSink): void {
  const { output } = slice
  const { input, window } = fitPads(slice.inputs[0]!, layer.window, 0, sink)
  const table = slice.coefficients[0]!
  const [n, oc, oh, ow] = output.shape
  const [, ic, ih, iw] = input.shape
  const taps = window.kernel[0] * window.kernel[1]
  const biasBytes = layer.biased ? 4 * channelGroups(oc) : 0
  const biasOf = (group: number) => (layer.biased ? table + 4 * group : undefined)
  if (isDepthwise(ic, oc, layer.group))
    // In fp32 whatever the type: the 16-bit form of the command rounds every partial sum.
    inFloat32(input, output, sink, (result, from, group) => {
      const filter = { address: table + biasBytes + group * taps * 4, signed: true }
      sink.emit(depthwise(result.shape, result, from, filter, biasOf(group), window))
    })
  else {
    const bytes = precBytes[input.prec]
    const runs = runsOf(ic, oc, layer.group, taps, bytes, channelGroups(oc))
    const together = runs.length === 1 ? n : 1
    const filters = table + roundUp(biasBytes, bytes === 4 ? 4 : vectorBytes)
    for (const { from, to, inputFrom, inputTo, filter } of runs)
      for (let item = 0; item < n; item += together) {
        const operand = { ...part(input, item, inputFrom), shape: [together, inputTo - inputFrom, ih, iw] as const }
        const weights = { address: filters + filter, signed: true }
        const shape: Shape4 = [together, to - from, oh, ow]
        sink.emit(commandOf(shape, part(output, item, from), operand, weights, biasOf(from / lanes), window))
      }
  }
  activate(layer, output, sink)
}

export const conv = define<'Conv'>({
  coefficients({ op, name, inputs }, weights) {
    const filter = weights.get(inputs[1]!)!
    const bias = inputs[2] === undefined ? undefined : weights.get(inputs[2])!
    return [packFloat(name, filter, filter.shape as unknown as Shape4, op.group, bias)]
  },
  scratchBytes: ({ op }, [input], output) =>
    (op.group > 1 ? widenedBytes(input!, output) : 0) + padBytes(input!, 'fp32', op),
  compute: ({ op, inputs }, slice, sink) =>
    convolve({ ...op, window: windowOf(op, slice), biased: inputs.length > 2 }, slice, sink),
})
