/** Leads the window loops of `planes.ts` over the channels of a command. */
import { roundUp } from '../chip.js'
import { prec } from '../isa/forms.js'
import type { LoopName, Loops } from './loops.js'
import { elementAt, type Operand, type Shape, sizeOf } from './memory.js'
import { vectorElements, workBase } from './rows.js'
import type { Window } from './window.js'

export type WindowLoop = Extract<LoopName, `largest_${string}` | `weighted_${string}`>

/** What a command says about its windows; nothing is inserted between input elements. */
export interface Frame {
  readonly window: Window
  readonly input: Operand
  readonly result: Operand
  /** Of the input. */
  readonly shape: Shape
  /** Height and width of the result. */
  readonly size: readonly [number, number]
  /** Bits of a padding element. */
  readonly pad: number
}

/**
 * @param given for each channel the weights in the order of taps, and what the sums begin with: float32 where the input is, otherwise
 *   whole numbers
 */
export function leadWindows(
  { functions, memory }: Loops,
  name: WindowLoop,
  { window, input, result, shape: [n, c, h, w], size: [oh, ow], pad }: Frame,
  given: (channel: number) => { weights: Float64Array | undefined; start: number },
): void {
  const size = sizeOf(input.prec)
  const single = input.prec === prec.fp32
  const [kh, kw] = window.kernel
  const [eh, ew] = window.extent
  const [up, left] = window.pads
  const resultSize = sizeOf(result.prec)
  const weightsAt = workBase
  const room = roundUp(weightsAt + kh * kw * 4, 16)
  const padded = roundUp(room + ow * 4 + 64, 16)
  // Reads go beyond the last element by two vectors and less.
  const buffer = memory.reserve(padded + eh * ew * size + 64)
  const weightBits = single ? new Float32Array(buffer, weightsAt, kh * kw) : new Int32Array(buffer, weightsAt, kh * kw)
  const startBits = new Int32Array(1)
  const startWord = single ? new Float32Array(startBits.buffer) : startBits
  // A float32 input is flushed on the way, so it always moves.
  const inPlace = !single && eh === h && ew === w
  if (!inPlace) fill()
  for (let image = 0; image < n; image++)
    for (let channel = 0; channel < c; channel++) {
      const from = elementAt(input, image, channel) * size
      if (single) for (let y = 0; y < h; y++) functions.flush_f32(rowAt(y), w, from + y * w * 4, flushStep)
      else if (!inPlace) functions.copyRows(rowAt(0), from, h, w * size, ew * size, w * size)
      const { weights, start } = given(channel)
      if (weights) weightBits.set(weights)
      startWord[0] = start
      functions[name](
        inPlace ? from : padded,
        elementAt(result, image, channel) * resultSize,
        ...[oh, ow, window.strides[0] * ew * size, kh, kw],
        ...[window.dilations[0] * ew * size, window.dilations[1] * size, weightsAt, startBits[0]!, room],
      )
    }

  function rowAt(y: number): number {
    return padded + ((up + y) * ew + left) * size
  }

  function fill(): void {
    if (size === 1) new Uint8Array(buffer, padded, eh * ew).fill(pad)
    else if (size === 2) new Uint16Array(buffer, padded, eh * ew).fill(pad)
    else new Uint32Array(buffer, padded, eh * ew).fill(pad)
  }
}

const flushStep = vectorElements.flush_f32 * 4
