/** Commands whose 16-bit forms are too coarse: computed in fp32, a channel group at a time. */
import { lanes } from '../../chip.js'
import { alignedBytes, channelGroups, type Shape4 } from '../../layout.js'
import { cast } from '../commands.js'
import type { KernelSink, Local } from '../kernel.js'
import { part, scratchTensor } from './define.js'

/** What is worked on at a time. */
export const oneGroup = ([, c, h, w]: Shape4): Shape4 => [1, Math.min(c, lanes), h, w]

/** Scratch that `inFloat32` may take. */
export const widenedBytes = (input: Shape4, output: Shape4): number =>
  alignedBytes(oneGroup(input), 'fp32') + alignedBytes(oneGroup(output), 'fp32')

/**
 * Runs `compute` on fp32 tensors: on input and output themselves, or on copies of one channel group at a time, rounded once at the
 * end. Input and output have the same channels; `group` is the first channel group that is computed.
 */
export function inFloat32(
  input: Local,
  output: Local,
  sink: KernelSink,
  compute: (output: Local, input: Local, group: number) => void,
): void {
  if (input.prec === 'fp32') {
    compute(output, input, 0)
    return
  }
  const [n, c] = output.shape
  const wideInput = scratchTensor(sink, oneGroup(input.shape), 'fp32')
  const wideOutput = scratchTensor(sink, oneGroup(output.shape), 'fp32')
  for (let item = 0; item < n; item++)
    for (let group = 0; group < channelGroups(c); group++) {
      const channels = Math.min(lanes, c - group * lanes)
      const cut = (local: Local): Local => ({
        ...local,
        shape: [1, channels, local.shape[2], local.shape[3]],
      })
      const [x, y] = [cut(wideInput), cut(wideOutput)]
      sink.emit(cast(x.shape, x, part(input, item, group * lanes), 'halfEven'))
      compute(y, x, group)
      sink.emit(cast(y.shape, part(output, item, group * lanes), y, 'halfEven'))
    }
}
