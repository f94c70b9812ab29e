/** Fully connected layers: convolutions of one pixel, whose channels are the summed axis. */
import { QuantError } from '../../../errors.js'
import type { NodeOf } from '../../../quantize/emit/context.js'
import type { QNode, QWeight } from '../../../quantize/qgraph.js'
import { zeroOf } from '../../../quantize/rounding.js'
import { cubeChannels, lanes, roundUp, vectorBytes } from '../../chip.js'
import { type Prec, precBytes } from '../../isa/forms.js'
import { alignedBytes, alignedStrides, compactStrides, type Shape4 } from '../../layout.js'
import { binary, conv, copy, type Place, requant, swapChannelsAndColumns } from '../commands.js'
import type { KernelSink, Local, Slice } from '../kernel.js'
import { convolve, packFloat } from './conv-float.js'
import { convolveInt, packInt, sumsOf } from './conv-int.js'
import { define, part, scratchTensor, type Weights } from './define.js'
import { activate } from './float.js'
import { weightPrec } from './weights.js'
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

const ofValues = (node: QNode, { weights }: { readonly weights: Weights }): boolean => !weights.has(node.inputs[1]!)

/**
 * [b, m, h, k] times [b, k, 1, n], both computed, row by row of the left side's h: each is a convolution of 1x1 over an image whose
 * channels are the rows of the right matrix, whose filters are the m rows of the left one. Those lie in the lanes as filters do, if m is
 * 64 at most and k fills the blocks that filters come in; else they are laid together first. So it is with the sums.
 * @param finish what becomes of the sums of one row; without it, they are the result
 */
function product([left, right]: readonly [Local, Local], output: Local, sums: Prec, sink: KernelSink, finish?: Finish) {
  const [batch, m, height, n] = output.shape
  const [, k] = right.shape
  const { depth, filterBytes, sumBytes } = productPlan(left.shape, output.shape, left.prec, sums, finish === undefined)
  const take = (bytes: number): number => (bytes > 0 ? sink.scratch(bytes) : 0)
  const filter = { ...left, address: take(filterBytes), strides: compactStrides([1, m, 1, depth]) }
  const sum: Local = { address: take(sumBytes), prec: sums, signed: true, shape: [1, m, 1, n] }
  if (filterBytes > 0 && depth > k) sink.emit(copy([1, m, 1, depth], filter, { ...filter, constant: 0 }))
  for (let item = 0; item < batch; item++) {
    const image: Local = { ...part(right, item), shape: [1, k, 1, n] }
    for (let y = 0; y < height; y++) {
      const row = rowOf(part(left, item), y)
      const to = rowOf(part(output, item), y)
      if (filterBytes > 0) sink.emit(copy([1, m, 1, k], filter, row))
      const result = sumBytes > 0 ? sum : { ...sum, address: to.address }
      sink.emit(conv(sum.shape, result, image, filterBytes > 0 ? filter : row, undefined, point))
      if (finish !== undefined) finish(to, sum)
      else if (sumBytes > 0) sink.emit(copy(sum.shape, to, sum))
    }
  }
}

type Finish = (to: Local & Place, sums: Local) => void

/** Row y of every item, strided. */
function rowOf(local: Local, y: number): Local & Place {
  const strides = alignedStrides(local.shape, local.prec)
  return { ...local, address: local.address + y * strides.h * precBytes[local.prec], strides }
}

/**
 * Bytes of scratch of a product, 0 for what lies well: filters, `depth` elements each, and the sums of one row.
 * @param direct whether sums can be the result
 */
function productPlan([, , , k]: Shape4, [, m, h, n]: Shape4, prec: Prec, sums: Prec, direct: boolean) {
  const size = precBytes[prec]
  const depth = roundUp(k, cubeChannels[size])
  const alone = h === 1 || (m <= lanes && (n * precBytes[sums]) % vectorBytes === 0)
  return {
    depth,
    filterBytes: m <= lanes && depth === k ? 0 : size * compactStrides([1, m, 1, depth]).n,
    sumBytes: direct && alone ? 0 : alignedBytes([1, m, 1, n], sums),
  }
}

const productBytes = (...of: Parameters<typeof productPlan>): number => {
  const { filterBytes, sumBytes } = productPlan(...of)
  return roundUp(filterBytes, vectorBytes) + sumBytes
}

export const matMulInt = define<'MatMulInt'>({
  coefficients(node, weights) {
    if (ofValues(node, { weights })) return []
    const { weight, shape } = filterOf(node, node.op.rightTranspose, weights)
    const same = (value: number): number[] => new Array<number>(shape[0]).fill(value)
    const { multiplier, shift } = node.op.requant
    const bias = biasOf(node, weights)
    const [factors, shifts] = [same(multiplier), same(shift)]
    return [packInt(node.name, weight.data as Int8Array, shape, 1, bias, factors, shifts, zeroOf(node.type))]
  },
  scratchBytes(node, [input, right], output) {
    if (right !== undefined) return productBytes(input!, output, 'int8', 'int32', false) + lineBytes(output)
    return inColumns(node) ? sumsOf(swapped(output)).bytes + swapBytes(input!, output, 'int8') : sumsOf(output).bytes
  },
  compute(node, slice, sink, known) {
    const { op, inputs, type } = node
    const common = { window: point, group: 1, signedFilter: true }
    const layer = { ...common, relu: op.relu, biased: inputs.length > 2, zero: zeroOf(type) }
    if (ofValues(node, known)) productInt(node, slice, sink)
    else throughChannels(node, slice, sink, (within) => convolveInt(layer, within, sink))
  },
})

/** Of one row of 8-bit results that is made by itself. */
const lineBytes = ([, m, , n]: Shape4): number => alignedBytes([1, m, 1, n], 'int8')

function productInt({ op }: NodeOf<'MatMulInt'>, { inputs: [left, right], output }: Slice, sink: KernelSink): void {
  const { multiplier, shift } = op.requant
  // A multiplier of 0 comes with a shift that the field cannot hold.
  const by = { multiplier, shift: multiplier === 0 ? 0 : shift }
  const line = { ...output, address: sink.scratch(lineBytes(output.shape)) }
  product([left!, right!], output, 'int32', sink, (to, sums) => {
    sink.emit(requant(sums.shape, line, sums, by))
    sink.emit(copy(sums.shape, to, line))
  })
  if (op.relu && output.signed)
    sink.emit(binary('max', output.shape, output, output, { constant: 0, prec: output.prec, signed: true }))
}

export const matMul = define<'MatMul'>({
  coefficients(node, weights) {
    if (ofValues(node, { weights })) return []
    const { weight, shape } = filterOf(node, node.op.rightTranspose, weights)
    return [packFloat(node.name, weight, shape, 1, biasOf(node, weights))]
  },
  scratchBytes(node, [input, right], output) {
    const prec = weightPrec(node.type)
    if (right !== undefined) return productBytes(input!, output, prec, prec, true)
    return inColumns(node) ? swapBytes(input!, output, 'fp32') : 0
  },
  compute(node, slice, sink, known) {
    const { inputs, output } = slice
    if (ofValues(node, known)) {
      product([inputs[0]!, inputs[1]!], output, output.prec, sink)
      activate(node.op, output, sink)
    } else {
      const layer = { ...node.op, window: point, group: 1, biased: node.inputs.length > 2 }
      throughChannels(node, slice, sink, (within) => convolve(layer, within, sink))
    }
  },
})
