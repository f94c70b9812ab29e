/** Small programs written by hand, command by command: what the tests of runners, timing and commands need no code generator for. */
import { globalBase, localBase } from '../../src/bm1684x/chip.js'
import { eu, type Instruction, type InstructionOf, prec } from '../../src/bm1684x/isa/forms.js'
import type { Program } from '../../src/bm1684x/program.js'

type DmaFields = InstructionOf<'dma'>['fields']

const high = (address: number): number => Math.floor(address / 2 ** 32)

/** A dma copy of [n, c, h, w] elements. Local channels begin at multiples of 64 bytes, global ones follow each other. */
export function copy(
  [n, c, h, w]: readonly [number, number, number, number],
  { from, to, id, dep }: { from: number; to: number; id: number; dep: number },
  format: number = prec.fp32,
): Instruction {
  const perChannel = (address: number): number => (high(address) > 0 ? h * w : Math.ceil((h * w) / 16) * 16)
  const strides: DmaFields = {
    src_nstride: c * perChannel(from),
    src_cstride: perChannel(from),
    src_hstride: w,
    src_wstride: 1,
    dst_nstride: c * perChannel(to),
    dst_cstride: perChannel(to),
    dst_hstride: w,
    dst_wstride: 1,
  }
  return {
    form: 'dma',
    fields: {
      stride_enable: 1,
      nchw_copy: 1,
      cmd_id_en: 1,
      cmd_id: id,
      cmd_id_dep: dep,
      src_data_format: format,
      ...strides,
      src_nsize: n,
      src_csize: c,
      src_hsize: h,
      src_wsize: w,
      src_start_addr_l32: from % 2 ** 32,
      src_start_addr_h8: high(from),
      dst_start_addr_l32: to % 2 ** 32,
      dst_start_addr_h8: high(to),
      localmem_mask_l32: 0xffff_ffff,
      localmem_mask_h32: 0xffff_ffff,
    },
  }
}

export const tiuEnd = (id: number): Instruction => ({
  form: 'sys',
  fields: { cmd_id: id, tsk_eu_typ: eu.sys.end },
})
export const dmaEnd = (id: number): Instruction => ({ form: 'dmaSys', fields: { cmd_id: id, cmd_id_en: 1 } })

const float = new DataView(new ArrayBuffer(4))
const floatBits = (value: number): number => {
  float.setFloat32(0, value)
  return float.getUint32(0)
}

/** y = factor * x on float32 [1, 3, 4, 8]: load, multiply by an immediate, store. */
export function scaling(factor: number): Program {
  const shape = [1, 3, 4, 8] as const
  const [x, y] = [globalBase, globalBase + 4096]
  return {
    name: 'scaling',
    tiu: [
      {
        form: 'ar',
        fields: {
          cmd_id: 1,
          cmd_id_dep: 1,
          cmd_id_en: 1,
          tsk_eu_typ: eu.ar.mul,
          tsk_opd_num: 2,
          opd1_const: 1,
          opd1_addr: floatBits(factor),
          opd0_sign: 1,
          opd1_sign: 1,
          res0_prec: prec.fp32,
          opd0_prec: prec.fp32,
          opd1_prec: prec.fp32,
          res0_n: 1,
          res0_c: 3,
          res0_h: 4,
          res0_w: 8,
          res0_addr: 0x8000,
        },
      },
      tiuEnd(2),
    ],
    dma: [
      copy(shape, { from: x, to: localBase, id: 1, dep: 0 }),
      copy(shape, { from: localBase + 0x8000, to: y, id: 2, dep: 1 }),
      dmaEnd(3),
    ],
    coefficients: new Uint8Array(),
    neuronBytes: 8192,
    inputs: [{ name: 'x', type: 'f32', shape, address: x, scale: 1 }],
    outputs: [{ name: 'y', type: 'f32', shape, address: y, scale: 1 }],
    spans: [{ layer: 'y', tiu: [0, 1], dma: [0, 2] }],
  }
}

/** The conv of a layer: int8 [1, ic, h, w] -> int32 [1, oc, h, w], 3x3, padded. */
export const conv3x3 = (
  { ic, oc, h, w }: { ic: number; oc: number; h: number; w: number },
  { id, dep }: { id: number; dep: number },
  precision: number = prec.int8,
): Instruction => ({
  form: 'conv',
  fields: {
    cmd_id: id,
    cmd_id_dep: dep,
    cmd_id_en: 1,
    res0_prec: precision === prec.int8 ? prec.int32 : precision,
    opd0_prec: precision,
    opd0_up_pad: 1,
    opd0_dn_pad: 1,
    opd0_lf_pad: 1,
    opd0_rt_pad: 1,
    res_op_x_str: 1,
    res_op_y_str: 1,
    res0_n: 1,
    res0_c: oc,
    res0_h: h,
    res0_w: w,
    opd0_c: ic,
    opd0_h: h,
    opd0_w: w,
    opd1_h: 3,
    opd1_w: 3,
  },
})
