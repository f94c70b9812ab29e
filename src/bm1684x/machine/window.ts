/** What convolution and pooling share: how a window moves over a padded, spread-out input. */
import type { InstructionOf } from '../isa/forms.js'
import { refuse } from './memory.js'

export interface Window {
  readonly kernel: readonly [number, number]
  readonly strides: readonly [number, number]
  /** 1 = dense */
  readonly dilations: readonly [number, number]
  /** Distance of input elements in the spread-out input: inserted constants + 1. */
  readonly spread: readonly [number, number]
  /** up, left */
  readonly pads: readonly [number, number]
  /** Size of the padded, spread-out input. */
  readonly extent: readonly [number, number]
}

/** @throws QuantError where the result's size is not what the window gives */
export function windowOf({ fields }: InstructionOf<'conv'> | InstructionOf<'pord'>): Window {
  const {
    opd0_h: ih = 0,
    opd0_w: iw = 0,
    opd1_h: kh = 0,
    opd1_w: kw = 0,
    opd0_y_ins0: insY = 0,
    opd0_x_ins0: insX = 0,
    opd1_y_ins0: dilY = 0,
    opd1_x_ins0: dilX = 0,
    opd0_up_pad: up = 0,
    opd0_dn_pad: down = 0,
    opd0_lf_pad: left = 0,
    opd0_rt_pad: right = 0,
    res_op_y_str: strideY = 0,
    res_op_x_str: strideX = 0,
    pad_mode: padMode = 0,
  } = fields
  if (padMode !== 0) throw refuse(`padding mode ${padMode} is not modelled`)
  if (fields.opd3_const !== 1) throw refuse('padding from a table is not modelled')
  if (strideX === 0 || strideY === 0 || kh === 0 || kw === 0) throw refuse('a window needs a size and a stride')
  const extent = [(ih - 1) * (insY + 1) + 1 + up + down, (iw - 1) * (insX + 1) + 1 + left + right] as const
  const size = [
    Math.floor((extent[0] - (dilY + 1) * (kh - 1) - 1) / strideY) + 1,
    Math.floor((extent[1] - (dilX + 1) * (kw - 1) - 1) / strideX) + 1,
  ]
  if (size[0] !== fields.res0_h || size[1] !== fields.res0_w)
    throw refuse(`the window gives ${size.join('x')}, the result is ${fields.res0_h}x${fields.res0_w}`)
  return {
    kernel: [kh, kw],
    strides: [strideY, strideX],
    dilations: [dilY + 1, dilX + 1],
    spread: [insY + 1, insX + 1],
    pads: [up, left],
    extent,
  }
}

/** Place of the tap (ky, kx) in a filter, which may lie rotated by 180 degrees. */
export const tapOf = ({ kernel: [kh, kw] }: Window, rotated: number | undefined, ky: number, kx: number): number =>
  rotated === 1 ? kh * kw - 1 - (ky * kw + kx) : ky * kw + kx
