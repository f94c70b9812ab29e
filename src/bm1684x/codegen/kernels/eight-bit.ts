/** 8-bit layers that work on each element by itself. */
import { fractionBits, type Requant } from '../../../quantize/qgraph.js'
import { zeroOf } from '../../../quantize/rounding.js'
import { bankBytes, lanes, mostPerDimension } from '../../chip.js'
import { alignedBytes } from '../../layout.js'
import { binary, cast, copy, laneBroadcast, lookup, type Place, requant, rescaled, scaled } from '../commands.js'
import type { KernelSink, Local, Packed } from '../kernel.js'
import { define, piecesOf, scratchTensor } from './define.js'
import { operandsOf, packConstants, spreadBytes } from './operands.js'

const factorOf = ({ multiplier }: Requant, signed: boolean) => ({ constant: multiplier, prec: 'int8', signed }) as const
const zero = { constant: 0, prec: 'int8', signed: true } as const

/** Cuts off below the zero point what is signed; an unsigned result saturated there by itself. */
function relu({ relu }: { readonly relu: boolean }, output: Local, sink: KernelSink, lowest = 0): void {
  if (relu && output.signed) sink.emit(binary('max', output.shape, output, output, { ...zero, constant: lowest }))
}

/**
 * x >= 0 ? x : x * slope. With a slope in [0, 1] the rounded product lies between 0 and x, so the larger one is the result. Any other
 * slope: the two halves by themselves, one of which is 0.
 */
export const leakyReluInt = define<'LeakyReluInt'>({
  scratchBytes: ({ op }, _, output) => (isFlat(op.requant) ? 0 : alignedBytes(output, 'int8')),
  compute({ op }, { inputs: [input], output }, sink) {
    const x = input!
    const { shape } = output
    if (!x.signed) return sink.emit(copy(shape, output, x))
    const { shift } = op.requant
    if (isFlat(op.requant)) {
      sink.emit(scaled(shape, output, x, factorOf(op.requant, true), shift))
      return sink.emit(binary('max', shape, output, output, x))
    }
    const below = scratchTensor(sink, shape, 'int8')
    sink.emit(binary('min', shape, below, x, zero))
    sink.emit(scaled(shape, below, below, factorOf(op.requant, true), shift))
    sink.emit(binary('max', shape, output, x, zero))
    sink.emit(binary('adds', shape, output, output, below))
  },
})

const isFlat = ({ multiplier, shift }: Requant): boolean => multiplier >= 0 && multiplier * 2 ** -shift <= 1

export const reluInt = define<'ReluInt'>({
  compute(_, { inputs: [input], output }, sink) {
    const x = input!
    if (x.signed) sink.emit(binary('max', output.shape, output, x, zero))
    else if (!output.signed) sink.emit(copy(output.shape, output, x))
    else sink.emit(binary('min', output.shape, output, x, { constant: 127, prec: 'int8', signed: false }))
  },
})

export const mulShift = define<'MulShift'>({
  scratchBytes: ({ type }, _, output) => (type.kind === 'u8' ? alignedBytes(output, 'int16') : 0),
  compute({ op }, { inputs: [input], output }, sink) {
    const x = input!
    // The result is signed as the operands are: an unsigned one of a signed operand takes a step through 16 bit.
    if (output.signed || !x.signed)
      return sink.emit(scaled(output.shape, output, x, factorOf(op.requant, output.signed), op.requant.shift))
    const wide = scratchTensor(sink, output.shape, 'int16')
    sink.emit(scaled(output.shape, wide, x, factorOf(op.requant, true), op.requant.shift))
    sink.emit(cast(output.shape, output, wide, 'halfAway'))
  },
})

/** Products of 8 bit and their sum fit 16 bit while there are two of them: |x * multiplier| <= 255 * 127. */
const termPrec = (count: number) => (count > 2 ? 'int32' : 'int16')

export const addInt = define<'AddInt'>({
  coefficients: packConstants,
  scratchBytes: ({ op }, inputs, output) =>
    op.requants.length * alignedBytes(output, termPrec(op.requants.length)) + spreadBytes(inputs, output, 'int8'),
  compute(node, slice, sink, known) {
    const { op } = node
    const { output } = slice
    const { shape } = output
    const wide = (): Local => scratchTensor(sink, shape, termPrec(op.requants.length))
    const terms = operandsOf(node, slice, sink, known).map((x, i): Place => {
      const { multiplier, shift } = op.requants[i]!
      // As it is, if its scale is the result's; an unsigned one could make the sum unsigned.
      if (multiplier === 2 ** shift && x.signed) return x
      const term = wide()
      sink.emit(scaled(shape, term, x, factorOf(op.requants[i]!, true), shift))
      return term
    })
    let sum = terms[0]!
    for (const [i, term] of terms.entries()) {
      if (i === 0) continue
      const last = i === terms.length - 1 && output.signed
      const to = last ? output : (terms.find(({ prec }) => prec !== 'int8') ?? wide())
      sink.emit(binary('adds', shape, to, sum, term))
      sum = to
    }
    if (!output.signed) sink.emit(cast(shape, output, sum, 'halfAway'))
    relu(op, output, sink)
  },
})

/** Operands are of the result's shape: rescales with a zero point read no other. */
export const sumInt = define<'SumInt'>({
  scratchBytes: (_, inputs, output) => Math.min(2, inputs.length) * alignedBytes(output, 'int32'),
  compute({ op, inputs: names, type }, { inputs, output }, sink, { typeOf }) {
    const { shape } = output
    const bits = fractionBits(inputs.length)
    const terms = inputs.slice(0, 2).map(() => scratchTensor(sink, shape, 'int32'))
    const [sum, term] = terms as [Local, Local]
    for (const [i, x] of inputs.entries()) {
      const { multiplier, shift } = op.requants[i]!
      const to = i === 0 ? sum : term
      sink.emit(rescaled(shape, to, x, zeroOf(typeOf(names[i]!)), { multiplier, shift: shift - bits }))
      if (i > 0) sink.emit(binary('adds', shape, sum, sum, term))
    }
    sink.emit(requant(shape, output, sum, { multiplier: 1, shift: bits, zero: zeroOf(type) }))
    relu(op, output, sink, zeroOf(type))
  },
})

/** Terms have 16 bits, of which their difference may need more: it saturates, and so would the result. */
export const subInt = define<'SubInt'>({
  coefficients: packConstants,
  scratchBytes: (_, inputs, output) => 2 * alignedBytes(output, 'int16') + spreadBytes(inputs, output, 'int8'),
  compute(node, slice, sink, known) {
    const { op } = node
    const { output } = slice
    const { shape } = output
    const wide = [0, 1].map(() => scratchTensor(sink, shape, 'int16')) as [Local, Local]
    const [a, b] = operandsOf(node, slice, sink, known).map((x, i): Place => {
      const requant = op.requants[i]!
      if (requant.multiplier === 2 ** requant.shift && x.signed) return x
      sink.emit(scaled(shape, wide[i]!, x, factorOf(requant, true), requant.shift))
      return wide[i]!
    })
    if (output.signed) sink.emit(binary('subs', shape, output, a!, b!))
    else {
      sink.emit(binary('subs', shape, wide[0], a!, b!))
      sink.emit(cast(shape, output, wide[0], 'halfAway'))
    }
    relu(op, output, sink)
  },
})

/** The halves below and above 0 by themselves, one of which is 0. */
export const pReluInt = define<'PReluInt'>({
  coefficients: packConstants,
  scratchBytes: (_, __, output) => alignedBytes(output, 'int8'),
  compute(node, slice, sink, known) {
    const { output } = slice
    const { shape } = output
    const [x, slope] = operandsOf(node, slice, sink, known) as [Place, Place]
    if (!x.signed) return sink.emit(copy(shape, output, x))
    const below = scratchTensor(sink, shape, 'int8')
    sink.emit(binary('min', shape, below, x, zero))
    sink.emit(scaled(shape, below, below, slope, node.op.shift))
    sink.emit(binary('max', shape, output, x, zero))
    sink.emit(binary('adds', shape, output, output, below))
  },
})

export const mulInt = define<'MulInt'>({
  coefficients: packConstants,
  scratchBytes: (_, inputs, output) => alignedBytes(output, 'int32') + spreadBytes(inputs, output, 'int8'),
  compute(node, slice, sink, known) {
    const { output } = slice
    const [first, ...others] = operandsOf(node, slice, sink, known)
    const product = scratchTensor(sink, output.shape, 'int32')
    let soFar = first!
    for (const factor of others) {
      sink.emit(binary('mul', output.shape, product, soFar, factor))
      soFar = product
    }
    sink.emit(requant(output.shape, output, product, node.op.requant))
    relu(node.op, output, sink)
  },
})

/** One command looks up that many elements of a channel. */
const mostLookups = Math.floor(mostPerDimension / 64) * 64

/** The table is kept once and spread over the lanes where it lies. */
export const lut = define<'Lut'>({
  coefficients({ name, inputs }, weights): Packed[] {
    const { buffer, byteOffset } = weights.get(inputs[1]!)!.data
    return [{ name, rows: 1, rowBytes: 256, data: new Uint8Array(buffer, byteOffset, 256) }]
  },
  compute(_, { inputs: [index], output, coefficients: [table] }, sink) {
    sink.emit(laneBroadcast([1, lanes, 1, 256], 'int8', table!, table!))
    const bytes = alignedBytes(output.shape, 'int8')
    const apart = banksApart([table!, 256], [index!.address, bytes], [output.address, bytes])
    for (const { shape, of } of piecesOf(output.shape, mostLookups, output.shape[2] * output.shape[3] <= mostLookups))
      sink.emit(lookup(shape, of(output).address, table!, of(index!).address, apart))
  },
})

/** Whether no two of the pieces [address, bytes] touch one bank. */
function banksApart(...pieces: readonly (readonly [address: number, bytes: number])[]): boolean {
  const banks = pieces.map(([address, bytes]) => [
    Math.floor(address / bankBytes),
    Math.floor((address + bytes - 1) / bankBytes),
  ])
  return banks.every(([first, last], i) => banks.every(([from, to], j) => i === j || last! < from! || to! < first!))
}
