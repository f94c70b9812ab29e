/** Casts, rounded as the executor rounds them. */
import { type FloatKind, isInt, roundTo, zeroOf } from '../../../quantize/rounding.js'
import { bankBytes } from '../../chip.js'
import type { Instruction, Prec } from '../../isa/forms.js'
import { alignedBytes, type Shape4 } from '../../layout.js'
import { binary, cast as convert, copy, dequant } from '../commands.js'
import type { KernelSink, Local } from '../kernel.js'
import { define, piecesOf } from './define.js'

/** The largest float16: the reciprocal of a small scale must not become infinite. */
const mostF16 = 65504

/** What is computed in two steps is so piece by piece, with so many elements of a lane in between. */
const mostBetween = (2 * bankBytes) / 4

const betweenBytes = (shape: Shape4): number => Math.min(alignedBytes(shape, 'fp32'), 4 * mostBetween)

/** Runs both commands with a tensor of the type in between. */
function inTwoSteps(
  input: Local,
  output: Local,
  between: Prec,
  sink: KernelSink,
  first: (shape: Shape4, to: Local, from: Local) => Instruction,
  second: (shape: Shape4, to: Local, from: Local) => Instruction,
): void {
  const atOnce = alignedBytes(output.shape, 'fp32') <= 4 * mostBetween
  const address = sink.scratch(betweenBytes(output.shape))
  for (const { shape, of } of piecesOf(output.shape, mostBetween, atOnce)) {
    const middle: Local = { address, prec: between, signed: true, shape }
    sink.emit(first(shape, middle, of(input)))
    sink.emit(second(shape, of(output), middle))
  }
}

const rounded = (mode: 'halfEven' | 'halfAway') => (shape: Shape4, to: Local, from: Local) =>
  convert(shape, to, from, mode)

export const cast = define<'Cast'>({
  scratchBytes: (_, __, output) => betweenBytes(output),
  compute({ type, inputs: [name] }, { inputs: [x], output }, sink, { typeOf }) {
    const from = typeOf(name!)
    const { shape } = output
    const input = x!
    if (from.kind === type.kind || (isInt(from) && isInt(type))) return sink.emit(copy(shape, output, input))
    if (isInt(from)) {
      const scale = roundTo(type.kind as FloatKind, from.scale)
      const zero = zeroOf(from)
      if (type.kind === 'f32') return sink.emit(dequant(shape, output, input, scale, zero))
      // The product is exact in fp32, so it is rounded once. No command takes 8 bit to 16-bit floats.
      const exact = (size: Shape4, to: Local, of: Local) => dequant(size, to, of, scale, zero)
      return inTwoSteps(input, output, 'fp32', sink, exact, rounded('halfEven'))
    }
    if (!isInt(type)) {
      if (from.kind === 'f32' || type.kind === 'f32') return sink.emit(convert(shape, output, input, 'halfEven'))
      // Nor one 16-bit float to the other.
      return inTwoSteps(input, output, 'fp32', sink, rounded('halfEven'), rounded('halfEven'))
    }
    const constant = Math.min(roundTo(from.kind, 1 / type.scale), from.kind === 'f16' ? mostF16 : Infinity)
    const { prec } = input
    const product = (size: Shape4, to: Local, of: Local) =>
      binary('mul', size, to, of, { constant, prec, signed: true })
    const zero = zeroOf(type)
    if (zero === 0) return inTwoSteps(input, output, prec, sink, product, rounded('halfAway'))
    // Rounded where it is, in as many bits, for the zero point comes before the clamp.
    const whole = prec === 'fp32' ? 'int32' : 'int16'
    inTwoSteps(input, output, prec, sink, product, (size, to, of) => {
      const wide: Local = { ...of, prec: whole }
      sink.emit(convert(size, wide, of, 'halfAway'))
      return binary('adds', size, to, wide, { constant: zero, prec: 'int16', signed: true })
    })
  },
})
