/** Instructions as bytes. */
import { roundUp } from '../chip.js'
import { bytesOf, fieldsOf, impliedFields, type Values } from './fields.js'
import { eu, type FormName, type Instruction } from './forms.js'

/** A stream in a file is padded with zeros to a multiple of this; the runtime writes past its buffer otherwise. */
const streamAlign = 128

/**
 * The bytes of one command. `cmd_short` and `tsk_typ` follow from the form and may be left out.
 * Throws a plain Error, since it is our own mistake, where a value does not fit its field.
 */
export function encode(instruction: Instruction): Uint8Array {
  const bytes = new Uint8Array(bytesOf(instruction.form))
  encodeInto(bytes, 0, instruction)
  return bytes
}

/**
 * A command stream as it stands in a file: the commands back to back, zeros up to a multiple of 128 bytes. The last instruction must
 * be the end command and no other may be.
 */
export function encodeStream(instructions: readonly Instruction[]): Uint8Array {
  const end = instructions.findIndex(isEnd)
  if (end === -1 || end !== instructions.length - 1)
    throw new Error(`a stream ends with its end command: ${instructions.length} commands, end at ${end}`)
  const size = instructions.reduce((sum, { form }) => sum + bytesOf(form), 0)
  const bytes = new Uint8Array(roundUp(size, streamAlign))
  let at = 0
  for (const instruction of instructions) at += encodeInto(bytes, at, instruction)
  return bytes
}

/** Is it the command behind which an engine stops? */
export const isEnd = ({ form, fields }: Instruction): boolean =>
  form === 'sys' ? fields.tsk_eu_typ === eu.sys.end : form === 'dmaSys' && (fields.cmd_special_function ?? 0) === 0

function encodeInto(bytes: Uint8Array, offset: number, { form, fields }: Instruction): number {
  const given: Values = fields
  const implied = impliedFields[form]
  for (const { name, at, width, reserved } of fieldsOf[form]) {
    const value = given[name] ?? implied[name] ?? 0
    if (value === 0 && implied[name] === undefined) continue
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** width || reserved)
      throw wrong(form, name, value, reserved ? 'is reserved' : `takes 0 to ${2 ** width - 1}`)
    if (implied[name] !== undefined && value !== implied[name]) throw wrong(form, name, value, `is ${implied[name]}`)
    putBits(bytes, offset * 8 + at, width, value)
  }
  return bytesOf(form)
}

const wrong = (form: FormName, name: string, value: number, range: string): Error =>
  new Error(`${form}.${name} = ${value}: the field ${range}`)

/** Bits that are 0 before; at most 32. */
function putBits(bytes: Uint8Array, at: number, width: number, value: number): void {
  let rest = value
  for (let bit = at; bit < at + width; ) {
    const room = Math.min(8 - (bit & 7), at + width - bit)
    bytes[bit >> 3] = bytes[bit >> 3]! | ((rest % 2 ** room) << (bit & 7))
    rest = Math.floor(rest / 2 ** room)
    bit += room
  }
}
