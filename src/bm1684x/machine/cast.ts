/** Conversion between element types. */
import { prec, rounding } from '../isa/forms.js'
import type { Elementwise } from './arith.js'
import { eachRow, isFloat, load, type Operand, rangeOf, refuse, rowBuffer, store } from './memory.js'
import { bf16Bits, f16Bits, f32Of, flush, roundWhole } from './numbers.js'

/** Integers saturate, NaN becomes 0; a float to its own type becomes whole. Rounding 0..4. */
export function cast({ local, fields, shape, result, a }: Elementwise): void {
  const mode = fields.opd2_n_str ?? 0
  if (mode > rounding.ceil) throw refuse(`a cast does not round by mode ${mode}`)
  if ('constant' in a) throw refuse('a cast of an immediate')
  const [least, most] = isFloat(result.prec) ? [0, 0] : rangeOf(result.prec, result.signed)
  const whole = a.prec === result.prec && isFloat(a.prec)
  const line = rowBuffer(0, shape[2] * shape[3])
  const write = writer(local, result, mode, isFloat(a.prec))
  eachRow(shape, [result, a], ([to, from], count) => {
    load(local, a.prec, a.signed, from!, a.strides[3], count, line)
    if (a.prec === prec.fp32) flush(line, count)
    if (whole) for (let i = 0; i < count; i++) line[i] = wholeOf(line[i]!, mode)
    else if (!isFloat(result.prec))
      for (let i = 0; i < count; i++) {
        const value = roundWhole(line[i]!, mode)
        line[i] = Number.isNaN(value) ? 0 : Math.min(most, Math.max(least, value))
      }
    write(to!, count, line)
  })
}

/** How numbers become a float type by a rounding other than the usual one. */
function writer(
  local: Elementwise['local'],
  { prec: type, strides: [, , , step] }: Operand,
  mode: number,
  fromFloat: boolean,
): (at: number, count: number, line: Float64Array) => void {
  if (mode === rounding.halfEven || !isFloat(type))
    return (at, count, line) => store(local, type, at, step, count, line)
  if (type === prec.fp32)
    return (at, count, line) => {
      for (let i = 0; i < count; i++) local.f32[at + i * step] = f32Of(line[i]!, mode)
    }
  const bits = type === prec.fp16 ? f16Bits : bf16Bits
  return (at, count, line) => {
    for (let i = 0; i < count; i++) local.u16[at + i * step] = bits(line[i]!, mode, fromFloat)
  }
}

/** A zero keeps the sign of what it comes from. */
function wholeOf(value: number, mode: number): number {
  const whole = roundWhole(value, mode)
  return whole === 0 && value < 0 ? -0 : whole
}
