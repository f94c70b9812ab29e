/**
 * Commands of the TIU from what they mean: operands with their types and places instead of fields. Field meanings are those of the
 * register sheets; ids and dependencies are filled in by whoever puts the commands in order.
 */
import type { Pads, Pair } from '../../ir/graph.js'
import type { Requant } from '../../quantize/qgraph.js'
import { roundBf16, roundF16 } from '../../quantize/rounding.js'
import { floatBits, halfBits } from '../../quantize/tpu/weights.js'
import { laneBytes } from '../chip.js'
import {
  eu,
  type FieldName,
  type InstructionOf,
  layoutCode,
  type Prec,
  prec,
  precBytes,
  rounding,
} from '../isa/forms.js'
import type { Shape4, Strides } from '../layout.js'

/** A tensor in local memory as one operand sees it: aligned layout, or free strides where they are given. */
export interface Place {
  /** lane * 256 KiB + offset in the lane */
  readonly address: number
  readonly prec: Prec
  /** Of integers. */
  readonly signed: boolean
  readonly strides?: Strides
}

/** One value for all elements. */
export interface Constant {
  readonly constant: number
  readonly prec: Prec
  readonly signed: boolean
}

export type Operand = Place | Constant

/** The address of a tensor that starts in another lane. */
export const inLane = (lane: number, offset: number): number => lane * laneBytes + offset

/** How a number is spelled as an immediate: the bits of its type. Floats are rounded to the nearest, ties to even. */
export function immediate(value: number, type: Prec): number {
  switch (type) {
    case 'fp32':
      return floatBits(value)
    case 'fp16':
      return halfBits(roundF16(value))
    case 'bf16':
      return floatBits(roundBf16(value)) >>> 16
    default:
      return (value & (2 ** (8 * precBytes[type]) - 1)) >>> 0
  }
}

const sign = (signed: boolean): 0 | 1 => (signed ? 1 : 0)

/** Fields n, c, h, w of a result's size. */
const sized = ([n, c, h, w]: Shape4) => ({ res0_n: n, res0_c: c, res0_h: h, res0_w: w }) as const

type Slot = 'opd0' | 'opd1'
type ArFields = Partial<Record<FieldName<'ar'>, number>>

/** Strides of 18 bits: the upper two of n and c stand above those of h and w. */
function spread(slot: Slot | 'res0', { n, c, h, w }: Strides): ArFields {
  return {
    [`${slot}_str`]: layoutCode.free,
    [`${slot}_n_str`]: n & 0xffff,
    [`${slot}_c_str`]: c & 0xffff,
    [`${slot}_h_str`]: h + (n >>> 16) * 2 ** 18,
    [`${slot}_w_str`]: w + (c >>> 16) * 2 ** 18,
  }
}

function operand(slot: Slot, from: Operand): ArFields {
  const [type, signed] = [prec[from.prec], sign(from.signed)]
  const address = 'constant' in from ? immediate(from.constant, from.prec) : from.address
  // Spelled out: names that are put together take longer than all the rest.
  const fields: ArFields =
    slot === 'opd0'
      ? { opd0_prec: type, opd0_sign: signed, opd0_addr: address }
      : { opd1_prec: type, opd1_sign: signed, opd1_addr: address }
  if ('constant' in from) return { ...fields, [`${slot}_const`]: 1 }
  return from.strides === undefined ? fields : { ...fields, ...spread(slot, from.strides) }
}

function arith(
  op: keyof typeof eu.ar,
  shape: Shape4,
  result: Place,
  operands: readonly Operand[],
  more: ArFields = {},
) {
  const [a, b] = operands
  return {
    form: 'ar',
    fields: {
      tsk_eu_typ: eu.ar[op],
      tsk_opd_num: operands.length,
      ...sized(shape),
      res0_prec: prec[result.prec],
      res0_addr: result.address,
      ...(result.strides && spread('res0', result.strides)),
      ...operand('opd0', a!),
      ...(b && operand('opd1', b)),
      ...more,
    },
  } satisfies InstructionOf<'ar'>
}

/** result = a. Layouts may differ, element widths may not. */
export const copy = (shape: Shape4, result: Place, from: Operand) => arith('copy', shape, result, [from])

/**
 * Conversion with saturation; a float to its own type becomes whole. The C-model knows no way between 8 bit and 16-bit floats, nor
 * from one 16-bit float to the other.
 */
export const cast = (shape: Shape4, result: Place, from: Place, mode: keyof typeof rounding) =>
  arith('cast', shape, result, [from], { opd2_n_str: rounding[mode], opd2_sign: sign(result.signed) })

/** Of two operands. Integers wrap in `add`, `sub` and `mul`, saturate in the forms with s; floats are rounded once. */
export const binary = (
  op: 'add' | 'sub' | 'mul' | 'max' | 'min' | 'adds' | 'subs',
  shape: Shape4,
  result: Place,
  a: Operand,
  b: Operand,
) => arith(op, shape, result, [a, b])

/** result = a == b ? 1 : 0; a and b are of one type, the result's is not wider. */
export const equal = (shape: Shape4, result: Place, a: Operand, b: Operand) =>
  arith('selectEq', shape, result, [a, b], {
    tsk_opd_num: 3,
    opd2_const: 1,
    opd2_prec: prec[result.prec],
    opd2_addr: immediate(1, result.prec),
  })

/** result = |a|, of any type. */
export const absolute = (shape: Shape4, result: Place, a: Place) => arith('abs', shape, result, [a])

/**
 * result = saturate(a * factor * 2^-shift), ties up: LeakyReLU, rescaling, requantised operands. The result has the sign of a or of
 * the factor, whichever is signed.
 * @param factor 8 bit, a constant or values
 * @param shift -128 to 127; negative ones go to the left
 */
export const scaled = (shape: Shape4, result: Place, a: Place, factor: Operand, shift: number) =>
  arith('muls', shape, result, [a, factor], {
    tsk_opd_num: 3,
    opd2_const: 1,
    opd2_addr: immediate(-shift, 'int8'),
    opd2_n_str: rounding.halfUp,
  })

/** fp32 quotient by `steps` iterations, 1 to 4: from 3 on, the C-model's relative error is below 2e-7. */
export const divide = (shape: Shape4, result: Place, a: Operand, b: Operand, steps: number) =>
  arith('div', shape, result, [a, b], { opd2_n_str: steps - 1 })

/** result = saturate((a + b) * 2^left) of integers; a negative shift goes to the right and rounds down. */
export const addShifted = (shape: Shape4, result: Place, a: Place, b: Constant, left: number) =>
  arith('adds', shape, result, [a, b], {
    tsk_opd_num: 3,
    opd2_const: 1,
    opd2_addr: immediate(left, 'int8'),
    ...(left < 0 && { opd2_n_str: rounding.floor }),
  })

/** The window of a convolution or pooling. Pads 0 to 15, strides and dilations 1 to 15. */
export interface Window {
  readonly kernel: Pair
  readonly strides: Pair
  readonly dilations: Pair
  readonly pads: Pads
  /** What stands in the padding; 0 where it is absent. Pooling for the maximum has its own. */
  readonly fill?: number
}

/** A window's operand: aligned, with its size. */
export interface Image extends Omit<Place, 'strides'> {
  readonly shape: Shape4
}

const windowFields = ({ kernel, strides, dilations, pads: [top, left, bottom, right], fill }: Window, type: Prec) =>
  ({
    opd1_h: kernel[0],
    opd1_w: kernel[1],
    res_op_y_str: strides[0],
    res_op_x_str: strides[1],
    opd1_y_ins0: dilations[0] - 1,
    opd1_x_ins0: dilations[1] - 1,
    opd0_up_pad: top,
    opd0_lf_pad: left,
    opd0_dn_pad: bottom,
    opd0_rt_pad: right,
    opd3_const: 1,
    ...(fill && { opd3_addr: immediate(fill, type) }),
  }) as const

/**
 * 8-bit: int32 sums without bias. Floats: with the fp32 bias at `bias`, if there is one. The input starts in lane 0; the
 * filter (packConv) and the bias (compact) lie in the lanes of the result.
 * @param filter address, or one weight for all taps
 */
export function conv(
  shape: Shape4,
  result: Place,
  input: Image,
  filter: { readonly address: number; readonly signed: boolean } | Constant,
  bias: number | undefined,
  window: Window,
) {
  const constant = 'constant' in filter
  return {
    form: 'conv',
    fields: {
      tsk_eu_typ: eu.conv.normal,
      ...sized(shape),
      opd0_c: input.shape[1],
      opd0_h: input.shape[2],
      opd0_w: input.shape[3],
      opd0_sign: sign(input.signed),
      opd1_sign: sign(filter.signed),
      opd0_prec: prec[input.prec],
      res0_prec: prec[result.prec],
      res0_addr: result.address,
      opd0_addr: input.address,
      ...(constant && { opd1_const: 1 }),
      opd1_addr: constant ? immediate(filter.constant, filter.prec) : filter.address,
      ...(bias === undefined ? { opd2_const: 1 } : { opd2_addr: bias }),
      ...windowFields(window, input.prec),
    },
  } satisfies InstructionOf<'conv'>
}

function pool(op: keyof typeof eu.pord, shape: Shape4, result: Place, input: Image, window: Window) {
  return {
    form: 'pord',
    fields: {
      tsk_eu_typ: eu.pord[op],
      ...sized(shape),
      opd0_h: input.shape[2],
      opd0_w: input.shape[3],
      opd0_sign: sign(input.signed),
      opd0_prec: prec[input.prec],
      res0_prec: prec[result.prec],
      res0_addr: result.address,
      opd0_addr: input.address,
      ...windowFields(window, input.prec),
    },
  } satisfies InstructionOf<'pord'>
}

/** One filter per channel (packDepthwise). 8-bit: int32 sums and int32 bias. Floats: all of one type. */
export function depthwise(
  shape: Shape4,
  result: Place,
  input: Image,
  filter: { readonly address: number; readonly signed: boolean },
  bias: number | undefined,
  window: Window,
): InstructionOf<'pord'> {
  const { form, fields } = pool('depthwise', shape, result, input, window)
  const operands = { opd1_sign: sign(filter.signed), opd1_addr: filter.address }
  if (bias === undefined) return { form, fields: { ...fields, ...operands, opd2_const: 1 } }
  return { form, fields: { ...fields, ...operands, opd2_addr: bias, opd2_sign: 1 } }
}

/** The largest value of a window. What stands in the padding must not be larger than any value. */
export function maxPool(shape: Shape4, result: Place, input: Image, padding: number, window: Window) {
  const { form, fields } = pool('max', shape, result, input, window)
  return { form, fields: { ...fields, opd3_addr: immediate(padding, input.prec) } } satisfies InstructionOf<'pord'>
}

/**
 * The sum of a window times the factor: 8-bit * 8-bit, then shifted to the right (ties up) and saturated, signed as the input is; or
 * floats. Padding is 0.
 */
export function averagePool(
  shape: Shape4,
  result: Place,
  input: Image,
  factor: number,
  shift: number,
  window: Window,
): InstructionOf<'pord'> {
  const { form, fields } = pool('avg', shape, result, input, window)
  const addr = immediate(factor, input.prec)
  return {
    form,
    fields: {
      ...fields,
      opd1_const: 1,
      opd1_addr: addr,
      opd1_sign: sign(input.signed),
      opd2_const: 1,
      opd2_addr: shift,
    },
  }
}

/** How int32 or int16 values become 8-bit ones: records per channel (packRequant), or one multiplier and right shift for all. */
export type Requantisation = { readonly table: number } | (Requant & { readonly zero?: number })

/** What requantisations have in common. */
const requantisation = (unit: keyof typeof eu.rqdq, shape: Shape4, result: Place, input: Place) =>
  ({
    tsk_eu_typ: eu.rqdq[unit],
    ...sized(shape),
    opd0_sign: sign(input.signed),
    opd0_prec: prec[input.prec],
    res0_prec: prec[result.prec],
    res0_addr: result.address,
    opd0_addr: input.address,
  }) as const

/** Two immediates of one field. */
const packed = (high: number, low: number): number => (high * 2 ** 16 + low) >>> 0

/** result = saturate(input * multiplier * 2^-shift + zero), ties up before the sum. */
export function requant(shape: Shape4, result: Place, input: Place, by: Requantisation) {
  const constant = 'multiplier' in by
  return {
    form: 'rqdq',
    fields: {
      ...requantisation('rq1', shape, result, input),
      opd2_sign: sign(result.signed),
      opd2_n_str: rounding.halfUp,
      ...(constant && {
        opd1_const: 1,
        opd2_addr: packed(immediate(by.zero ?? 0, 'int16'), immediate(-by.shift, 'int8')),
      }),
      opd1_addr: constant ? immediate(by.multiplier, 'int32') : by.table,
    },
  } satisfies InstructionOf<'rqdq'>
}

/** result = saturate((input - zero) * multiplier * 2^-shift), ties up; 8 bit to int16 or int32, all aligned. */
export const rescaled = (shape: Shape4, result: Place, input: Place, zero: number, by: Requant) =>
  ({
    form: 'rqdq',
    fields: {
      ...requantisation('dq1', shape, result, input),
      opd2_sign: sign(result.signed),
      opd2_n_str: rounding.halfUp,
      opd1_const: 1,
      opd1_addr: packed(immediate(-by.shift, 'int16'), immediate(zero, 'int16')),
      opd2_addr: immediate(by.multiplier, 'int32'),
    },
  }) satisfies InstructionOf<'rqdq'>

/** result = (input - zero) * scale in fp32; of 8-bit input. */
export const dequant = (shape: Shape4, result: Place, input: Place, scale: number, zero: number) =>
  ({
    form: 'rqdq',
    fields: {
      ...requantisation('dq0', shape, result, input),
      opd1_const: 1,
      opd1_addr: immediate(zero, 'int32'),
      opd2_addr: immediate(scale, 'fp32'),
    },
  }) satisfies InstructionOf<'rqdq'>

function move(op: keyof typeof eu.trans, shape: Shape4, type: Prec, to: number, from: number, c: number, w: number) {
  return {
    form: 'trans',
    fields: {
      tsk_eu_typ: eu.trans[op],
      ...sized(shape),
      res0_prec: prec[type],
      opd0_c: c,
      opd0_w: w,
      res0_addr: to,
      opd0_addr: from,
    },
  } satisfies InstructionOf<'trans'>
}

/** The same channels in other lanes: both aligned, start lanes by their addresses. */
export const laneCopy = (shape: Shape4, type: Prec, to: number, from: number) =>
  move('laneCopy', shape, type, to, from, shape[1], shape[3])

/** One channel into all lanes of the shape (c <= 64); in place when the addresses are equal. */
export const laneBroadcast = (shape: Shape4, type: Prec, to: number, from: number) =>
  move('laneBroadcast', shape, type, to, from, 1, shape[3])

/** result(n, c, h, w) = from(n, w, h, c), both aligned, result in lane 0. `shape` is the result's. */
export const swapChannelsAndColumns = (shape: Shape4, type: Prec, to: number, from: number) =>
  move('wcTs', shape, type, to, from, shape[3], shape[1])

/**
 * result(n, c, 0, w) = table(index(n, c, 0, w)): the 256 bytes of the table lie in every lane. The fast form wants the three in
 * different banks.
 */
export const lookup = (shape: Shape4, result: number, table: number, index: number, apart: boolean) =>
  ({
    form: 'sg',
    fields: {
      tsk_eu_typ: apart ? eu.sg.peSGatherD1coor : eu.sg.peSGatherHzd,
      ...sized(shape),
      opd0_h: 1,
      opd0_w: 256,
      opd0_str: layoutCode.perLaneTable,
      opd1_c: shape[1],
      opd1_w: shape[3],
      res0_addr: result,
      opd0_addr: table,
      opd1_addr: index,
    },
  }) satisfies InstructionOf<'sg'>

/** result = sum of coefficient[i] * input^i in fp32; the coefficients stand in every lane. */
export const polynomial = (shape: Shape4, result: number, input: number, coefficients: number, count: number) =>
  ({
    form: 'sfu',
    fields: {
      tsk_eu_typ: eu.sfu.taylor,
      ...sized(shape),
      res0_prec: prec.fp32,
      opd0_prec: prec.fp32,
      opd1_n: count,
      res0_addr: result,
      opd0_addr: input,
      opd1_addr: coefficients,
    },
  }) satisfies InstructionOf<'sfu'>

/** result = 1 / sqrt(input) in fp32, by `steps` iterations, 1 to 4. */
export const reciprocalRoot = (shape: Shape4, result: number, input: number, steps: number) =>
  ({
    form: 'sfu',
    fields: {
      tsk_eu_typ: eu.sfu.rsqrt,
      ...sized(shape),
      res0_prec: prec.fp32,
      opd0_prec: prec.fp32,
      opd2_n_str: steps - 1,
      res0_addr: result,
      opd0_addr: input,
    },
  }) satisfies InstructionOf<'sfu'>

/** result = input * scale[c] + bias[c], floats of one type; scale and bias compact. */
export const scaleChannels = (shape: Shape4, result: Place, input: Place, scale: number, bias: number) =>
  ({
    form: 'lin',
    fields: {
      tsk_eu_typ: eu.lin.mac,
      ...sized(shape),
      res0_prec: prec[result.prec],
      res0_addr: result.address,
      opd0_addr: input.address,
      opd1_addr: scale,
      opd2_addr: bias,
    },
  }) satisfies InstructionOf<'lin'>
