/** Windows of convolution and pooling. */
import type { Pads, Pair } from '../../../ir/graph.js'
import { type Prec, precBytes } from '../../isa/forms.js'
import { alignedBytes, alignedStrides, type Shape4 } from '../../layout.js'
import { copy, type Window } from '../commands.js'
import type { KernelSink, Local, Slice } from '../kernel.js'
import { scratchTensor } from './define.js'

/** What a command can pad at each side. */
const mostPadding = 15
const mostStride = 15

/** A window of one element. */
export const point: Window = { kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] }

interface Windowed {
  readonly kernel: Pair
  readonly strides: Pair
  readonly dilations?: Pair
  readonly pads: Pads
}

/** The op's window with the rows of padding that the slice still needs. */
export const windowOf = ({ kernel, strides, dilations = [1, 1], pads }: Windowed, slice: Slice): Window => ({
  kernel,
  strides: [stride(strides[0], slice.output.shape[2]), stride(strides[1], slice.output.shape[3])],
  dilations,
  pads: [slice.padTop, pads[1], slice.padBottom, pads[3]],
})

/** A step that is never made (an average over the plane has one of its size) must fit its field all the same. */
const stride = (step: number, results: number): number => (results === 1 ? Math.min(step, mostStride) : step)

function paddedShape([n, c, h, w]: Shape4, [top, left, bottom, right]: Pads): Shape4 {
  return [n, c, h + top + bottom, w + left + right]
}

const fits = (pads: Pads): boolean => pads.every((pad) => pad <= mostPadding)

/** Scratch that `fitPads` may take. */
export const padBytes = (input: Shape4, prec: Prec, { pads }: Windowed): number =>
  fits(pads) ? 0 : alignedBytes(paddedShape(input, pads), prec)

/** Padding beyond what a command can do becomes part of the operand. */
export function fitPads(
  input: Local,
  window: Window,
  fill: number,
  sink: KernelSink,
): { input: Local; window: Window } {
  if (fits(window.pads)) return { input, window }
  const [top, left] = window.pads
  const padded = scratchTensor(sink, paddedShape(input.shape, window.pads), input.prec, input.signed)
  const strides = alignedStrides(padded.shape, padded.prec)
  sink.emit(copy(padded.shape, padded, { constant: fill, prec: padded.prec, signed: padded.signed }))
  const address = padded.address + (top * strides.h + left) * precBytes[padded.prec]
  sink.emit(copy(input.shape, { ...padded, address, strides }, input))
  return { input: padded, window: { ...window, pads: [0, 0, 0, 0] } }
}
