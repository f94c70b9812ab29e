/** Elementwise commands as the vector loops of `rows.ts`: which ones have a loop, and how it is led over their rows. */
import { eu, prec, rounding } from '../isa/forms.js'
import type { Elementwise, Source } from './arith.js'
import type { LoopName, Loops } from './loops.js'
import { eachRow, type Memory, type Operand, type Shape, separate, sizeOf } from './memory.js'
import { f16Bits, f32Bits } from './numbers.js'
import { repeated, vectorElements } from './rows.js'

/** Numbers that a loop is given beside its operands. */
export type Given = readonly number[]

/**
 * Can a loop compute rows of the result from rows of the inputs? They have to be contiguous, or one value each, and not to overlap
 * but for being the very same elements.
 */
export const isVector = (shape: Shape, result: Operand, inputs: readonly Source[]): boolean =>
  result.strides[3] === 1 &&
  inputs.every((one) => !('lane' in one) || ((one.strides[3] === 1 || isSingle(one)) && separate(shape, result, one)))

const isSingle = ({ strides }: Operand): boolean => strides[3] === 0 && strides[2] === 0

/**
 * Leads a loop over all rows; `isVector` has to hold.
 * @param given beside the operands, by channel; undefined leaves a row to `otherwise`
 */
export function leadRows(
  { local, loops }: Pick<Memory, 'local' | 'loops'>,
  name: LoopName & keyof typeof vectorElements,
  [shape, result, inputs]: readonly [Shape, Operand, readonly Source[]],
  given: (channel: number) => Given | undefined,
  otherwise: (at: readonly number[], count: number, channel: number) => void = () => {},
): void {
  const loop = loops.functions[name]
  const operands = inputs.filter((one): one is Operand => 'lane' in one)
  const size = sizeOf(result.prec)
  const from = [0, 0]
  const step = [0, 0]
  /** Position among `operands`, where it is one. */
  const places = inputs.map((one) => ('lane' in one ? operands.indexOf(one) + 1 : 0))
  inputs.forEach((one, i) => {
    from[i] = repeated[i]!
    if (!('lane' in one)) repeat(loops, i, sizeOf(one.prec), bitsOf(one.constant, one.prec))
    else if (!isSingle(one)) step[i] = vectorElements[name] * sizeOf(one.prec)
  })
  eachRow(shape, [result, ...operands], (at, count, channel) => {
    const numbers = given(channel)
    if (numbers === undefined) {
      otherwise(at, count, channel)
      return
    }
    for (let i = 0; i < inputs.length; i++) {
      const place = places[i]!
      if (place === 0) continue
      const { prec: type } = inputs[i]!
      if (step[i] !== 0) from[i] = at[place]! * sizeOf(type)
      else repeat(loops, i, sizeOf(type), rawBits(local, type, at[place]!))
    }
    const to = at[0]! * size
    if (inputs.length === 1) loop(to, count, from[0]!, step[0]!, numbers[0]!, numbers[1]!, numbers[2]!, numbers[3]!)
    else loop(to, count, from[0]!, step[0]!, from[1]!, step[1]!)
  })
}

const rawBits = (local: Memory['local'], type: number, at: number): number => {
  const size = sizeOf(type)
  return size === 1 ? local.u8[at]! : size === 2 ? local.u16[at]! : local.u32[at]!
}

const bitsOf = (value: number, type: number): number =>
  type === prec.fp16 ? f16Bits(value) : type === prec.fp32 ? f32Bits(value) : value

/** A value in all places of an input. */
function repeat({ room }: Loops, input: number, size: 1 | 2 | 4, bits: number): void {
  const word = size === 4 ? bits : size === 2 ? (bits & 0xffff) * 0x10001 : (bits & 0xff) * 0x1010101
  const at = input * 16
  room.fill(word, at, at + 16)
}

/** Runs an arithmetic command if there is a loop for it. @returns whether it did */
export function vectorArith(op: Elementwise): boolean {
  const { a, b, result, shape } = op
  const { loop, given } = chosen(op) ?? {}
  const inputs = b === undefined || given ? [a] : [a, b]
  if (loop === undefined || !isVector(shape, result, inputs)) return false
  leadRows(op, loop, [shape, result, inputs], given ?? (() => nothing))
  return true
}

const nothing: Given = []

interface Chosen {
  readonly loop: LoopName & keyof typeof vectorElements
  /** Where it takes the second input as a number, by channel. */
  readonly given?: (channel: number) => Given
}

/** Type of an element as the names of loops spell it. */
const kindOf = ({ prec: type, signed }: { readonly prec: number; readonly signed: boolean }): string =>
  type === prec.fp32
    ? 'f32'
    : type === prec.fp16
      ? 'f16'
      : type === prec.bf16
        ? 'bf16'
        : `${signed ? 's' : 'u'}${8 * sizeOf(type)}`

function chosen(op: Elementwise): Chosen | undefined {
  const { a, b, result, fields } = op
  const [x, y, to] = [kindOf(a), b && kindOf(b), kindOf(result)]
  const shifted = fields.tsk_opd_num === 3
  switch (fields.tsk_eu_typ) {
    case eu.ar.adds:
      if (shifted) return undefined
      if (x === 's32' && y === 's32' && to === 's32') return { loop: 'add32' }
      return x === 's16' && y === 's16' && to === 's8' ? { loop: 'add16_s8' } : undefined
    case eu.ar.muls:
      return scaled(op, x, to)
    case eu.ar.max:
      if (x !== y || x !== to) return undefined
      return x === 's8' || x === 'u8' || x === 'f32' || x === 'f16' ? { loop: `max_${x}` } : undefined
    case eu.ar.mul:
    case eu.ar.add: {
      if (x !== y || x !== to) return undefined
      const name = fields.tsk_eu_typ === eu.ar.mul ? 'mul' : 'add'
      return x === 'f32' || x === 'f16' ? { loop: `${name}_${x}` } : undefined
    }
    case eu.ar.cast: {
      const mode = fields.opd2_n_str ?? 0
      if (x === 'f16' && to === 'f32') return mode === rounding.halfEven ? { loop: 'f16_f32' } : undefined
      if (x !== 'f32') return undefined
      if (to === 'f16') return mode === rounding.halfEven ? { loop: 'f32_f16' } : undefined
      if ((to !== 's8' && to !== 'u8') || mode > rounding.halfAway) return undefined
      return { loop: `cast_${to}_${mode === rounding.halfEven ? 'even' : 'away'}` }
    }
    default:
      return undefined
  }
}

/** A product of 8 bits by a number, shifted to the right. */
function scaled({ a, b, fields, shape, shiftOf }: Elementwise, x: string, to: string): Chosen | undefined {
  if (b === undefined || 'lane' in b || !Number.isInteger(b.constant)) return undefined
  const factor = b.constant
  if (Math.abs(factor) > 128 || 'constant' in a) return undefined
  for (let channel = 0; channel < shape[1]; channel++) {
    const amount = shiftOf(channel)
    if (amount > 0 || amount < -15 || (amount !== 0 && fields.opd2_n_str !== rounding.halfUp)) return undefined
  }
  const loop = `scale_${x}_${to}`
  if (!(loop in scaleLoops)) return undefined
  const given = (channel: number): Given => {
    const by = -shiftOf(channel)
    return [factor, by, Math.max(0, by - 1), by === 0 ? 0 : 1]
  }
  return { loop: loop as keyof typeof scaleLoops, given }
}

const scaleLoops = { scale_s8_s8: 0, scale_s8_s16: 0, scale_u8_s8: 0, scale_u8_u8: 0, scale_u8_s16: 0 } as const
