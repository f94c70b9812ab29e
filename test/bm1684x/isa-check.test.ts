import { describe, expect, it } from 'vitest'
import { programOf, readBmodel } from '../../src/bm1684x/bmodel/read.js'
import { localBase } from '../../src/bm1684x/chip.js'
import { checkInstruction } from '../../src/bm1684x/isa/check.js'
import { eu, type FormName, type Instruction, prec } from '../../src/bm1684x/isa/forms.js'
import { readBytes } from '../../src/disk.js'
import { shared } from '../shared.js'

type Fields = Record<string, number>
const lane = (index: number, offset = 0): number => index * 0x40000 + offset
const ones = 2 ** 32 - 1
const result = { res0_n: 1, res0_c: 32, res0_h: 16, res0_w: 16 }
const ddr = (side: 'src' | 'dst', offset = 0): Fields => ({
  [`${side}_start_addr_h8`]: 1,
  [`${side}_start_addr_l32`]: offset,
})
const local = (side: 'src' | 'dst', address: number): Fields => ({ [`${side}_start_addr_l32`]: localBase + address })
const sides = (side: 'src' | 'dst', shape: readonly number[], strides: readonly number[]): Fields =>
  Object.fromEntries(
    ['n', 'c', 'h', 'w'].flatMap((axis, i) => [
      [`${side}_${axis}size`, shape[i]!],
      [`${side}_${axis}stride`, strides[i]!],
    ]),
  )

/** Commands as generated code has them; each is legal. */
const legal: Readonly<Record<string, { form: FormName; fields: Fields }>> = {
  conv: {
    form: 'conv',
    fields: {
      ...{ opd0_sign: 1, opd1_sign: 1, res0_prec: prec.int32, opd2_const: 1, opd3_const: 1 },
      ...{ opd0_up_pad: 1, opd0_dn_pad: 1, opd0_lf_pad: 1, opd0_rt_pad: 1, res_op_x_str: 2, res_op_y_str: 2 },
      ...{ ...result, opd0_c: 100, opd0_h: 32, opd0_w: 32, opd1_h: 3, opd1_w: 3 },
      ...{ res0_addr: 0x8000, opd0_addr: 0, opd1_addr: 0x4000 },
    },
  },
  'max pool': {
    form: 'pord',
    fields: {
      ...{ tsk_eu_typ: eu.pord.max, opd3_const: 1, res_op_x_str: 2, res_op_y_str: 2, opd1_h: 2, opd1_w: 2 },
      ...{ ...result, opd0_h: 32, opd0_w: 32, res0_addr: 0x8000 },
    },
  },
  depthwise: {
    form: 'pord',
    fields: {
      ...{ res0_prec: prec.int32, opd3_const: 1, opd0_up_pad: 1, opd0_dn_pad: 1, opd0_lf_pad: 1, opd0_rt_pad: 1 },
      ...{ res_op_x_str: 1, res_op_y_str: 1, ...result, opd0_h: 16, opd0_w: 16, opd1_h: 3, opd1_w: 3 },
      ...{ res0_addr: 0x8000, opd1_addr: 0x4001, opd2_addr: 0x5004 },
    },
  },
  product: {
    form: 'mm2',
    fields: {
      ...{ tsk_eu_typ: eu.mm2.nn, res0_prec: prec.int32, opd2_const: 1, res0_c: 4, res0_w: 10, opd1_c: 32, opd1_w: 10 },
      ...{ res0_addr: 0x8000, opd1_addr: 0x4000 },
    },
  },
  'add of a bias': {
    form: 'ar',
    fields: {
      ...{
        tsk_eu_typ: eu.ar.adds,
        tsk_opd_num: 2,
        res0_prec: prec.int32,
        opd0_prec: prec.int32,
        opd1_prec: prec.int32,
      },
      ...{ opd0_str: 3, opd0_c_str: 1, ...result, res0_addr: 0x8000, opd0_addr: 0x400c, opd1_addr: 0x8000 },
    },
  },
  'free copy': {
    form: 'ar',
    fields: {
      ...{ tsk_eu_typ: eu.ar.copy, tsk_opd_num: 1, opd0_str: 3, res0_str: 3, ...result, res0_addr: 0x8001 },
      ...{ opd0_c_str: 256, opd0_h_str: 16, opd0_w_str: 1, res0_c_str: 1024, res0_h_str: 64, res0_w_str: 2 },
    },
  },
  requant: {
    form: 'rqdq',
    fields: {
      ...{ tsk_eu_typ: eu.rqdq.rq1, opd0_prec: prec.int32, opd2_n_str: 5, ...result },
      ...{ res0_addr: 0x4000, opd0_addr: 0x8000, opd1_addr: 0x1000 },
    },
  },
  'lane copy': {
    form: 'trans',
    fields: { tsk_eu_typ: eu.trans.laneCopy, ...result, opd0_c: 32, opd0_w: 16, res0_addr: lane(32) },
  },
  'lane broadcast': {
    form: 'trans',
    fields: { tsk_eu_typ: eu.trans.laneBroadcast, ...result, res0_c: 64, opd0_c: 1, opd0_w: 16 },
  },
  transpose: {
    form: 'trans',
    fields: { tsk_eu_typ: eu.trans.cwTs, ...result, opd0_c: 16, opd0_w: 32, res0_addr: 0x8000 },
  },
  lookup: {
    form: 'sg',
    fields: {
      ...{ tsk_eu_typ: eu.sg.peSGatherD1coor, opd0_str: 4, res0_n: 1, res0_c: 32, res0_h: 1, res0_w: 1024 },
      ...{ opd0_h: 1, opd0_w: 256, opd1_c: 32, opd1_w: 1024, res0_addr: 0xc000, opd0_addr: 0x8000, opd1_addr: 0x4000 },
    },
  },
  series: {
    form: 'sfu',
    fields: {
      ...{ tsk_eu_typ: eu.sfu.taylor, res0_prec: prec.fp32, opd0_prec: prec.fp32, opd1_n: 10, ...result },
      ...{ res0_addr: 0x4000, opd1_addr: 0x8000 },
    },
  },
  scale: {
    form: 'lin',
    fields: {
      tsk_eu_typ: eu.lin.mac,
      res0_prec: prec.fp16,
      ...result,
      res0_addr: 0x4000,
      opd1_addr: 0x8002,
      opd2_addr: 0x8102,
    },
  },
  select: {
    form: 'cmp',
    fields: { tsk_eu_typ: eu.cmp.selGt, opd1_const: 1, opd3_const: 1, ...result, res0_addr: 0x4000 },
  },
  load: {
    form: 'dma',
    fields: {
      ...{ stride_enable: 1, nchw_copy: 1, localmem_mask_l32: ones, localmem_mask_h32: ones },
      ...sides('src', [1, 3, 416, 416], [519168, 173056, 416, 1]),
      ...{ dst_nstride: 173056, dst_cstride: 173056, dst_hstride: 416, dst_wstride: 1 },
      ...ddr('src', 4096),
      ...local('dst', 0),
    },
  },
  broadcast: {
    form: 'dma',
    fields: {
      ...{ stride_enable: 1, cmd_special_function: 3, localmem_mask_l32: ones, localmem_mask_h32: ones },
      ...sides('src', [1, 1, 1, 256], [256, 256, 256, 1]),
      ...sides('dst', [1, 60, 1, 256], [256, 256, 256, 1]),
      ...ddr('src'),
      ...local('dst', lane(4)),
    },
  },
  'c and w swapped': {
    form: 'dma',
    fields: {
      ...{ stride_enable: 1, cmd_type: 4, localmem_mask_l32: ones, localmem_mask_h32: ones },
      ...sides('src', [3, 10, 1, 64], [640, 64, 64, 1]),
      ...sides('dst', [3, 64, 1, 10], [640, 10, 10, 1]),
      ...ddr('src'),
      ...ddr('dst', 8192),
    },
  },
  fill: {
    form: 'dma',
    fields: {
      ...{ stride_enable: 1, nchw_copy: 1, fill_constant_en: 1, localmem_mask_l32: ones, localmem_mask_h32: ones },
      ...{
        ...sides('src', [1, 3, 8, 8], [0, 0, 0, 1]),
        dst_nstride: 64,
        dst_cstride: 64,
        dst_hstride: 8,
        dst_wstride: 1,
      },
      ...local('dst', 0x1000),
    },
  },
}

const check = (name: string, change: Fields = {}): readonly string[] => {
  const { form, fields } = legal[name]!
  return checkInstruction({ form, fields: { ...fields, ...change } } as Instruction)
}

describe('commands that are legal', () => {
  it.each(Object.keys(legal))('%s: nothing to say', (name) => expect(check(name)).toEqual([]))

  it.skipIf(!shared('golden')).each([
    ['small', 'small_int8'],
    ['small', 'small_mixed'],
    ['street_tiny', 'street_tiny_int8'],
    ['street_tiny', 'street_tiny_mixed'],
  ])("the vendor's %s/%s.bmodel", (folder, name) => {
    const { tiu, dma } = programOf(readBmodel(readBytes(shared('golden', folder, `${name}.bmodel`)!), name).nets[0]!)
    expect(tiu.length + dma.length).toBeGreaterThan(50)
    expect([...tiu, ...dma].flatMap(checkInstruction)).toEqual([])
  })
})

describe('a command that is not', () => {
  it.each<[string, Fields, string]>([
    ['conv', { res0_n: 0, opd0_c: 0 }, 'res0_n = 0, not 1..65535'],
    ['conv', { opd0_addr: 32 }, 'opd0_addr 0x20 is not a multiple of 64'],
    ['conv', { opd0_addr: lane(1) }, 'the input must start in lane 0'],
    ['conv', { opd1_addr: 0x4020 }, 'opd1_addr 0x4020 is not a multiple of 64'],
    ['conv', { opd1_addr: lane(3, 0x4000) }, 'opd1_addr 0xc4000 and res0_addr 0x8000 start in different lanes'],
    ['conv', { opd2_const: 0, opd2_addr: lane(3) }, 'opd2_addr 0xc0000 and res0_addr 0x8000 start in different lanes'],
    ['conv', { res0_addr: 0x3ff00 }, 'goes beyond its lane'],
    ['conv', { opd0_addr: 0x3fc00 }, 'opd0_addr 0x3fc00 with 2048 bytes goes beyond its lane'],
    ['conv', { res0_addr: 0x400 }, 'res0_addr 0x400 lies over opd0_addr 0x0'],
    ['conv', { res0_h: 15 }, 'res0_h = 15, but the window gives 16'],
    ['conv', { res_op_x_str: 0 }, 'res_op_x_str = 0, not 1..15'],
    ['conv', { opd0_x_ins0: 15 }, 'more than 14 inserted'],
    ['conv', { res0_prec: prec.int8 }, 'res0_prec is int8, not one of int16, int32'],
    ['conv', { opd0_prec: 7 }, 'opd0_prec is 7, not one of'],
    ['conv', { opd0_str: 1 }, 'opd0_str = 1'],
    ['conv', { tsk_eu_typ: 9 }, 'unit 9 is not supported'],
    ['max pool', { res0_addr: 0x100 }, 'res0_addr 0x100 lies over opd0_addr 0x0'],
    ['max pool', { opd0_y_ins0: 8 }, 'more than 7 inserted'],
    ['max pool', { res0_prec: prec.fp16 }, 'res0_prec is fp16, not one of int8'],
    ['max pool', { res0_addr: lane(1) }, 'start in different lanes'],
    ['depthwise', { opd2_addr: 0x5002 }, 'opd2_addr 0x5002 is not a multiple of 4'],
    ['depthwise', { opd1_addr: lane(2) }, 'start in different lanes'],
    ['product', { opd1_w: 11 }, 'opd1 does not fit the result'],
    ['product', { opd1_addr: lane(1) }, 'opd1_addr must start in lane 0'],
    ['add of a bias', { opd0_addr: 0x400d }, 'opd0_addr 0x400d is not a multiple of 4'],
    ['add of a bias', { opd1_addr: 0x8004 }, 'opd1_addr 0x8004 is not a multiple of 64'],
    ['add of a bias', { opd1_addr: lane(1) }, 'start in different lanes'],
    ['add of a bias', { tsk_eu_typ: eu.ar.div }, 'division is for fp32 only'],
    ['add of a bias', { tsk_eu_typ: eu.ar.max, opd1_prec: prec.fp32 }, 'operands of max and min are of one type'],
    [
      'add of a bias',
      { tsk_eu_typ: eu.ar.selectEq, opd0_prec: prec.int8, res0_prec: prec.fp32 },
      'what is selected is wider than what is compared',
    ],
    ['free copy', { res0_h_str: 0 }, "the result's h stride is 0"],
    // Bits 18 and 19 of h_str are the high bits of the n stride.
    ['free copy', { res0_n: 2, res0_h_str: 64 + 2 ** 18, res0_n_str: 0 }, ''],
    ['free copy', { res0_n: 2, res0_h_str: 64 + 2 ** 19, res0_n_str: 65535 }, ''],
    ['free copy', { res0_n: 3, res0_h_str: 64 + 3 * 2 ** 18, res0_n_str: 0 }, 'goes beyond its lane'],
    ['free copy', { res0_prec: prec.int32, res0_addr: 0x8000 }, 'a copy between types of other widths'],
    ['requant', { opd0_prec: prec.int8 }, 'opd0_prec is int8, not one of int16, int32'],
    ['requant', { opd1_addr: 0x100c }, 'opd1_addr 0x100c is not a multiple of 64'],
    ['requant', { opd2_n_str: 7 }, 'the rounding code 7'],
    ['lane copy', { res0_addr: 0 }, 'a copy onto itself'],
    ['lane copy', { opd0_c: 31 }, 'opd0_c = 31 does not follow from the result'],
    ['lane broadcast', { res0_addr: lane(1) }, 'goes beyond the last lane'],
    ['transpose', { opd0_addr: lane(2) }, 'the source must start in lane 0'],
    ['lookup', { opd1_addr: 0x8100 }, 'opd0_addr and opd1_addr share bank 2'],
    ['lookup', { opd1_w: 512 }, 'index and result have one shape'],
    ['series', { opd1_n: 1 }, 'a series has two coefficients at least'],
    ['scale', { res0_prec: prec.int8 }, 'res0_prec is int8, not one of fp16'],
    ['scale', { opd1_addr: 0x8001 }, 'opd1_addr 0x8001 is not a multiple of 2'],
    ['select', { opd2_addr: 32 }, 'opd2_addr 0x20 is not a multiple of 64'],
    ['load', { src_wstride: 0 }, 'src w stride 0 is not 1 to 128 bytes'],
    ['load', { src_wstride: 129 }, 'src w stride 129 is not 1 to 128 bytes'],
    ['load', { src_wsize: 0 }, 'src has 0 in w'],
    ['load', { src_start_addr_h8: 0, src_start_addr_l32: 0x4000 }, 'is in no memory that DMA reaches'],
    ['load', { src_start_addr_h8: 0, src_start_addr_l32: 0x900_0000 }, 'is in no memory that DMA reaches'],
    ['load', local('dst', 0x20000), 'of its lane'],
    ['load', { localmem_mask_l32: 1 }, 'lanes are masked out'],
    ['load', { src_data_format: 6 }, 'src_data_format is 6'],
    ['load', { nchw_copy: 0, dst_nsize: 1, dst_csize: 3, dst_hsize: 416, dst_wsize: 415 }, 'sizes differ'],
    ['load', { cmd_special_function: 6 }, 'special function 6 is not supported'],
    ['broadcast', { src_csize: 2 }, 'cannot broadcast'],
    ['broadcast', local('dst', lane(5)), 'not beyond the last'],
    ['c and w swapped', { dst_csize: 63 }, 'with c and w swapped is not'],
    ['fill', ddr('src'), 'a fill has no source'],
  ])('%s with %j', (name, change, message) => {
    const found = check(name, change)
    if (message === '') expect(found).toEqual([])
    else expect(found.join('\n')).toContain(message)
  })
})
