/**
 * The instruction set: for each form its fields in order of bits, with their widths. Bit 0 is the least significant bit of byte 0;
 * fields may straddle bytes. Names that begin with `_` are reserved and 0.
 *
 * TIU commands stand in their short forms (what official models use), DMA commands in the only form that the runtime can
 * walk: 96 bytes, the end 16.
 */

const head = { cmd_short: 1, cmd_id: 20, cmd_id_dep: 20, tsk_typ: 4, tsk_eu_typ: 5 } as const

// biome-ignore format: a table
export const forms = {
  conv: { ...head, opd0_sign: 1, opd1_sign: 1, opd2_sign: 1, pad_mode: 2, cmd_id_en: 4, pwr_step: 4, res_add: 1, kernel_rotate: 1,
    res0_prec: 3, opd0_prec: 3, opd1_const: 1, opd2_const: 1, opd0_up_pad: 4, opd0_dn_pad: 4, opd0_lf_pad: 4, opd0_rt_pad: 4,
    res_op_x_str: 4, res_op_y_str: 4, opd3_const: 1, opd0_str: 3, res0_addr: 26, intr_en: 1, opd0_x_ins0: 4, opd0_y_ins0: 4,
    opd1_x_ins0: 4, opd1_y_ins0: 4, opd0_n_str: 16, res0_n: 16, res0_c: 16, res0_h: 16, res0_w: 16, opd0_c: 16, opd0_h: 16,
    opd0_w: 16, opd1_h: 16, opd1_w: 16, opd0_c_str: 16, opd0_addr: 32, opd1_addr: 32, opd2_addr: 32, res1_addr: 32,
    opd3_addr: 32, opd0_h_str: 16, opd0_w_str: 16 },
  pord: { ...head, kernel_rotate: 1, opd0_sign: 1, opd1_sign: 1, pad_mode: 2, cmd_id_en: 4, pwr_step: 4, opd1_const: 1,
    opd2_const: 1, opd3_const: 1, res0_prec: 3, opd0_prec: 3, opd0_x_ins0: 4, opd0_y_ins0: 4, opd1_x_ins0: 4, opd1_y_ins0: 4,
    opd0_up_pad: 4, opd0_dn_pad: 4, opd0_lf_pad: 4, opd0_rt_pad: 4, res_op_x_str: 4, res_op_y_str: 4, opd2_n_str: 3, _115: 11,
    opd2_sign: 1, intr_en: 1, res0_n: 16, res0_c: 16, res0_h: 16, res0_w: 16, opd0_h: 16, opd0_w: 16, opd1_h: 16, opd1_w: 16,
    res0_addr: 32, opd0_addr: 32, opd1_addr: 32, opd2_addr: 32, res1_addr: 32, opd3_addr: 32, _448: 64 },
  mm2: { ...head, opd0_sign: 1, opd1_sign: 1, res0_prec: 3, cmd_id_en: 4, pwr_step: 4, opd2_const: 1, res0_c: 16, res0_w: 16,
    opd1_c: 16, opd1_w: 16, opd0_prec: 3, opd0_const: 1, opd1_const: 1, res_add: 1, res0_addr: 25, intr_en: 1, opd0_addr: 32,
    opd1_addr: 32, opd2_addr: 32 },
  ar: { ...head, opd0_const: 1, opd1_const: 1, opd2_const: 1, tsk_opd_num: 2, cmd_id_en: 4, pwr_step: 4, intr_en: 1,
    res0_prec: 3, opd0_prec: 3, opd1_prec: 3, opd2_prec: 3, opd0_sign: 1, opd1_sign: 1, res0_str: 3, opd0_str: 3, opd1_str: 3,
    opd2_n_str: 3, _90: 6, res0_n: 16, res0_c: 16, res0_h: 16, res0_w: 16, res0_addr: 32, opd0_addr: 32, opd1_addr: 32,
    opd2_addr: 32, res0_n_str: 16, res0_c_str: 16, opd0_n_str: 16, opd0_c_str: 16, opd1_n_str: 16, opd1_c_str: 16,
    res0_h_str: 20, res0_w_str: 20, opd0_h_str: 20, opd2_sign: 1, _445: 3, opd0_w_str: 20, opd1_h_str: 20, opd1_w_str: 20,
    _508: 4 },
  rqdq: { ...head, opd0_sign: 1, opd2_sign: 1, res0_prec: 3, cmd_id_en: 4, pwr_step: 4, opd1_const: 1, opd0_prec: 3,
    opd2_n_str: 6, res0_addr: 27, opd0_addr: 27, intr_en: 1, res0_n: 16, res0_c: 16, res0_h: 16, res0_w: 16, opd1_addr: 32,
    opd2_addr: 32 },
  trans: { ...head, res0_prec: 3, _53: 2, cmd_id_en: 4, pwr_step: 4, intr_en: 1, res0_n: 16, res0_c: 16, res0_h: 16,
    res0_w: 16, opd0_c: 16, opd0_w: 16, _160: 32, res0_addr: 32, opd0_addr: 32 },
  sg: { ...head, opd3_const: 1, intr_en: 1, opd0_str: 3, cmd_id_en: 4, pwr_step: 4, opd2_const: 1, res0_n: 16, res0_c: 16,
    res0_h: 16, res0_w: 16, opd0_h: 16, opd0_w: 16, opd1_c: 16, opd1_w: 16, res0_prec: 3, res0_addr: 29, opd0_prec: 3,
    opd0_addr: 29, opd1_prec: 3, opd1_addr: 29, opd2_addr: 32, res1_addr: 32, opd3_addr: 32 },
  sfu: { ...head, _50: 5, cmd_id_en: 4, pwr_step: 4, intr_en: 1, res0_prec: 3, opd0_prec: 3, opd2_n_str: 2, _72: 8,
    res0_n: 16, res0_c: 16, res0_h: 16, res0_w: 16, opd1_n: 16, res0_addr: 32, opd0_addr: 32, opd1_addr: 32 },
  lin: { ...head, opd1_const: 1, opd2_const: 1, res0_prec: 3, cmd_id_en: 4, pwr_step: 4, intr_en: 1, res0_n: 16, res0_c: 16,
    res0_h: 16, res0_w: 16, res0_addr: 32, opd0_addr: 32, opd1_addr: 32, opd2_addr: 32 },
  cmp: { ...head, opd0_const: 1, opd1_const: 1, opd2_const: 1, opd3_const: 1, _54: 1, cmd_id_en: 4, pwr_step: 4, intr_en: 1,
    opd0_prec: 3, opd2_prec: 3, opd0_str: 3, opd1_str: 3, _76: 51, opd0_sign: 1, res0_n: 16, res0_c: 16, res0_h: 16,
    res0_w: 16, res0_addr: 32, res1_addr: 32, opd0_addr: 32, opd1_addr: 32, opd2_addr: 32, opd3_addr: 32 },
  sys: { ...head, _50: 5, cmd_id_en: 4, pwr_step: 4, intr_en: 1, cmd_id_eng1: 20, cmd_id_eng2: 20, cmd_id_eng3: 20, _124: 4 },
  dma: { intr_en: 1, stride_enable: 1, nchw_copy: 1, cmd_short: 1, decompress_enable: 1, cmd_id_en: 4, cmd_id: 20, _29: 3,
    cmd_type: 4, cmd_special_function: 3, fill_constant_en: 1, src_data_format: 3, _43: 21, cmd_id_dep: 20, _84: 12,
    constant_value: 32, src_nstride: 32, src_cstride: 32, src_hstride: 32, src_wstride: 32, dst_nstride: 32, dst_cstride: 32,
    dst_hstride: 32, dst_wstride: 32, src_nsize: 16, src_csize: 16, src_hsize: 16, src_wsize: 16, dst_nsize: 16, dst_csize: 16,
    dst_hsize: 16, dst_wsize: 16, src_start_addr_l32: 32, src_start_addr_h8: 8, _552: 24, dst_start_addr_l32: 32,
    dst_start_addr_h8: 8, _616: 24, _640: 32, _672: 32, localmem_mask_l32: 32, localmem_mask_h32: 32 },
  dmaSys: { intr_en: 1, stride_enable: 1, nchw_copy: 1, cmd_short: 1, decompress_enable: 1, cmd_id_en: 4, cmd_id: 20, _29: 3,
    cmd_type: 4, cmd_special_function: 3, fill_constant_en: 1, src_data_format: 3, _43: 21, cmd_id_dep: 20, _84: 12,
    constant_value: 32 },
} as const

export type FormName = keyof typeof forms
export type Engine = 'tiu' | 'dma'
/** Fields of a form but for the reserved ones. */
export type FieldName<F extends FormName> = Exclude<keyof (typeof forms)[F], `_${string}`>

/** One command, decoded. Every field is an unsigned integer of its width; those not given are 0. */
export type InstructionOf<F extends FormName> = {
  readonly form: F
  readonly fields: Readonly<Partial<Record<FieldName<F>, number>>>
}
export type Instruction = { [F in FormName]: InstructionOf<F> }[FormName]

export const engineOf = (form: FormName): Engine => (form === 'dma' || form === 'dmaSys' ? 'dma' : 'tiu')

/** `tsk_typ` of the TIU forms. */
export const taskType = {
  conv: 0,
  pord: 1,
  mm2: 2,
  ar: 3,
  rqdq: 4,
  trans: 5,
  sg: 6,
  sfu: 9,
  lin: 10,
  cmp: 13,
  sys: 15,
} as const

/** `tsk_eu_typ`: what a task does. */
export const eu = {
  conv: { normal: 0, wrq: 1, wrqrelu: 2 },
  pord: { depthwise: 0, avg: 1, depthwiseRelu: 2, max: 4 },
  mm2: { nn: 4, nt: 5, tt: 6 },
  ar: {
    mul: 0,
    not: 1,
    add: 2,
    sub: 3,
    max: 4,
    min: 5,
    logicShift: 6,
    and: 7,
    or: 8,
    xor: 9,
    selectGt: 10,
    selectEq: 11,
    div: 12,
    selectLt: 13,
    cast: 14,
    adds: 15,
    subs: 16,
    clamp: 17,
    mac: 18,
    copy: 19,
    muls: 20,
    ashift: 21,
    rotate: 22,
    mulDHR: 23,
    abs: 26,
    fsubabs: 27,
    copyMb: 28,
    getFirstOne: 29,
    getFirstZero: 30,
  },
  rqdq: { rq0: 0, rq1: 1, dq0: 3, dq1: 4 },
  trans: { cwTs: 0, wcTs: 1, laneCopy: 2, laneBroadcast: 3, staticBroadcast: 4, staticDistribute: 5 },
  sg: { peSGatherD1coor: 5, peSScatterD1coor: 6, peSGatherHzd: 13, peSScatterHzd: 14 },
  sfu: { taylor4x: 12, taylor: 13, norm: 15, rsqrt: 17 },
  lin: { mac: 1, squareSum: 20, squareDiff: 21 },
  cmp: { gtAndSelGt: 22, selGt: 23, selEq: 24, ltAndSelLt: 25, selLt: 26 },
  sys: { syncId: 5, nop: 30, end: 31 },
} as const

/** DMA `cmd_type`; special functions of `tensor`. */
export const dmaType = { tensor: 0, matrix: 1, general: 3, cwTranspose: 4, sys: 6 } as const
export const dmaTensor = { copy: 0, transposeNC: 1, collect: 2, broadcast: 3, distribute: 4 } as const

/** Element types as TIU `*_prec` and DMA `src_data_format` spell them. */
export const prec = { int8: 0, fp16: 1, fp32: 2, int16: 3, int32: 4, bf16: 5 } as const
export type Prec = keyof typeof prec
export const precBytes: Record<Prec, 1 | 2 | 4> = { int8: 1, fp16: 2, fp32: 4, int16: 2, int32: 4, bf16: 2 }

/** Rounding of casts, shifts and requantisation. */
export const rounding = { halfEven: 0, halfAway: 1, towardZero: 2, floor: 3, ceil: 4, halfUp: 5, halfDown: 6 } as const

/** Layout codes of operands: 0 aligned, 3 free strides, 4 one table per lane. */
export const layoutCode = { aligned: 0, free: 3, perLaneTable: 4 } as const

/** Bits of a form. */
export const formBits = (form: FormName): number => Object.values(forms[form]).reduce((sum, width) => sum + width, 0)
