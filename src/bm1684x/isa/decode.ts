/** Bytes as instructions. */
import { QuantError } from '../../errors.js'
import { isEnd } from './encode.js'
import { bytesOf, fieldsOf } from './fields.js'
import { dmaType, type Engine, type FormName, type Instruction, taskType } from './forms.js'

export type Decoded = Instruction & {
  /** Length of the command. */
  readonly bytes: number
}

/**
 * The command at a byte offset, with every field of its form (zeros too) but the reserved ones. `name` is what errors call the stream.
 * Throws QuantError('input') for what is no command of the forms in forms.ts: long TIU forms, short DMA forms, cut-off commands,
 * reserved bits that are set.
 */
export function decode(bytes: Uint8Array, engine: Engine, offset: number, name = `${engine} stream`): Decoded {
  const refuse = (what: string) => new QuantError('input', `${name}, byte ${offset}: ${what}`)
  if (offset + 16 > bytes.length) throw refuse('the command is cut off')
  const form = engine === 'tiu' ? tiuForm(bytes, offset, refuse) : dmaForm(bytes, offset, refuse)
  const size = bytesOf(form)
  if (offset + size > bytes.length) throw refuse(`a ${form} command of ${size} bytes is cut off`)
  const fields: Record<string, number> = {}
  for (const field of fieldsOf[form]) {
    const value = getBits(bytes, offset, field.at, field.width)
    if (!field.reserved) fields[field.name] = value
    else if (value !== 0) throw refuse(`reserved bits ${field.at}..${field.at + field.width - 1} of ${form} are set`)
  }
  return { form, fields, bytes: size } as Decoded
}

/**
 * A whole stream: exactly `count` commands, the last (and only the last) the end command, then zeros.
 * Throws QuantError('input') where it is otherwise.
 */
export function decodeStream(bytes: Uint8Array, engine: Engine, count: number, name?: string): Instruction[] {
  const label = name ?? `${engine} stream`
  // A command takes 16 bytes at least: a count that cannot be must not cost time.
  if (count < 1 || count * 16 > bytes.length)
    throw new QuantError('input', `${label}: ${count} commands cannot stand in ${bytes.length} bytes`)
  const found: Instruction[] = []
  let at = 0
  for (let i = 0; i < count; i++) {
    const { bytes: size, ...instruction } = decode(bytes, engine, at, label)
    found.push(instruction)
    at += size
    if (isEnd(instruction) !== (i === count - 1))
      throw new QuantError('input', `${label}: command ${i + 1} of ${count} ${i < count - 1 ? 'ends it' : 'is no end'}`)
  }
  if (bytes.subarray(at).some((byte) => byte !== 0))
    throw new QuantError('input', `${label}: something follows the end command at byte ${at}`)
  return found
}

const tiuForms = new Map<number, FormName>(
  Object.entries(taskType).map(([form, code]) => [code, form as keyof typeof taskType]),
)

function tiuForm(bytes: Uint8Array, offset: number, refuse: (what: string) => QuantError): FormName {
  const short = getBits(bytes, offset, 0, 1)
  const task = getBits(bytes, offset, 41, 4)
  const unit = getBits(bytes, offset, 45, 5)
  if (task === taskType.sys) return 'sys'
  if (short === 0) throw refuse(`task ${task} in its long form, which is not supported`)
  const form = tiuForms.get(task)
  // Other commands that share a task code: the old matrix product, index generators, gathers across lanes.
  const other =
    (form === 'mm2' && unit < 4) || (form === 'ar' && (unit === 24 || unit === 25)) || (form === 'sg' && unit > 16)
  if (form === undefined || other) throw refuse(`task ${task}, unit ${unit} is not supported`)
  return form
}

const dmaTypes: readonly number[] = [dmaType.tensor, dmaType.matrix, dmaType.general, dmaType.cwTranspose]

function dmaForm(bytes: Uint8Array, offset: number, refuse: (what: string) => QuantError): FormName {
  const short = getBits(bytes, offset, 3, 1)
  const type = getBits(bytes, offset, 32, 4)
  if (type === dmaType.sys && short === 1) return 'dmaSys'
  if (short === 1) throw refuse(`type ${type} in its short form, which the runtime cannot walk`)
  if (!dmaTypes.includes(type)) throw refuse(`type ${type} is not supported`)
  return 'dma'
}

/** `width` (1..64, but only what a double holds exactly is ever read) bits from bit `at` of the command at byte `offset`. */
function getBits(bytes: Uint8Array, offset: number, at: number, width: number): number {
  let value = 0
  let scale = 1
  for (let bit = at; bit < at + width; ) {
    const room = Math.min(8 - (bit & 7), at + width - bit)
    value += ((bytes[offset + (bit >> 3)]! >> (bit & 7)) & (2 ** room - 1)) * scale
    scale *= 2 ** room
    bit += room
  }
  return value
}
