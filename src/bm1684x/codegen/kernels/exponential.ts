/**
 * e^-x in fp32, and Softmax. The vendor's sequence: -x = k ln 2 + r with 0 <= r < ln 2, e^r by a polynomial, 2^k by its bits; with one
 * factor folded into the polynomial's signs, since nearly all layers need e^-x.
 */
import { QuantError } from '../../../errors.js'
import { bankBytes, lanes, roundUp } from '../../chip.js'
import { alignedBytes, alignedStrides, packVector, type Shape4 } from '../../layout.js'
import {
  addShifted,
  averagePool,
  binary,
  cast,
  divide,
  laneBroadcast,
  maxPool,
  polynomial,
  swapChannelsAndColumns,
} from '../commands.js'
import type { KernelSink, Local, Packed } from '../kernel.js'
import { axisOf, define, scratchTensor } from './define.js'
import { lowest } from './pool.js'
import { point } from './windows.js'

/** Iterations of a division; more do not make the C-model's error smaller. */
export const divisionSteps = 3

export const number = (constant: number) => ({ constant, prec: 'fp32', signed: true }) as const

/** Coefficients of a polynomial, kept once and spread over the lanes where they lie. */
export function polynomialTable(name: string, coefficients: Float32Array): Packed {
  const data = new Uint8Array(coefficients.buffer)
  return { ...packVector(name, coefficients), rows: 1, rowBytes: data.length, data }
}

export const spreadTable = (address: number, terms: number) =>
  laneBroadcast([1, lanes, 1, terms], 'fp32', address, address)

/** e^-r = sum of (-r)^i / i!: ten terms leave a relative error of 7e-9 below ln 2. */
export const exponentialTerms = Float32Array.from({ length: 10 }, (_, i) => {
  let factorial = 1
  for (let factor = 2; factor <= i; factor++) factorial *= factor
  return (i % 2 === 0 ? 1 : -1) / factorial
})

/** Outside, 2^k would leave the exponents 1 to 254 of fp32. */
const [least, most] = [-88.7, 87.3]

/** Elements of a lane that are worked on at once: a bank for each of the steps in between. */
const chunk = bankBytes / 4

/** A lane's elements of an aligned tensor follow each other without gaps that matter: [1, c, 1, elements]. */
const elementsOf = ([n, c, h, w]: Shape4): number => alignedBytes([n, c, h, w], 'fp32') / 4

/** Scratch that `pieceScratch` takes. */
export const pieceBytes = (output: Shape4, count: number): number =>
  count * 4 * roundUp(Math.min(chunk, elementsOf(output)), 16)

/** A part of an fp32 tensor and of the result, both in the same places, with scratch of the same shape. */
export interface Piece {
  readonly shape: Shape4
  readonly x: Local
  readonly y: Local
  readonly scratch: readonly Local[]
}

/** So many tensors for the pieces of a tensor of that shape. */
export function pieceScratch(shape: Shape4, count: number, sink: KernelSink): Local[] {
  const size: Shape4 = [1, Math.min(lanes, shape[1]), 1, Math.min(chunk, elementsOf(shape))]
  return Array.from({ length: count }, () => scratchTensor(sink, size, 'fp32'))
}

export function eachPiece(x: Local, y: Local, scratch: readonly Local[], compute: (piece: Piece) => void): void {
  const total = elementsOf(x.shape)
  const channels = Math.min(lanes, x.shape[1])
  for (let from = 0; from < total; from += chunk) {
    const shape: Shape4 = [1, channels, 1, Math.min(chunk, total - from)]
    const piece = (local: Local): Local => ({ ...local, address: local.address + 4 * from, shape })
    compute({ shape, x: piece(x), y: piece(y), scratch })
  }
}

/**
 * e = e^-x.
 * @param x may be e
 * @param between two tensors for the steps in between
 * @param limits of x: what is outside counts as the limit
 */
export function exponential(
  shape: Shape4,
  e: Local,
  x: Local,
  between: readonly [Local, Local],
  table: number,
  sink: KernelSink,
  limits: readonly [number, number] = [least, most],
): void {
  const [k, power] = between
  const bits: Local = { ...power, prec: 'int32' }
  sink.emit(binary('min', shape, e, x, number(limits[1])))
  sink.emit(binary('max', shape, e, e, number(limits[0])))
  sink.emit(binary('mul', shape, k, e, number(-Math.LOG2E)))
  sink.emit(cast(shape, k, k, 'floor'))
  sink.emit(cast(shape, bits, k, 'halfAway'))
  sink.emit(addShifted(shape, bits, bits, { constant: 127, prec: 'int32', signed: true }, 23))
  sink.emit(binary('mul', shape, k, k, number(Math.LN2)))
  sink.emit(binary('add', shape, e, e, k))
  sink.emit(polynomial(shape, k.address, e.address, table, exponentialTerms.length))
  sink.emit(binary('mul', shape, e, k, power))
}

export const swapped = ([n, c, h, w]: Shape4): Shape4 => [n, w, h, c]
export const reduced = ([n, c, h, w]: Shape4, rows: boolean): Shape4 => (rows ? [n, c, 1, w] : [n, c, h, 1])

/** e^(x - max) / sum, along rows or columns: channels are exchanged with columns first. */
export const softmax = define<'Softmax'>({
  coefficients: ({ name }) => [polynomialTable(name, exponentialTerms)],
  scratchBytes({ op, shape }, _, output) {
    const axis = axisOf(op.axis, shape.length)
    const inner = axis === 1 ? swapped(output) : output
    const exchanged = axis === 1 ? 2 * alignedBytes(inner, 'fp32') : 0
    return exchanged + alignedBytes(reduced(inner, axis === 2), 'fp32') + pieceBytes(inner, 2)
  },
  compute({ op, name, shape }, { inputs: [input], output, coefficients: [address] }, sink) {
    const axis = axisOf(op.axis, shape.length)
    if (axis === 0)
      throw new QuantError('model', `${name} is a Softmax over the batch, which is not compiled for the BM1684X`, {
        hint: 'end the network before this layer: model.outputs in quant.yaml',
      })
    if (axis !== 1) return softmaxWithin(input!, output, axis === 2, address!, sink)
    const x = scratchTensor(sink, swapped(input!.shape), 'fp32')
    const y = scratchTensor(sink, x.shape, 'fp32')
    sink.emit(swapChannelsAndColumns(x.shape, 'fp32', x.address, input!.address))
    softmaxWithin(x, y, false, address!, sink)
    sink.emit(swapChannelsAndColumns(output.shape, 'fp32', output.address, y.address))
  },
})

function softmaxWithin(x: Local, output: Local, rows: boolean, address: number, sink: KernelSink): void {
  const { shape } = output
  const one = scratchTensor(sink, reduced(shape, rows), 'fp32')
  const strides = alignedStrides(one.shape, 'fp32')
  const repeated = { ...one, strides: { ...strides, ...(rows ? { h: 0 } : { w: 0 }) } }
  const window = { ...point, kernel: rows ? ([shape[2], 1] as const) : ([1, shape[3]] as const) }
  sink.emit(maxPool(one.shape, one, x, lowest(x), window))
  sink.emit(binary('sub', shape, output, repeated, x))
  sink.emit(spreadTable(address, exponentialTerms.length))
  eachPiece(output, output, pieceScratch(shape, 2, sink), ({ shape, x, y, scratch: [k, power] }) =>
    exponential(shape, y, x, [k!, power!], address, sink),
  )
  sink.emit(averagePool(one.shape, one, output, 1, 0, window))
  sink.emit(divide(shape, output, output, repeated, divisionSteps))
}
