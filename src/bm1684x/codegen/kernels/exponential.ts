/**
 * Layers that need e^x, in fp32 (lowering keeps them there). The vendor's sequence: -x = k ln 2 + r with 0 <= r < ln 2, e^r by a
 * polynomial, 2^k by its bits; with one factor folded into the polynomial's signs, since all of them need e^-x.
 */
import { QuantError } from '../../../errors.js'
import { bankBytes, lanes } from '../../chip.js'
import { alignedBytes, alignedStrides, packVector, type Shape4 } from '../../layout.js'
import {
  addShifted,
  averagePool,
  binary,
  cast,
  copy,
  divide,
  laneBroadcast,
  maxPool,
  polynomial,
  swapChannelsAndColumns,
} from '../commands.js'
import type { Kernel, KernelSink, Local, Packed } from '../kernel.js'
import { axisOf, define, scratchTensor } from './define.js'
import { lowest } from './pool.js'
import { point } from './windows.js'

/** e^-r = sum of (-r)^i / i!: ten terms leave a relative error of 7e-9 below ln 2. */
const terms = 10
const coefficients = Float32Array.from({ length: terms }, (_, i) => {
  let factorial = 1
  for (let factor = 2; factor <= i; factor++) factorial *= factor
  return (i % 2 === 0 ? 1 : -1) / factorial
})

/** Outside, 2^k would leave the exponents 1 to 254 of fp32. */
const [least, most] = [-88.7, 87.3]
/** Iterations of a division; more do not make the C-model's error smaller. */
const steps = 3

const number = (constant: number) => ({ constant, prec: 'fp32', signed: true }) as const

/** The polynomial's table, kept once and spread over the lanes where it lies. */
const table = (name: string): Packed => ({
  ...packVector(name, coefficients),
  rows: 1,
  rowBytes: 4 * terms,
  data: new Uint8Array(coefficients.buffer),
})

const spreadTable = (address: number) => laneBroadcast([1, lanes, 1, terms], 'fp32', address, address)

/** Elements of a lane that are worked on at once: a bank for each of the three steps in between. */
const chunk = bankBytes / 4

/** A lane's elements of an aligned tensor follow each other without gaps that matter: [1, c, 1, elements]. */
const elementsOf = ([n, c, h, w]: Shape4): number => alignedBytes([n, c, h, w], 'fp32') / 4

const scratchOf = (output: Shape4): number => 3 * 4 * Math.min(chunk, elementsOf(output))

/** Calls `compute` for pieces of both tensors with e^-x of the piece in scratch. */
function exponentials(
  x: Local,
  output: Local,
  coefficientTable: number,
  sink: KernelSink,
  compute: (shape: Shape4, e: Local, x: Local, output: Local) => void,
): void {
  sink.emit(spreadTable(coefficientTable))
  const total = elementsOf(x.shape)
  const channels = Math.min(lanes, x.shape[1])
  const size: Shape4 = [1, channels, 1, Math.min(chunk, total)]
  const [e, k, power] = [0, 1, 2].map(() => scratchTensor(sink, size, 'fp32')) as [Local, Local, Local]
  const bits: Local = { ...power, prec: 'int32' }
  for (let from = 0; from < total; from += chunk) {
    const shape: Shape4 = [1, channels, 1, Math.min(chunk, total - from)]
    const piece = (local: Local): Local => ({ ...local, address: local.address + 4 * from, shape })
    sink.emit(binary('min', shape, e, piece(x), number(most)))
    sink.emit(binary('max', shape, e, e, number(least)))
    sink.emit(binary('mul', shape, k, e, number(-Math.LOG2E)))
    sink.emit(cast(shape, k, k, 'floor'))
    sink.emit(cast(shape, bits, k, 'halfAway'))
    sink.emit(addShifted(shape, bits, bits, { constant: 127, prec: 'int32', signed: true }, 23))
    sink.emit(binary('mul', shape, k, k, number(Math.LN2)))
    sink.emit(binary('add', shape, e, e, k))
    sink.emit(polynomial(shape, k.address, e.address, coefficientTable, terms))
    sink.emit(binary('mul', shape, e, k, power))
    compute(shape, e, piece(x), piece(output))
  }
}

/** numerator / (1 + e^-x) */
const logistic = (numerator: 'one' | 'x'): Kernel =>
  define<'Sigmoid' | 'SiLU'>({
    coefficients: ({ name }) => [table(name)],
    scratchBytes: (_, __, output) => scratchOf(output),
    compute(_, { inputs: [input], output, coefficients: [address] }, sink) {
      exponentials(input!, output, address!, sink, (shape, e, x, y) => {
        sink.emit(binary('add', shape, e, e, number(1)))
        sink.emit(divide(shape, y, numerator === 'one' ? number(1) : x, e, steps))
      })
    },
  })

export const sigmoid = logistic('one')
export const silu = logistic('x')

const swapped = ([n, c, h, w]: Shape4): Shape4 => [n, w, h, c]
const reduced = ([n, c, h, w]: Shape4, rows: boolean): Shape4 => (rows ? [n, c, 1, w] : [n, c, h, 1])

/** e^(x - max) / sum, along rows or columns: channels are exchanged with columns first. */
export const softmax = define<'Softmax'>({
  coefficients: ({ name }) => [table(name)],
  scratchBytes({ op, shape }, _, output) {
    const axis = axisOf(op.axis, shape.length)
    const inner = axis === 1 ? swapped(output) : output
    const exchanged = axis === 1 ? 2 * alignedBytes(inner, 'fp32') : 0
    return exchanged + alignedBytes(reduced(inner, axis === 2), 'fp32') + scratchOf(inner)
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
  exponentials(output, output, address, sink, (piece, e, _, y) => sink.emit(copy(piece, y, e)))
  sink.emit(averagePool(one.shape, one, output, 1, 0, window))
  sink.emit(divide(shape, output, output, repeated, steps))
}
