/** Convolution over all input channels (tsk_typ 0). */
import { cubeChannels, laneBytes, lanes, roundUp } from '../chip.js'
import { eu, type InstructionOf, layoutCode, prec, rounding } from '../isa/forms.js'
import {
  elementAt,
  groupsOf,
  immediate,
  isFloat,
  load,
  type Memory,
  type Operand,
  operandAt,
  perChannel,
  rangeOf,
  refuse,
  type Shape,
  type Space,
  type Strides,
  sizeOf,
  store,
} from './memory.js'
import { flush, roundShift } from './numbers.js'
import { type Filter, halfSums, integerSums, type Start, type Sums, type SumsOfChannel, singleSums } from './sums.js'
import { type Window, windowOf } from './window.js'

/**
 * conv.normal: int8 to int32 (sums wrap) or int16 (refused where they leave it); fp16, bf16 and fp32 with fp32 bias, in the order and with the
 * roundings of the vendor's model (`dots.ts`). conv.wrq, wrqrelu: (sum + bias) >> shift, half up, saturated.
 */
export function conv({ local, loops }: Memory, instruction: InstructionOf<'conv'>): void {
  const { fields } = instruction
  const window = windowOf(instruction)
  const type = fields.opd0_prec ?? 0
  const float = isFloat(type)
  const normal = fields.tsk_eu_typ === eu.conv.normal
  if (!normal && (float || (fields.tsk_eu_typ ?? 0) > eu.conv.wrqrelu)) throw refuse('there is no such convolution')
  const [n, oc, oh, ow] = [fields.res0_n ?? 0, fields.res0_c ?? 0, fields.res0_h ?? 0, fields.res0_w ?? 0]
  const inShape: Shape = [n, fields.opd0_c ?? 0, fields.opd0_h ?? 0, fields.opd0_w ?? 0]
  const input = operandAt(fields.opd0_addr ?? 0, inShape, type, fields.opd0_sign === 1, inputLayout(fields))
  const result = operandAt(fields.res0_addr ?? 0, [n, oc, oh, ow], fields.res0_prec ?? 0, true, 'aligned')
  const filter = filterReader(local, fields, inShape[1], result.lane)
  const finish = float ? floatResult(local, fields, result) : intResult(local, fields, result)
  const shape = { window, rotated: fields.kernel_rotate, channels: inShape[1], size: [oh, ow] } as const
  const sums = (float ? (type === prec.fp32 ? singleSums : halfSums) : integerSums)(loops, shape)
  const pad = immediate(fields.opd3_addr ?? 0, type, input.signed)
  const insert = immediate(fields.res1_addr ?? 0, type, input.signed)
  for (let image = 0; image < n; image++) {
    const start: Start = {
      bias: (c) => channelValue(local, fields, prec.fp32, c, result.lane),
      ...(float && fields.res_add === 1 ? { old: (c: number) => pixelsOf(local, result, image, c, oh * ow) } : {}),
    }
    layOut({ local, loops }, input, inShape, window, image, normal ? pad : 0, insert, sums)
    for (let c = 0; c < oc; c += sums.together) {
      const existing = Math.min(sums.together, oc - c)
      const found = sums.channels(c, existing, filter, start)
      for (let i = 0; i < existing; i++) finish(image, c + i, found[i]!)
    }
  }
}

const pixelsOf = (local: Space, result: Operand, image: number, oc: number, count: number): Float32Array =>
  local.f32.slice(elementAt(result, image, oc), elementAt(result, image, oc) + count)

type Fields = InstructionOf<'conv'>['fields']

const inputLayout = (fields: Fields): Strides | 'aligned' =>
  fields.opd0_str === layoutCode.free
    ? [fields.opd0_n_str ?? 0, fields.opd0_c_str ?? 0, fields.opd0_h_str ?? 0, fields.opd0_w_str ?? 0]
    : 'aligned'

/** Writes one image channels-last, spread out and padded. */
function layOut(
  { local, loops }: Pick<Memory, 'local' | 'loops'>,
  input: Operand,
  [, c, h, w]: Shape,
  { extent, spread, pads }: Window,
  image: number,
  pad: number,
  insert: number,
  { image: into, at, pitch }: Sums,
): void {
  if (extent[0] !== h || extent[1] !== w || pitch !== c) into.fill(pad, at, at + extent[0] * extent[1] * pitch)
  const row = extent[1] * pitch
  if (insert !== pad && (spread[0] > 1 || spread[1] > 1))
    for (let y = 0; y < (h - 1) * spread[0] + 1; y++) {
      const from = at + (pads[0] + y) * row + pads[1] * pitch
      into.fill(insert, from, from + ((w - 1) * spread[1] + 1) * pitch)
    }
  const step = spread[1] * pitch
  const first = at + pads[0] * row + pads[1] * pitch
  // Where neither side has anything between rows, all of them are one.
  const joined = step === pitch && row === w * pitch && input.strides[2] === w
  const [rows, columns] = joined ? [1, h * w] : [h, w]
  const together = sizeOf(input.prec) === 1 ? 8 : 4
  const size = sizeOf(input.prec)
  const bytes = into.BYTES_PER_ELEMENT
  const loop = loops.functions[spreadLoop(input)]
  const steps = [input.strides[2] * size, spread[0] * row * bytes, step * bytes] as const
  const line = new Float64Array(w)
  for (let channel = 0; channel < c; ) {
    const neighbours = channel + together <= c && ((input.lane + channel) % lanes) + together <= lanes
    if (neighbours && columns >= together && input.strides[3] === 1) {
      loop(elementAt(input, image, channel) * size, (first + channel) * bytes, rows, columns, ...steps)
      channel += together
      continue
    }
    for (let y = 0; y < h; y++) {
      const from = elementAt(input, image, channel) + y * input.strides[2]
      load(local, input.prec, input.signed, from, input.strides[3], w, line)
      if (input.prec === prec.fp32) flush(line, w)
      let to = first + y * spread[0] * row + channel
      for (let x = 0; x < w; x++, to += step) into[to] = line[x]!
    }
    channel++
  }
}

const spreadLoop = ({ prec: type, signed }: Operand) =>
  type === prec.int8
    ? signed
      ? 'spread_s8'
      : 'spread_u8'
    : type === prec.fp32
      ? 'spread_f32'
      : type === prec.fp16
        ? 'spread_f16'
        : 'spread_bf16'

/** Reads weights less their zero point (layouts: [oc][ic / block][tap][block], and [oc][ic][tap] for fp32). */
function filterReader(local: Space, fields: Fields, ic: number, lane: number): Filter {
  const type = fields.opd0_prec ?? 0
  const size = sizeOf(type)
  const signed = fields.opd1_sign === 1
  const block = cubeChannels[size]
  const taps = (fields.opd1_h ?? 0) * (fields.opd1_w ?? 0)
  const address = fields.opd1_addr ?? 0
  const constant = fields.opd1_const === 1
  const channelElements = roundUp(ic, block) * taps
  const groups = groupsOf(lane, fields.res0_c ?? 0)
  if (!constant && Math.floor(address / laneBytes) !== lane) throw refuse('filter and result begin in different lanes')
  if (!constant && ((address % laneBytes) + groups * channelElements * size > laneBytes || address % size !== 0))
    throw refuse(`the filter at 0x${address.toString(16)} does not fit a lane`)
  const zeros = !isFloat(type) && fields.tsk_eu_typ === eu.conv.normal
  const weights = new Float64Array(ic)
  if (constant) weights.fill(immediate(address, type, signed))
  const zeroOf = (oc: number): number => (zeros ? channelValue(local, fields, prec.int8, oc, lane) : 0)
  const baseOf = (oc: number): number => {
    const at = lane + oc
    return ((at % lanes) * laneBytes + (address % laneBytes)) / size + Math.floor(at / lanes) * channelElements
  }
  const read: Filter['read'] = (oc, tap, first, count, into, at, step) => {
    const zero = zeroOf(oc)
    const base = baseOf(oc)
    if (!constant && block === 1) {
      load(local, type, signed, base + first * taps + tap, taps, count, weights)
      flush(weights, count)
    } else if (!constant)
      for (let c = 0; c < count; c += block) {
        const part = weights.subarray(c, c + block)
        load(local, type, signed, base + (first + c) * taps + tap * block, 1, Math.min(block, count - c), part)
      }
    for (let i = 0, to = at; i < count; i++, to += step) into[to] = weights[i]! - zero
  }
  if (constant || type !== prec.int8) return { read }
  return { read, packed: { signed, of: (oc) => [baseOf(oc), zeroOf(oc)] } }
}

/** The value of opd2 for an output channel: immediate or one element per channel. */
function channelValue(local: Space, fields: Fields, type: number, oc: number, lane: number): number {
  const address = fields.opd2_addr ?? 0
  if (fields.opd2_const === 1) return immediate(address, type, fields.opd2_sign === 1)
  const vector = operandAt(address, [1, fields.res0_c ?? 0, 1, 1], type, fields.opd2_sign === 1, perChannel)
  if (vector.lane !== lane) throw refuse('operand 2 and the result begin in different lanes')
  const value = new Float64Array(1)
  load(local, type, vector.signed, elementAt(vector, 0, oc), 1, 1, value)
  return value[0]!
}

type Finish = (image: number, oc: number, sums: SumsOfChannel) => void

function intResult(local: Space, fields: Fields, result: Operand): Finish {
  const wrq = fields.tsk_eu_typ !== eu.conv.normal
  const unsigned = fields.tsk_eu_typ === eu.conv.wrqrelu
  // A zero point makes differences, which have signs.
  const shifted = fields.opd2_const !== 1 || (fields.opd2_addr ?? 0) !== 0
  const anySign = fields.opd0_sign === 1 || fields.opd1_sign === 1 || fields.opd2_sign === 1 || shifted
  const [least, most] = rangeOf(result.prec, wrq ? !unsigned : anySign)
  const old = new Float64Array(fields.res0_h! * fields.res0_w!)
  const shift = (fields.opd3_addr ?? 0) & 31
  return (image, oc, sums) => {
    const at = elementAt(result, image, oc)
    const count = sums.length
    if (result.prec === prec.int32 && !wrq) {
      const into = local.i32
      if (fields.res_add === 1) for (let i = 0; i < count; i++) into[at + i] = into[at + i]! + sums[i]!
      else into.set(sums, at)
      return
    }
    const bias = wrq ? channelValue(local, fields, prec.int16, oc, result.lane) : 0
    if (fields.res_add === 1 && !wrq) load(local, result.prec, anySign, at, 1, count, old)
    for (let i = 0; i < count; i++) {
      const sum = wrq ? roundShift(sums[i]! + bias, shift, rounding.halfUp) : sums[i]! + old[i]!
      // The model saturates parts of such sums in an order that is not known.
      if (!wrq && (sum < least || sum > most)) throw refuse('a sum leaves int16')
      old[i] = Math.min(most, Math.max(least, sum))
    }
    store(local, result.prec, at, 1, count, old)
  }
}

function floatResult(local: Space, fields: Fields, result: Operand): Finish {
  if (!isFloat(result.prec)) throw refuse('a convolution of floats gives floats')
  if (fields.res_add === 1 && result.prec !== prec.fp32) throw refuse('only fp32 results can be added to')
  const line = new Float64Array(fields.res0_h! * fields.res0_w!)
  return (image, oc, sums) => {
    const at = elementAt(result, image, oc)
    line.set(sums)
    if (result.prec === prec.fp32) flush(line, sums.length)
    store(local, result.prec, at, 1, sums.length, line)
  }
}
