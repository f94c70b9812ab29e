/** Fully connected layers: convolutions of one pixel, whose channels are the summed axis. */
import { QuantError } from '../../../errors.js'
import type { NodeOf } from '../../../quantize/emit/context.js'
import type { QNode, QWeight } from '../../../quantize/qgraph.js'
import { zeroOf } from '../../../quantize/rounding.js'
import type { Prec } from '../../isa/forms.js'
import { alignedBytes, compactStrides, type Shape4 } from '../../layout.js'
import { conv, copy, swapChannelsAndColumns } from '../commands.js'
import type { KernelSink, Local, Slice } from '../kernel.js'
import { convolve, packFloat } from './conv-float.js'
import { convolveInt, packInt, sumsOf } from './conv-int.js'
import { define, part, scratchTensor, type Weights } from './define.js'
import { activate } from './float.js'
import { point } from './windows.js'

/** The matrix as a filter [n, k, 1, 1]. */
function filterOf(node: QNode, rightTranspose: boolean, weights: Weights): { weight: QWeight; shape: Shape4 } {
  const weight = weights.get(node.inputs[1]!)
  if (weight === undefined || weight.shape.length !== 2)
    throw new QuantError(
      'model',
      `${node.name} multiplies by a constant of several matrices, which is not compiled for the BM1684X`,
      {
        hint: 'end the network before this layer: model.outputs in quant.yaml',
      },
    )
  const [rows, columns] = weight.shape as [number, number]
  if (rightTranspose) return { weight, shape: [rows, columns, 1, 1] }
  const data = weight.data.map((_, i) => weight.data[(i % rows) * columns + Math.floor(i / rows)]!)
  return { weight: { ...weight, data }, shape: [columns, rows, 1, 1] }
}

const biasOf = ({ inputs }: QNode, weights: Weights): QWeight | undefined =>
  inputs[2] === undefined ? undefined : weights.get(inputs[2])

/** [m, k] has k in the channels. With more dimensions it is in the columns, and both are exchanged on the way in and out. */
const inColumns = ({ shape }: QNode): boolean => shape.length > 2

const swapped = ([n, c, h, w]: Shape4): Shape4 => [n, w, h, c]

const swapBytes = (input: Shape4, output: Shape4, prec: Prec): number =>
  alignedBytes(swapped(input), prec) + alignedBytes(swapped(output), prec)

function throughChannels(node: QNode, slice: Slice, sink: KernelSink, compute: (slice: Slice) => void): void {
  if (!inColumns(node)) {
    compute(slice)
    return
  }
  const exchange = (to: Local, from: Local): void =>
    sink.emit(swapChannelsAndColumns(to.shape, to.prec, to.address, from.address))
  const [input, result] = [slice.inputs[0]!, slice.output]
  const x = scratchTensor(sink, swapped(input.shape), input.prec, input.signed)
  const y = scratchTensor(sink, swapped(result.shape), result.prec, result.signed)
  exchange(x, input)
  compute({ ...slice, inputs: [x], output: y })
  exchange(result, y)
}

export const matMulInt = define<'MatMulInt'>({
  coefficients(node, weights) {
    const { weight, shape } = filterOf(node, node.op.rightTranspose, weights)
    const same = (value: number): number[] => new Array<number>(shape[0]).fill(value)
    const { multiplier, shift } = node.op.requant
    const bias = biasOf(node, weights)
    return [
      packInt(node.name, weight.data as Int8Array, shape, 1, bias, same(multiplier), same(shift), zeroOf(node.type)),
    ]
  },
  scratchBytes: (node, [input], output) =>
    inColumns(node) ? sumsOf(swapped(output)).bytes + swapBytes(input!, output, 'int8') : sumsOf(output).bytes,
  compute(node, slice, sink) {
    const { op, inputs, type } = node
    const common = { window: point, group: 1, signedFilter: true }
    const layer = { ...common, relu: op.relu, biased: inputs.length > 2, zero: zeroOf(type) }
    throughChannels(node, slice, sink, (within) => convolveInt(layer, within, sink))
  },
})

const ofValues = (node: QNode, { weights }: { readonly weights: Weights }): boolean => !weights.has(node.inputs[1]!)

/**
 * [b, m, k] times [b, k, n], both computed, in fp32: a convolution of 1x1 over an image whose channels are the rows of the right matrix,
 * whose filters are the rows of the left one. They lie in the lanes as a filter does, but for the gaps between channel groups.
 */
function product({ op }: NodeOf<'MatMul'>, { inputs: [left, right], output }: Slice, sink: KernelSink): void {
  const [batch, m, , n] = output.shape
  const [, k] = right!.shape
  const rows: Shape4 = [1, m, 1, k]
  const filter = { address: sink.scratch(filterBytes(rows)), prec: left!.prec, signed: true }
  for (let item = 0; item < batch; item++) {
    const image = { ...part(right!, item), shape: [1, k, 1, n] as const }
    sink.emit(copy(rows, { ...filter, strides: compactStrides(rows) }, part(left!, item)))
    sink.emit(conv([1, m, 1, n], part(output, item), image, filter, undefined, point))
  }
  activate(op, output, sink)
}

const filterBytes = (rows: Shape4): number => 4 * compactStrides(rows).n

export const matMul = define<'MatMul'>({
  coefficients(node, weights) {
    if (ofValues(node, { weights })) return []
    const { weight, shape } = filterOf(node, node.op.rightTranspose, weights)
    return [packFloat(node.name, weight, shape, 1, biasOf(node, weights))]
  },
  scratchBytes(node, [input, right], output) {
    if (right !== undefined) return filterBytes([1, output[1], 1, right[1]])
    return inColumns(node) ? swapBytes(input!, output, 'fp32') : 0
  },
  compute(node, slice, sink, known) {
    if (ofValues(node, known)) return product(node, slice, sink)
    const layer = { ...node.op, window: point, group: 1, biased: node.inputs.length > 2 }
    throughChannels(node, slice, sink, (within) => convolve(layer, within, sink))
  },
})
