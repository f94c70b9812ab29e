/** Special functions (tsk_typ 9), fused multiply-add (10) and compare-select (13). */
import { eu, type InstructionOf, prec } from '../isa/forms.js'
import { reciprocalRoot } from './divide.js'
import {
  eachRow,
  elementAt,
  immediate,
  isFloat,
  load,
  type Memory,
  operandAt,
  perChannel,
  rawView,
  refuse,
  type Shape,
  store,
} from './memory.js'
import { flush, rounder } from './numbers.js'

/** taylor by Horner's rule (both kinds), norm, rsqrt; every step is rounded to the element type. */
export function specialFunction({ local }: Memory, { fields }: InstructionOf<'sfu'>): void {
  const unit = fields.tsk_eu_typ ?? 0
  const type = fields.opd0_prec ?? 0
  const shape: Shape = [fields.res0_n ?? 0, fields.res0_c ?? 0, fields.res0_h ?? 0, fields.res0_w ?? 0]
  const input = operandAt(fields.opd0_addr ?? 0, shape, type, true, 'aligned')
  const result = operandAt(fields.res0_addr ?? 0, shape, fields.res0_prec ?? 0, true, 'aligned')
  if (input.lane !== result.lane) throw refuse('input and result begin in different lanes')
  if (!isFloat(type)) throw refuse('special functions take floats')
  const terms = fields.opd1_n ?? 0
  const steps = ((fields.opd2_n_str ?? 0) & 3) + 1
  const taylor = unit === eu.sfu.taylor || unit === eu.sfu.taylor4x
  const table = taylor ? operandAt(fields.opd1_addr ?? 0, [1, 64, 1, terms], type, true, 'aligned') : undefined
  const coefficients = new Float64Array(terms)
  const line = new Float64Array(shape[2] * shape[3])
  const round = rounder(type)
  eachRow(shape, [result, input], ([to, from], count, channel) => {
    load(local, type, true, from!, 1, count, line)
    if (type === prec.fp32) flush(line, count)
    if (table) {
      load(local, type, true, elementAt(table, 0, (input.lane + channel) % 64), 1, terms, coefficients)
      for (let i = 0; i < count; i++) {
        let sum = coefficients[terms - 1]!
        for (let k = terms - 2; k >= 0; k--) sum = round(round(sum * line[i]!) + coefficients[k]!)
        line[i] = sum
      }
    } else if (unit === eu.sfu.rsqrt) for (let i = 0; i < count; i++) line[i] = reciprocalRoot(line[i]!, steps)
    else if (unit === eu.sfu.norm) for (let i = 0; i < count; i++) line[i] = nearestPower(line[i]!)
    else throw refuse(`special function ${unit} is not modelled`)
    store(local, result.prec, to!, 1, count, line)
  })

  /** By exponent and fraction, as they stand in the bits: a positive number goes up where its fraction is above a third. */
  function nearestPower(value: number): number {
    const bias = type === prec.fp16 ? 15 : 127
    const size = Math.abs(value)
    let exponent = Math.floor(Math.log2(size))
    if (2 ** exponent > size) exponent--
    const subnormal = exponent <= -bias
    const fraction = subnormal ? size / 2 ** (1 - bias) : size / 2 ** exponent - 1
    const up = value > 0 && fraction > round(4 / 3) - 1 ? 1 : 0
    const biased = (subnormal ? 0 : exponent + bias) + up
    if (!isFloat(result.prec)) return biased
    return (value < 0 ? -1 : 1) * (biased === 0 ? 0 : 2 ** (biased - bias))
  }
}

/** A * B + C, (A + B)^2, (A - B)^2 with B and C per channel; floats. */
export function linear({ local }: Memory, { fields }: InstructionOf<'lin'>): void {
  const type = fields.res0_prec ?? 0
  if (!isFloat(type)) throw refuse('only floats')
  const shape: Shape = [fields.res0_n ?? 0, fields.res0_c ?? 0, fields.res0_h ?? 0, fields.res0_w ?? 0]
  const result = operandAt(fields.res0_addr ?? 0, shape, type, true, 'aligned')
  const input = operandAt(fields.opd0_addr ?? 0, shape, type, true, 'aligned')
  const b = channelValues(fields.opd1_addr ?? 0, fields.opd1_const === 1)
  const mac = fields.tsk_eu_typ === eu.lin.mac
  const c = mac ? channelValues(fields.opd2_addr ?? 0, fields.opd2_const === 1) : () => 0
  const line = new Float64Array(shape[2] * shape[3])
  const round = rounder(type)
  eachRow(shape, [result, input], ([to, from], count, channel) => {
    load(local, type, true, from!, 1, count, line)
    if (type === prec.fp32) flush(line, count)
    const [second, third] = [b(channel), c(channel)]
    for (let i = 0; i < count; i++) {
      const x = line[i]!
      if (mac) line[i] = round(x * second) + third
      else line[i] = round(fields.tsk_eu_typ === eu.lin.squareSum ? x + second : x - second) ** 2
    }
    store(local, type, to!, 1, count, line)
  })

  function channelValues(address: number, constant: boolean): (channel: number) => number {
    if (constant) return () => immediate(address, type, true)
    const vector = operandAt(address, [1, shape[1], 1, 1], type, true, perChannel)
    if (vector.lane !== result.lane) throw refuse('operands begin in different lanes')
    const value = new Float64Array(1)
    return (channel) => {
      load(local, type, true, elementAt(vector, 0, channel), 1, 1, value)
      return value[0]!
    }
  }
}

/** res0 = A ? B : with C and D; 22 and 25 also give the larger or smaller of A and B. */
export function compareSelect({ local }: Memory, { fields }: InstructionOf<'cmp'>): void {
  const unit = fields.tsk_eu_typ ?? 0
  const { gtAndSelGt, selGt, selEq, ltAndSelLt, selLt } = eu.cmp
  if (![gtAndSelGt, selGt, selEq, ltAndSelLt, selLt].some((known) => known === unit))
    throw refuse(`comparison ${unit} does not exist`)
  const shape: Shape = [fields.res0_n ?? 0, fields.res0_c ?? 0, fields.res0_h ?? 0, fields.res0_w ?? 0]
  const type = fields.opd0_prec ?? 0
  const signed = fields.opd0_sign === 1
  const chosenType = fields.opd2_prec ?? 0
  const both = unit === gtAndSelGt || unit === ltAndSelLt
  const single = (layout: number | undefined) => (layout === 3 ? ([0, 0, 0, 0] as const) : 'aligned')
  const at = (address: number | undefined, code: number, layout?: number) =>
    operandAt(address ?? 0, shape, code, signed, single(layout))
  const selected = at(both ? fields.res1_addr : fields.res0_addr, chosenType)
  const extreme = both ? at(fields.res0_addr, type) : selected
  const a = fields.opd0_const === 1 ? undefined : at(fields.opd0_addr, type, fields.opd0_str)
  const b = fields.opd1_const === 1 ? undefined : at(fields.opd1_addr, type, fields.opd1_str)
  const c = fields.opd2_const === 1 ? undefined : at(fields.opd2_addr, chosenType)
  const d = fields.opd3_const === 1 ? undefined : at(fields.opd3_addr, chosenType)
  const operands = [a, b, c, d].filter((one) => one !== undefined)
  if (operands.some(({ lane }) => lane !== selected.lane)) throw refuse('operands begin in different lanes')
  const view = rawView(local, chosenType)
  const length = shape[2] * shape[3]
  const [x, y, most] = [new Float64Array(length), new Float64Array(length), new Float64Array(both ? length : 0)]
  if (!a) x.fill(immediate(fields.opd0_addr ?? 0, type, signed))
  if (!b) y.fill(immediate(fields.opd1_addr ?? 0, type, signed))
  const chosen = new Uint32Array(length)
  eachRow(shape, [selected, extreme, ...operands], (places, count) => {
    let next = 2
    if (a) load(local, type, signed, places[next++]!, a.strides[3], count, x)
    if (b) load(local, type, signed, places[next++]!, b.strides[3], count, y)
    const cAt = c ? places[next++]! : -1
    const dAt = d ? places[next++]! : -1
    if (type === prec.fp32) for (const line of [x, y]) flush(line, count)
    for (let i = 0; i < count; i++) {
      const [p, q] = [x[i]!, y[i]!]
      const yes = unit === selEq ? p === q : unit === selGt || unit === gtAndSelGt ? p > q : p < q
      if (both) most[i] = yes ? p : q
      chosen[i] = yes ? (c ? view[cAt + i]! : (fields.opd2_addr ?? 0)) : d ? view[dAt + i]! : (fields.opd3_addr ?? 0)
    }
    if (both) store(local, type, places[1]!, 1, count, most)
    const to = places[0]!
    for (let i = 0; i < count; i++) view[to + i] = chosen[i]!
  })
}
