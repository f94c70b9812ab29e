/**
 * The first place of the largest value along rows, columns or channels. There is no command for it: where a value equals the maximum
 * stands its rank, counted from the end of the axis, elsewhere 0; the largest rank is that of the first one.
 */
import { QuantError } from '../../../errors.js'
import { lanes } from '../../chip.js'
import { alignedBytes, alignedStrides } from '../../layout.js'
import { binary, cast, equal, laneBroadcast, maxPool, swapChannelsAndColumns } from '../commands.js'
import { axisOf, define, scratchTensor } from './define.js'
import { number, reduced, swapped } from './exponential.js'
import { lowest } from './pool.js'
import { point } from './windows.js'

export const argMax = define<'ArgMax'>({
  /** length, length - 1, ... 1 */
  coefficients({ name, op: { length } }) {
    const ranks = Float32Array.from({ length }, (_, i) => length - i)
    const data = new Uint8Array(ranks.buffer)
    return [{ name, rows: 1, rowBytes: data.length, data }]
  },
  scratchBytes({ op, shape }, [input]) {
    const axis = axisOf(op.axis, shape.length)
    const inner = axis === 1 ? swapped(input!) : input!
    const ends = 2 * alignedBytes(reduced(inner, axis === 2), 'fp32')
    return 2 * alignedBytes(inner, 'fp32') + ends
  },
  compute({ op, name, shape }, { inputs: [input], output, coefficients: [address] }, sink) {
    const axis = axisOf(op.axis, shape.length)
    if (axis === 0)
      throw new QuantError('model', `${name} is an ArgMax over the batch, which is not compiled for the BM1684X`, {
        hint: 'end the network before this layer: model.outputs in quant.yaml',
      })
    const rows = axis === 2
    let x = input!
    if (axis === 1) {
      x = scratchTensor(sink, swapped(x.shape), x.prec, x.signed)
      sink.emit(swapChannelsAndColumns(x.shape, x.prec, x.address, input!.address))
    }
    const one = reduced(x.shape, rows)
    const largest = scratchTensor(sink, one, x.prec, x.signed)
    const found = scratchTensor(sink, x.shape, 'fp32')
    // What a comparison gives is not wider than what it compares. Our own copy of x may as well be overwritten.
    const same = x.prec === 'fp32' ? found : axis === 1 ? x : scratchTensor(sink, x.shape, x.prec, x.signed)
    const rank = axis === 1 ? scratchTensor(sink, one, 'fp32') : output
    const window = { ...point, kernel: rows ? ([op.length, 1] as const) : ([1, op.length] as const) }
    sink.emit(maxPool(one, largest, x, lowest(x), window))
    const strides = { ...alignedStrides(one, x.prec), ...(rows ? { h: 0 } : { w: 0 }) }
    sink.emit(equal(x.shape, same, x, { ...largest, strides }))
    if (x.prec !== 'fp32') sink.emit(cast(x.shape, found, same, 'halfEven'))
    sink.emit(laneBroadcast([1, lanes, 1, op.length], 'fp32', address!, address!))
    const ranks = {
      address: address!,
      prec: 'fp32',
      signed: true,
      strides: { n: 0, c: 0, h: +rows, w: +!rows },
    } as const
    sink.emit(binary('mul', x.shape, found, found, ranks))
    sink.emit(maxPool(one, rank, found, 0, window))
    sink.emit(binary('sub', one, rank, number(op.length), rank))
    if (axis === 1) sink.emit(swapChannelsAndColumns(output.shape, 'fp32', output.address, rank.address))
  },
})
