/** Elementwise arithmetic (tsk_typ 3). */
import { eu, type InstructionOf, layoutCode, prec, rounding } from '../isa/forms.js'
import { bitwise, copy } from './bits.js'
import { cast } from './cast.js'
import { divide } from './divide.js'
import type { Loops } from './loops.js'
import {
  eachRow,
  elementAt,
  immediate,
  isFloat,
  load,
  type Memory,
  type Operand,
  operandAt,
  perChannel,
  rangeOf,
  refuse,
  rowBuffer,
  type Shape,
  type Space,
  type Strides,
  sizeOf,
  store,
} from './memory.js'
import { clampLine, flush, rounder, roundShift, roundShiftBig } from './numbers.js'
import { vectorArith } from './vector.js'

type Fields = InstructionOf<'ar'>['fields']

/** An input: in local memory, or one number for all elements. */
export type Source = Operand | { readonly constant: number; readonly prec: number; readonly signed: boolean }

export interface Elementwise {
  readonly local: Space
  readonly loops: Loops
  readonly fields: Fields
  readonly shape: Shape
  readonly result: Operand
  readonly a: Source
  /** Absent where the operation takes one input. */
  readonly b: Source | undefined
  /** Amount of the trailing shift of a channel, positive to the left; 0 without one. */
  readonly shiftOf: (channel: number) => number
}

export function arith({ local, loops }: Memory, { fields }: InstructionOf<'ar'>): void {
  const unit = fields.tsk_eu_typ ?? 0
  const shape: Shape = [fields.res0_n ?? 0, fields.res0_c ?? 0, fields.res0_h ?? 0, fields.res0_w ?? 0]
  const single = ([eu.ar.not, eu.ar.cast, eu.ar.copy, eu.ar.abs] as number[]).includes(unit)
  const a = source(fields, shape, 0)
  const b = single ? undefined : source(fields, shape, 1)
  const difference = unit === eu.ar.sub || unit === eu.ar.subs
  const signed = unit === eu.ar.cast ? fields.opd2_sign === 1 : difference || a.signed || (b?.signed ?? false)
  const result = operandAt(fields.res0_addr ?? 0, shape, fields.res0_prec ?? 0, signed, layoutOf(fields, 'res0'))
  for (const one of [a, b])
    if (one && 'lane' in one && one.lane !== result.lane) throw refuse('operands begin in different lanes')
  const op: Elementwise = {
    local,
    loops,
    fields,
    shape,
    result,
    a,
    b,
    shiftOf: shifts(local, fields, shape, result.lane),
  }
  if (vectorArith(op)) return
  if (unit === eu.ar.copy) copy(op)
  else if (unit === eu.ar.cast) cast(op)
  else if (unit === eu.ar.div) divide(op)
  else if (bitUnits.includes(unit)) bitwise(op)
  else if (isFloat(result.prec)) floats(op)
  else integers(op)
}

const bitUnits: number[] = [eu.ar.not, eu.ar.and, eu.ar.or, eu.ar.xor, eu.ar.logicShift, eu.ar.ashift, eu.ar.rotate]

function source(fields: Fields, shape: Shape, which: 0 | 1): Source {
  const type = (which === 0 ? fields.opd0_prec : fields.opd1_prec) ?? 0
  const signed = (which === 0 ? fields.opd0_sign : fields.opd1_sign) === 1
  const address = (which === 0 ? fields.opd0_addr : fields.opd1_addr) ?? 0
  if ((which === 0 ? fields.opd0_const : fields.opd1_const) === 1)
    return { constant: immediate(address, type, signed), prec: type, signed }
  return operandAt(address, shape, type, signed, layoutOf(fields, which === 0 ? 'opd0' : 'opd1'))
}

function layoutOf(fields: Fields, name: 'res0' | 'opd0' | 'opd1'): Strides | 'aligned' {
  const layout = fields[`${name}_str`] ?? 0
  if (layout === layoutCode.aligned) return 'aligned'
  if (layout !== layoutCode.free) throw refuse(`layout ${layout} is not taken by arithmetic`)
  const [n, c, h, w] = [
    fields[`${name}_n_str`] ?? 0,
    fields[`${name}_c_str`] ?? 0,
    fields[`${name}_h_str`] ?? 0,
    fields[`${name}_w_str`] ?? 0,
  ]
  // The upper bits of the n and c strides stand above those of h and w.
  return [n + (h >> 18) * 65536, c + (w >> 18) * 65536, h & 0x3ffff, w & 0x3ffff]
}

function shifts(local: Space, fields: Fields, shape: Shape, lane: number): (channel: number) => number {
  if (fields.tsk_opd_num !== 3 || fields.tsk_eu_typ === eu.ar.mac) return () => 0
  if (fields.opd2_const === 1) {
    const amount = immediate(fields.opd2_addr ?? 0, prec.int8, true)
    return () => amount
  }
  const vector = operandAt(fields.opd2_addr ?? 0, [1, shape[1], 1, 1], prec.int8, true, perChannel)
  if (vector.lane !== lane) throw refuse('operand 2 and the result begin in different lanes')
  return (channel) => local.i8[elementAt(vector, 0, channel)]!
}

/** Calls `body` with the values of both inputs in `x` and `y`; what it leaves in `x` is stored. */
export function eachPair(
  { local, shape, result, a, b }: Elementwise,
  body: (x: Float64Array, y: Float64Array, count: number, channel: number, at: number) => void,
): void {
  const x = rowBuffer(0, shape[2] * shape[3])
  const y = rowBuffer(1, shape[2] * shape[3])
  if (b && 'constant' in b) y.fill(b.constant, 0, shape[2] * shape[3])
  const inputs = [a, b].filter((one): one is Operand => one !== undefined && 'lane' in one)
  eachRow(shape, [result, ...inputs], (at, count, channel) => {
    let next = 1
    if ('constant' in a) x.fill(a.constant, 0, count)
    else load(local, a.prec, a.signed, at[next++]!, a.strides[3], count, x)
    if (b && 'lane' in b) load(local, b.prec, b.signed, at[next]!, b.strides[3], count, y)
    body(x, y, count, channel, at[0]!)
    store(local, result.prec, at[0]!, result.strides[3], count, x)
  })
}

function floats(op: Elementwise): void {
  const { local, fields, a, b, result } = op
  const fp32 = a.prec === prec.fp32
  const round = rounder(a.prec)
  const old = new Float64Array(fields.tsk_eu_typ === eu.ar.mac ? op.shape[2] * op.shape[3] : 0)
  const chosen = immediate(fields.opd2_addr ?? 0, result.prec, false)
  if (b && b.prec !== a.prec) throw refuse('both inputs of float arithmetic have one type')
  eachPair(op, (x, y, count, _, at) => {
    if (fp32) {
      flush(x, count)
      flush(y, count)
    }
    switch (fields.tsk_eu_typ) {
      case eu.ar.add:
        addLine(x, y, count)
        break
      case eu.ar.sub:
        subtractLine(x, y, count)
        break
      case eu.ar.mul:
        multiplyLine(x, y, count)
        break
      case eu.ar.fsubabs:
        for (let i = 0; i < count; i++) x[i] = Math.abs(x[i]! - y[i]!)
        break
      case eu.ar.abs:
        for (let i = 0; i < count; i++) x[i] = Math.abs(x[i]!)
        break
      case eu.ar.mac:
        load(local, result.prec, true, at, result.strides[3], count, old)
        for (let i = 0; i < count; i++) x[i] = old[i]! + round(x[i]! * y[i]!)
        break
      default:
        compare(fields.tsk_eu_typ ?? 0, x, y, count, chosen)
    }
    if (result.prec === prec.fp32) flush(x, count)
  })
}

/** What floats and integers have in common. */
function compare(unit: number, x: Float64Array, y: Float64Array, count: number, chosen: number): void {
  switch (unit) {
    case eu.ar.max:
      for (let i = 0; i < count; i++) x[i] = x[i]! > y[i]! ? x[i]! : y[i]!
      return
    case eu.ar.min:
      for (let i = 0; i < count; i++) x[i] = x[i]! < y[i]! ? x[i]! : y[i]!
      return
    case eu.ar.selectGt:
      for (let i = 0; i < count; i++) x[i] = x[i]! > y[i]! ? chosen : 0
      return
    case eu.ar.selectEq:
      for (let i = 0; i < count; i++) x[i] = x[i]! === y[i]! ? chosen : 0
      return
    case eu.ar.selectLt:
      for (let i = 0; i < count; i++) x[i] = x[i]! < y[i]! ? chosen : 0
      return
    default:
      throw refuse(`arithmetic ${unit} is not modelled for this type`)
  }
}

/** Exact, then shifted, then saturated (adds, subs, muls) or cut to the low bits (add, sub, mul). */
function integers(op: Elementwise): void {
  const { local, fields, a, b, result, shiftOf } = op
  const unit = fields.tsk_eu_typ ?? 0
  const mode = fields.opd2_n_str ?? 0
  const [least, most] = rangeOf(result.prec, result.signed)
  const { add, sub, mul, adds, subs, muls, mulDHR, mac, abs } = eu.ar
  const saturates = unit === adds || unit === subs || unit === muls || unit === mulDHR || unit === mac
  const chosen = immediate(fields.opd2_addr ?? 0, result.prec, false)
  const old = new Float64Array(unit === mac ? op.shape[2] * op.shape[3] : 0)
  const productBits = b ? 8 * (sizeOf(a.prec) + sizeOf(b.prec)) : 0
  eachPair(op, (x, y, count, channel, at) => {
    switch (unit) {
      case add:
      case adds:
        addLine(x, y, count)
        shiftLine(x, count, shiftOf(channel), mode)
        break
      case sub:
      case subs:
        subtractLine(x, y, count)
        shiftLine(x, count, shiftOf(channel), mode)
        break
      case mul:
      case muls:
      case mulDHR: {
        const amount = unit === mulDHR ? 1 - 8 * sizeOf(a.prec) : shiftOf(channel)
        if (productBits + Math.max(0, amount) <= 53) {
          multiplyLine(x, y, count)
          shiftLine(x, count, amount, mode)
        } else for (let i = 0; i < count; i++) x[i] = bigProduct(x[i]!, y[i]!, amount, mode, saturates)
        break
      }
      case abs:
        for (let i = 0; i < count; i++) x[i] = Math.abs(x[i]!)
        break
      case mac: {
        const left = (fields.opd2_addr ?? 0) & 0xff
        const right = ((fields.opd2_addr ?? 0) >>> 8) & 0xff
        load(local, result.prec, result.signed, at, result.strides[3], count, old)
        for (let i = 0; i < count; i++) x[i] = old[i]! * 2 ** left + x[i]! * y[i]!
        shiftLine(x, count, -right, mode)
        break
      }
      default:
        if (b && b.prec !== a.prec) throw refuse('both inputs have to have one type')
        compare(unit, x, y, count, chosen)
    }
    if (saturates) clampLine(x, count, least, most)
  })
}

function addLine(x: Float64Array, y: Float64Array, count: number): void {
  for (let i = 0; i < count; i++) x[i] = x[i]! + y[i]!
}

function subtractLine(x: Float64Array, y: Float64Array, count: number): void {
  for (let i = 0; i < count; i++) x[i] = x[i]! - y[i]!
}

function multiplyLine(x: Float64Array, y: Float64Array, count: number): void {
  for (let i = 0; i < count; i++) x[i] = x[i]! * y[i]!
}

/** Whole numbers below 2^53, to the left where `amount` is positive, to the right, rounded, where it is negative. */
function shiftLine(x: Float64Array, count: number, amount: number, mode: number): void {
  if (amount === 0) return
  const unit = 2 ** amount
  const half = 0.5 / unit
  if (amount > 0) for (let i = 0; i < count; i++) x[i] = x[i]! * unit
  else if (mode === rounding.halfUp && amount > -50)
    for (let i = 0; i < count; i++) x[i] = Math.floor((x[i]! + half) * unit)
  else for (let i = 0; i < count; i++) x[i] = roundShift(x[i]!, -amount, mode)
}

/** A shifted product of 32-bit numbers; cut to its low 32 bits unless it is to be saturated. */
function bigProduct(x: number, y: number, amount: number, mode: number, saturates: boolean): number {
  const exact = roundShiftBig(BigInt(x) * BigInt(y), -amount, mode)
  return Number(saturates ? exact : BigInt.asIntN(32, exact))
}
