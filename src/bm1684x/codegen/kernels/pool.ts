/** Pooling. */
import { alignedBytes, alignedStrides, type Shape4 } from '../../layout.js'
import { averagePool, binary, maxPool as maximum, requant, type Window } from '../commands.js'
import type { KernelSink, Local } from '../kernel.js'
import { define, scratchTensor } from './define.js'
import { inFloat32, widenedBytes } from './widen.js'
import { fitPads, padBytes, windowOf } from './windows.js'

/** Not larger than any value of the type: padding must not win. */
export function lowest({ prec, signed }: Local): number {
  switch (prec) {
    case 'fp32':
      return -(2 ** 128 - 2 ** 104)
    case 'bf16':
      return -(2 ** 128 - 2 ** 120)
    case 'fp16':
      return -65504
    default:
      return signed ? -128 : 0
  }
}

export const maxPool = define<'MaxPool'>({
  scratchBytes: ({ op }, [input]) => padBytes(input!, 'fp32', op),
  compute({ op }, slice, sink) {
    const padding = lowest(slice.inputs[0]!)
    const { input, window } = fitPads(slice.inputs[0]!, windowOf(op, slice), padding, sink)
    sink.emit(maximum(slice.output.shape, slice.output, input, padding, window))
  },
})

export const avgPoolInt = define<'AvgPoolInt'>({
  scratchBytes: ({ op }, [input], output) => alignedBytes(output, 'int32') + padBytes(input!, 'int8', op),
  compute({ op }, slice, sink) {
    const { output } = slice
    const { input, window } = fitPads(slice.inputs[0]!, windowOf(op, slice), 0, sink)
    const { multiplier, shift } = op.requant
    if (input.signed === output.signed && shift >= 0)
      return sink.emit(averagePool(output.shape, output, input, multiplier, shift, window))
    const sums = scratchTensor(sink, output.shape, 'int32')
    sink.emit(averagePool(output.shape, sums, input, 1, 0, window))
    sink.emit(requant(output.shape, output, sums, op.requant))
  },
})

/** The mean of a window, in fp32. Where the padding does not count, the rows and columns at the border are corrected. */
export const avgPool = define<'AvgPool'>({
  scratchBytes: ({ op }, [input], output) => widenedBytes(input!, output) + padBytes(input!, 'fp32', op),
  compute({ op }, slice, sink) {
    const { kernel, countIncludePad } = op
    const asked = windowOf(op, slice)
    const size = slice.inputs[0]!.shape
    const { input, window } = fitPads(slice.inputs[0]!, asked, 0, sink)
    inFloat32(input, slice.output, sink, (result, from) => {
      sink.emit(averagePool(result.shape, result, from, 1 / (kernel[0] * kernel[1]), 0, window))
      if (countIncludePad) return
      for (const axis of [0, 1] as const) correctBorder(result, axis, size[2 + axis]!, asked, sink)
    })
  },
})

/** Means along one axis, of `size` elements, in which padding was counted. */
function correctBorder(
  result: Local,
  axis: 0 | 1,
  size: number,
  { kernel, strides, pads }: Window,
  sink: KernelSink,
): void {
  const [n, c, h, w] = result.shape
  const steps = alignedStrides(result.shape, 'fp32')
  const line: Shape4 = axis === 0 ? [n, c, 1, w] : [n, c, h, 1]
  for (let at = 0; at < result.shape[2 + axis]!; at++) {
    const from = at * strides[axis] - pads[axis]
    const inside = Math.min(size, from + kernel[axis]) - Math.max(0, from)
    if (inside === kernel[axis]) continue
    const address = result.address + 4 * at * (axis === 0 ? steps.h : steps.w)
    const place = { ...result, address, strides: steps }
    sink.emit(binary('mul', line, place, place, { constant: kernel[axis] / inside, prec: 'fp32', signed: true }))
  }
}
