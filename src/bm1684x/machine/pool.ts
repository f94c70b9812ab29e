/** Windows over single channels (tsk_typ 1): depthwise convolution, maximum, average. */
import { eu, type InstructionOf, prec } from '../isa/forms.js'
import {
  compactStrides,
  elementAt,
  immediate,
  isFloat,
  load,
  type Memory,
  operandAt,
  perChannel,
  rangeOf,
  refuse,
  type Shape,
  separate,
  store,
} from './memory.js'
import { flush, rounder, roundShift } from './numbers.js'
import { windowOf } from './window.js'
import { type Frame, leadWindows, type WindowLoop } from './windows.js'

/**
 * One pord command. int8: exact sums. Floats, in the order and with the roundings of the vendor's model: products and sums are rounded to
 * the element type; even taps are added to one sum, odd ones to another that begins with the bias; the result is the sum of both. An
 * average is a depthwise convolution with equal weights.
 */
export function pool({ local, loops }: Memory, instruction: InstructionOf<'pord'>): void {
  const { fields } = instruction
  const window = windowOf(instruction)
  const unit = fields.tsk_eu_typ ?? 0
  const { depthwise, depthwiseRelu, max, avg } = eu.pord
  const weighted = unit === depthwise || unit === depthwiseRelu
  if (!weighted && unit !== max && unit !== avg) throw refuse(`window operation ${unit} is not modelled`)
  const type = fields.opd0_prec ?? 0
  const float = isFloat(type)
  // The vendor's model does not cut floats at 0, whatever the chip may do.
  if (float && unit === depthwiseRelu) throw refuse('depthwise_relu is for integers')
  const [n, c, oh, ow] = [fields.res0_n ?? 0, fields.res0_c ?? 0, fields.res0_h ?? 0, fields.res0_w ?? 0]
  const inShape: Shape = [n, c, fields.opd0_h ?? 0, fields.opd0_w ?? 0]
  const input = operandAt(fields.opd0_addr ?? 0, inShape, type, fields.opd0_sign === 1, 'aligned')
  const result = operandAt(fields.res0_addr ?? 0, [n, c, oh, ow], fields.res0_prec ?? 0, true, 'aligned')
  if (input.lane !== result.lane) throw refuse('input and result begin in different lanes')
  if (unit === max && type !== result.prec) throw refuse('the maximum has the type of its input')

  const anySign = fields.opd0_sign === 1 || (weighted && (fields.opd1_sign === 1 || fields.opd2_sign === 1))
  const unsigned = unit === depthwiseRelu && result.prec !== prec.int32
  const [least, most] = rangeOf(result.prec, anySign && !unsigned)
  const [kh, kw] = window.kernel
  const taps = kh * kw
  const kernelShape: Shape = [1, c, kh, kw]
  const kernel =
    weighted && fields.opd1_const !== 1
      ? operandAt(
          fields.opd1_addr ?? 0,
          kernelShape,
          type,
          fields.opd1_sign === 1,
          compactStrides(kernelShape, input.lane),
        )
      : undefined
  const biasType = float ? type : prec.int32
  const bias =
    weighted && fields.opd2_const !== 1
      ? operandAt(fields.opd2_addr ?? 0, [1, c, 1, 1], biasType, fields.opd2_sign === 1, perChannel)
      : undefined
  for (const operand of [kernel, bias])
    if (operand && operand.lane !== input.lane) throw refuse('operands begin in different lanes')

  const weights = new Float64Array(taps)
  if (weighted && !kernel) weights.fill(immediate(fields.opd1_addr ?? 0, type, fields.opd1_sign === 1))
  const start = new Float64Array(1)
  const biasSigned = anySign
  if (weighted && !bias) start[0] = immediate(fields.opd2_addr ?? 0, biasType, biasSigned)
  // The factor of an 8-bit average is unsigned, whatever its sign bit says.
  const average = immediate(fields.opd1_addr ?? 0, type, false)
  const shift =
    unit === avg ? (fields.opd2_addr ?? 0) & 0xff : weighted && !float ? ((fields.res1_addr ?? 0) >>> 8) & 0xff : 0
  const mode = unit === avg ? 5 : (fields.opd2_n_str ?? 0)

  const [eh, ew] = window.extent
  const pad = immediate(fields.opd3_addr ?? 0, type, input.signed)
  const insert = immediate(fields.res1_addr ?? 0, type, input.signed)
  const loop = loopName()
  if (loop !== undefined) {
    const frame: Frame = {
      window,
      input,
      result,
      shape: inShape,
      size: [oh, ow],
      pad: fields.opd3_addr ?? 0,
    }
    leadWindows(loops, loop, frame, (channel) => ({
      weights: weighted ? weightsOf(channel) : undefined,
      start: weighted ? startOf(channel) : 0,
    }))
    return
  }
  const image = new Float64Array(eh * ew)
  const line = new Float64Array(inShape[3])
  const sums = new Float64Array(oh * ow)
  const odd = new Float64Array(float && unit !== max ? oh * ow : 0)
  const round = rounder(type)
  for (let in_ = 0; in_ < n; in_++)
    for (let channel = 0; channel < c; channel++) {
      layOut(in_, channel)
      if (weighted) weightsOf(channel)
      const begin = weighted ? startOf(channel) : 0
      sums.fill(unit === max ? -Infinity : float ? 0 : begin)
      odd.fill(begin)
      for (let ky = 0; ky < kh; ky++)
        for (let kx = 0; kx < kw; kx++) {
          const from = ky * window.dilations[0] * ew + kx * window.dilations[1]
          const weight = weighted ? weights[ky * kw + kx]! : float ? average : 1
          if (unit === max) largest(from)
          else if (float) addRounded((ky * kw + kx) % 2 === 0 ? sums : odd, from, weight)
          else add(from, weight)
        }
      finish()
      store(local, result.prec, elementAt(result, in_, channel), 1, oh * ow, sums)
    }

  /** In the order of taps. */
  function weightsOf(channel: number): Float64Array {
    if (kernel) load(local, type, kernel.signed, elementAt(kernel, 0, channel), 1, taps, weights)
    if (type === prec.fp32) flush(weights, taps)
    return kernel && fields.kernel_rotate === 1 ? weights.reverse() : weights
  }

  function startOf(channel: number): number {
    if (bias) load(local, biasType, biasSigned, elementAt(bias, 0, channel), 1, 1, start)
    return start[0]!
  }

  /** The loop that does the same, where there is one. */
  function loopName(): WindowLoop | undefined {
    const stride = window.strides[1]
    if ((stride !== 1 && stride !== 2) || window.spread[0] > 1 || window.spread[1] > 1) return undefined
    if (!separate([n, c, oh, ow], result, input, inShape)) return undefined
    const sign = input.signed ? 's8' : 'u8'
    if (unit === max) {
      if (type === prec.int8) return `largest_${sign}_${stride}`
      return type === prec.fp32 ? `largest_f32_${stride}` : type === prec.fp16 ? `largest_f16_${stride}` : undefined
    }
    if (unit !== depthwise) return undefined
    if (type === prec.fp32) return result.prec === prec.fp32 ? `weighted_f32_${stride}` : undefined
    if (type !== prec.int8 || result.prec !== prec.int32 || shift !== 0 || !anySign || taps > 4096) return undefined
    // Sums may not leave int32.
    for (let channel = 0; channel < c; channel++) if (Math.abs(startOf(channel)) > 2 ** 30) return undefined
    return `weighted_${sign}_${stride}`
  }

  function layOut(in_: number, channel: number): void {
    image.fill(pad)
    const [sy, sx] = window.spread
    for (let y = 0; y < (inShape[2] - 1) * sy + 1; y++) {
      const to = (window.pads[0] + y) * ew + window.pads[1]
      if (sy > 1 || sx > 1) image.fill(insert, to, to + (inShape[3] - 1) * sx + 1)
      if (y % sy !== 0) continue
      load(local, type, input.signed, elementAt(input, in_, channel) + (y / sy) * inShape[3], 1, inShape[3], line)
      if (type === prec.fp32) flush(line, inShape[3])
      for (let x = 0; x < inShape[3]; x++) image[to + x * sx] = line[x]!
    }
  }

  function largest(from: number): void {
    for (let y = 0, to = 0; y < oh; y++)
      for (let x = 0, at = from + y * window.strides[0] * ew; x < ow; x++, to++, at += window.strides[1])
        if (image[at]! > sums[to]!) sums[to] = image[at]!
  }

  function add(from: number, weight: number): void {
    for (let y = 0, to = 0; y < oh; y++)
      for (let x = 0, at = from + y * window.strides[0] * ew; x < ow; x++, to++, at += window.strides[1])
        sums[to] = sums[to]! + image[at]! * weight
  }

  function addRounded(into: Float64Array, from: number, weight: number): void {
    for (let y = 0, to = 0; y < oh; y++)
      for (let x = 0, at = from + y * window.strides[0] * ew; x < ow; x++, to++, at += window.strides[1])
        into[to] = round(into[to]! + round(image[at]! * weight))
  }

  function finish(): void {
    if (unit === max) return
    if (float) for (let i = 0; i < sums.length; i++) sums[i] = round(sums[i]! + odd[i]!)
    else if (unit === avg) for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! * average
    if (float) {
      if (result.prec === prec.fp32) flush(sums, sums.length)
      return
    }
    const floor = unit === depthwiseRelu ? 0 : least
    for (let i = 0; i < sums.length; i++) sums[i] = Math.min(most, Math.max(floor, roundShift(sums[i]!, shift, mode)))
  }
}
