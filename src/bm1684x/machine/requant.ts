/** Requantisation and dequantisation (tsk_typ 4). */
import { vectorBytes } from '../chip.js'
import { eu, type InstructionOf, prec, rounding } from '../isa/forms.js'
import {
  eachRow,
  elementAt,
  immediate,
  load,
  type Memory,
  operandAt,
  rangeOf,
  refuse,
  rowBuffer,
  type Shape,
  type Strides,
  store,
} from './memory.js'
import { clampLine, f32FromBits, f32Of, flush, roundShift, roundShiftBig, roundWhole } from './numbers.js'
import { type Given, isVector, leadRows } from './vector.js'

/** The three words of a record, in the order of the table: see `requant`. */
type Words = readonly [number, number, number]

/**
 * rq1 {multiplier, shift, zero}: sat(round(x * multiplier * 2^shift) + zero). dq1 {zero, multiplier, shift}: the same with the zero
 * point taken off before. rq0 {scale, offset}: sat(round(float(x) * scale + offset)), each step in float32. dq0 {zero, scale}.
 * Records: one per channel in slots of 64 bytes, or one in the command. Zero points have 16 bits.
 */
export function requant({ local, loops }: Memory, { fields }: InstructionOf<'rqdq'>): void {
  const unit = fields.tsk_eu_typ ?? -1
  const { rq0, rq1, dq0, dq1 } = eu.rqdq
  if (![rq0, rq1, dq0, dq1].some((known) => known === unit)) throw refuse(`requantisation ${unit} is not modelled`)
  const shape: Shape = [fields.res0_n ?? 0, fields.res0_c ?? 0, fields.res0_h ?? 0, fields.res0_w ?? 0]
  // 32-bit integers are signed, whatever the sign bits say.
  const signedAs = (type: number | undefined, sign: number | undefined) => sign === 1 || type === prec.int32
  const inputSigned = signedAs(fields.opd0_prec, fields.opd0_sign)
  const signed = signedAs(fields.res0_prec, fields.opd2_sign)
  const input = operandAt(fields.opd0_addr ?? 0, shape, fields.opd0_prec ?? 0, inputSigned, 'aligned')
  const result = operandAt(fields.res0_addr ?? 0, shape, fields.res0_prec ?? 0, signed, 'aligned')
  if (input.lane !== result.lane) throw refuse('input and result begin in different lanes')
  const inputs = unit === rq0 || unit === rq1 ? [prec.int16, prec.int32] : [prec.int8, prec.int16]
  if (!inputs.some((type) => type === input.prec)) throw refuse(`an input of type ${input.prec} is not taken`)
  const [least, most] = unit === dq0 ? [0, 0] : rangeOf(result.prec, signed)
  const zeroOf = (word: number, zeroSigned: boolean) => immediate(word, prec.int16, zeroSigned)
  const wordsOf = fields.opd1_const === 1 ? immediateWords() : tableWords()
  const mode = (fields.opd2_n_str ?? 0) & 7
  const toWhole = (fields.opd2_n_str ?? 0) >> 3
  const line = rowBuffer(0, shape[2] * shape[3])
  const operands = [shape, result, [input]] as const
  const name = unit === rq1 && mode === rounding.halfUp && input.prec === prec.int32 ? requantLoop : undefined
  if (unit === dq0 && input.prec === prec.int8 && isVector(...operands))
    leadRows({ local, loops }, input.signed ? 'dequant_s8' : 'dequant_u8', operands, scale, general)
  else if (name !== undefined && isVector(...operands))
    leadRows({ local, loops }, name(result.prec, signed), operands, multiplier, general)
  else eachRow(shape, [result, input], general)

  function general([to, from]: readonly number[], length: number, channel: number): void {
    load(local, input.prec, input.signed, from!, 1, length, line)
    const words = wordsOf(channel)
    if (unit === rq1) {
      multiplyShift(line, length, words[0], -words[1], mode)
      saturate(length, zeroOf(words[2], fields.opd2_sign === 1))
    } else if (unit === dq1) {
      takeOff(length, zeroOf(words[0], inputSigned))
      multiplyShift(line, length, words[1], -words[2], mode)
      saturate(length, 0)
    } else if (unit === rq0) realScale(length, f32FromBits(words[0]), f32FromBits(words[1]))
    else {
      takeOff(length, zeroOf(words[0], inputSigned))
      const factor = f32FromBits(words[1])
      for (let i = 0; i < length; i++) line[i] = line[i]! * factor
      flush(line, length)
    }
    store(local, result.prec, to!, 1, length, line)
  }

  /** What the loop for rq1 is given. It shifts by 32 and more; a smaller shift goes into the multiplier if it may. */
  function multiplier(channel: number): Given | undefined {
    const [factor, amount, zero] = wordsOf(channel)
    const shift = Math.max(32, -amount)
    const raised = factor * 2 ** (shift + amount)
    if (shift > 62 || Math.abs(raised) >= 2 ** 31) return undefined
    return [raised, shift - 32, zeroOf(zero, fields.opd2_sign === 1), shift - 1]
  }

  /** What the loop for dq0 is given. It flushes nothing. */
  function scale(channel: number): Given | undefined {
    const [zero, factor] = wordsOf(channel)
    const size = f32FromBits(factor)
    return size > 2 ** -100 && size < 2 ** 100 ? [zeroOf(zero, inputSigned), factor] : undefined
  }

  function takeOff(count: number, zero: number): void {
    if (zero !== 0) for (let i = 0; i < count; i++) line[i] = line[i]! - zero
  }

  function saturate(count: number, zero: number): void {
    if (zero !== 0) for (let i = 0; i < count; i++) line[i] = line[i]! + zero
    clampLine(line, count, least, most)
  }

  function realScale(count: number, factor: number, offset: number): void {
    for (let i = 0; i < count; i++) {
      const real = Math.fround(Math.fround(f32Of(line[i]!, mode) * factor) + offset)
      line[i] = Number.isNaN(real) ? 0 : Math.min(most, Math.max(least, roundWhole(real, toWhole)))
    }
  }

  function immediateWords(): (channel: number) => Words {
    const [first, second] = [(fields.opd1_addr ?? 0) | 0, (fields.opd2_addr ?? 0) | 0]
    const words: Words =
      unit === rq1
        ? [first, (second << 24) >> 24, second >> 16]
        : unit === dq1
          ? [first, second, first >> 16]
          : [first, second, 0]
    return () => words
  }

  function tableWords(): (channel: number) => Words {
    const slots: Strides = [0, vectorBytes / 4, 0, 1]
    const table = operandAt(fields.opd1_addr ?? 0, [1, shape[1], 1, 2], prec.int32, true, slots)
    if (table.lane !== input.lane) throw refuse('input and records begin in different lanes')
    return (channel) => {
      const at = elementAt(table, 0, channel)
      return [local.i32[at]!, local.i32[at + 1]!, local.i32[at + 2]!]
    }
  }
}

const requantLoop = (type: number, signed: boolean) =>
  `requant_${signed ? 's' : 'u'}${type === prec.int8 ? 8 : 16}` as const

/**
 * values = round(values * multiplier * 2^-shift), exactly. Results beyond 2^53 are only good for saturation.
 * @param values whole, int32
 * @param multiplier int32
 * @param shift right where positive, left where negative
 */
export function multiplyShift(
  values: Float64Array,
  count: number,
  multiplier: number,
  shift: number,
  mode: number,
): void {
  if (mode === rounding.halfUp && shift >= 17 && shift <= 63) {
    // The product has up to 62 bits. Its upper part, product >> 16, fits a double, and the lower 16 bits cannot change the result.
    const high = Math.floor(multiplier / 65536)
    const low = multiplier - high * 65536
    const half = 2 ** (shift - 17)
    const unit = 2 ** (16 - shift)
    for (let i = 0; i < count; i++) {
      const value = values[i]!
      values[i] = Math.floor((value * high + Math.floor((value * low) / 65536) + half) * unit)
    }
    return
  }
  for (let i = 0; i < count; i++) {
    const product = values[i]! * multiplier
    if (shift <= 0) values[i] = product * 2 ** -shift
    else if (Math.abs(product) <= Number.MAX_SAFE_INTEGER) values[i] = roundShift(product, shift, mode)
    else values[i] = Number(roundShiftBig(BigInt(values[i]!) * BigInt(multiplier), shift, mode))
  }
}
