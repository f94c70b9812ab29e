/** Layers that move data within local memory, the same for every type. */
import { QuantError } from '../../../errors.js'
import { lanes } from '../../chip.js'
import { precBytes } from '../../isa/forms.js'
import { alignedStrides, type Shape4 } from '../../layout.js'
import { copy, inLane, laneCopy } from '../commands.js'
import type { KernelSink, Local } from '../kernel.js'
import { axisOf, define, part } from './define.js'
import { activate } from './float.js'

/** Row y of the result is row y / scaleH of the operand, each element scaleW times: a copy for each place in the repeated square. */
export const upsample = define<'Upsample'>({
  compute({ op }, { inputs: [input], output, inputRows, outputRow }, sink) {
    const { scaleH, scaleW } = op
    const x = input!
    const bytes = precBytes[output.prec]
    const from = alignedStrides(x.shape, x.prec)
    const to = alignedStrides(output.shape, output.prec)
    const [n, c, rows] = output.shape
    for (let y = 0; y < Math.min(scaleH, rows); y++) {
      // A slice may begin in the middle of a square.
      const row = Math.floor((outputRow + y) / scaleH) - inputRows[0]!
      const shape: Shape4 = [n, c, Math.ceil((rows - y) / scaleH), x.shape[3]]
      const source = { ...x, address: x.address + row * from.h * bytes, strides: from }
      for (let column = 0; column < scaleW; column++) {
        const address = output.address + (y * to.h + column) * bytes
        sink.emit(copy(shape, { ...output, address, strides: { ...to, h: scaleH * to.h, w: scaleW } }, source))
      }
    }
  },
})

/**
 * Zeros everywhere, then the operand's pixels at their places. With as many operands as there are places in a square, the pixels of
 * each go to its own place, and there are no zeros.
 */
export const spread = define<'Spread'>({
  compute({ op }, { inputs, output, inputRows, outputRow }, sink) {
    const { scaleH, scaleW } = op
    const bytes = precBytes[output.prec]
    const to = alignedStrides(output.shape, output.prec)
    const { prec, signed } = output
    const [n, c, rows] = output.shape
    if (inputs.length < scaleH * scaleW) sink.emit(copy(output.shape, output, { constant: 0, prec, signed }))
    for (const [index, x] of inputs.entries()) {
      const [y, column] = [Math.floor(index / scaleW), index % scaleW]
      const from = alignedStrides(x.shape, x.prec)
      // The first row of this slice that has such pixels, and which row of the operand they are.
      const source = Math.ceil((outputRow - y) / scaleH)
      const first = source * scaleH + y - outputRow
      const count = Math.ceil((rows - first) / scaleH)
      if (count <= 0) continue
      const address = output.address + (first * to.h + column) * bytes
      const place = { ...output, address, strides: { ...to, h: scaleH * to.h, w: scaleW } }
      const pixels = { ...x, address: x.address + (source - inputRows[index]!) * from.h * bytes, strides: from }
      sink.emit(copy([n, c, count, x.shape[3]], place, pixels))
    }
  },
})

/**
 * Parts one behind the other. Along channels, a part that does not begin at a multiple of 64 goes to other lanes. (Without relu the
 * parts are stored at their places in global memory, and nothing is left to do here.)
 */
export const concat = define<'Concat'>({
  compute({ op, name, shape, inputs: names }, { inputs, output }, sink) {
    if (inputs.length < names.length)
      throw new QuantError('model', `${name} joins a constant, which is not compiled for the BM1684X`, {
        hint: 'end the network before this layer: model.outputs in quant.yaml',
      })
    const axis = axisOf(op.axis, shape.length)
    let at = 0
    for (const input of inputs) {
      put(input, output, axis, at, sink)
      at += input.shape[axis]!
    }
    activate(op, output, sink)
  },
})

function put(input: Local, output: Local, axis: number, at: number, sink: KernelSink): void {
  const strides = alignedStrides(output.shape, output.prec)
  const [n, c, h, w] = input.shape
  if (axis === 1) {
    const lane = at % lanes
    for (let item = 0; item < n; item++) {
      const to = part(output, item, at - lane)
      const from = part(input, item)
      if (lane === 0) sink.emit(copy([1, c, h, w], to, from))
      else sink.emit(laneCopy([1, c, h, w], output.prec, inLane(lane, to.address), from.address))
    }
    return
  }
  const elements = at * [strides.n, 0, strides.h, strides.w][axis]!
  sink.emit(
    copy(input.shape, { ...output, address: output.address + elements * precBytes[output.prec], strides }, input),
  )
}
