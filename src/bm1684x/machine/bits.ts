/** Copies, bit operations and shifts of elements. */
import { eu } from '../isa/forms.js'
import { type Elementwise, eachPair } from './arith.js'
import { eachRow, rawView, refuse, sizeOf } from './memory.js'
import { roundShift } from './numbers.js'

/** Elements as they are; layouts may differ. */
export function copy({ local, shape, result, a, fields }: Elementwise): void {
  if (sizeOf(a.prec) !== sizeOf(result.prec)) throw refuse('a copy does not change the width')
  const view = rawView(local, result.prec)
  const step = result.strides[3]
  if ('constant' in a) {
    const value = fields.opd0_addr ?? 0
    eachRow(shape, [result], ([to], count) => {
      for (let i = 0; i < count; i++) view[to! + i * step] = value
    })
    return
  }
  const by = a.strides[3]
  eachRow(shape, [result, a], ([to, from], count) => {
    if (step === 1 && by === 1) view.copyWithin(to!, from!, from! + count)
    else for (let i = 0; i < count; i++) view[to! + i * step] = view[from! + i * by]!
  })
}

/** Integers only. Shifts: to the left where the amount is positive, to the right (rounded) where it is negative. */
export function bitwise(op: Elementwise): void {
  const { fields, a } = op
  const mode = fields.opd2_n_str ?? 0
  const width = sizeOf(a.prec) * 8
  const all = 2 ** width - 1
  eachPair(op, (x, y, count) => {
    switch (fields.tsk_eu_typ) {
      case eu.ar.not:
        for (let i = 0; i < count; i++) x[i] = ~x[i]!
        return
      case eu.ar.and:
        for (let i = 0; i < count; i++) x[i] = x[i]! & y[i]!
        return
      case eu.ar.or:
        for (let i = 0; i < count; i++) x[i] = x[i]! | y[i]!
        return
      case eu.ar.xor:
        for (let i = 0; i < count; i++) x[i] = x[i]! ^ y[i]!
        return
      case eu.ar.ashift:
        for (let i = 0; i < count; i++) x[i] = moved(x[i]!, y[i]!)
        return
      case eu.ar.logicShift:
        for (let i = 0; i < count; i++) x[i] = moved(unsigned(x[i]!), y[i]!)
        return
      default:
        for (let i = 0; i < count; i++) {
          const by = ((y[i]! % width) + width) % width
          const bits = unsigned(x[i]!)
          x[i] = ((bits * 2 ** by) % (all + 1)) + Math.floor(bits / 2 ** (width - by))
        }
    }
  })

  function unsigned(value: number): number {
    return value < 0 ? value + all + 1 : value
  }

  function moved(value: number, by: number): number {
    if (by >= 0) return by >= 32 ? 0 : Math.imul(value, 2 ** by)
    return roundShift(value, -by, mode)
  }
}
