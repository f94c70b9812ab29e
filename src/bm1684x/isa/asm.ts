/**
 * Commands as text for people, one line each:
 *
 *   tiu 9 dep 4  conv.normal  i32[1,32,64,320]@0x20000 = u8[1,18,64,640]@0x34000, i8[32,18,1,6]@0x16340  pad 0,0,2,2 stride 1,2
 *
 * Local addresses are offsets in the lane, behind `lane:` where they do not start in lane 0. Immediates are #0x... bits; strides of
 * free layouts {n,c,h,w} in elements; pads are up, down, left, right; strides and dilations h, w.
 */
import { globalBase, laneBytes, lanes, localBase, staticBase } from '../chip.js'
import type { Program } from '../program.js'
import { schedule } from '../schedule.js'
import type { Values } from './fields.js'
import { dmaTensor, dmaType, engineOf, eu, type FormName, type Instruction, layoutCode, prec } from './forms.js'

/**
 * Both streams in an order in which the engines may execute them: TIU commands as soon as what they wait for is done, DMA commands
 * in between. Throws QuantError('runtime') where each waits for the other.
 */
export const disassemble = ({ tiu, dma }: Pick<Program, 'tiu' | 'dma'>): string =>
  schedule(tiu, dma, 'tiu')
    .map(({ engine, position }) => asmLine((engine === 'tiu' ? tiu : dma)[position]!))
    .join('\n')

/** One command. */
function asmLine({ form, fields }: Instruction): string {
  const values: Values = fields
  const text = form === 'dma' ? dmaText(values) : form === 'dmaSys' ? dmaSysText(values) : tiuText(form, values)
  return `${engineOf(form)} ${values.cmd_id ?? 0} dep ${values.cmd_id_dep ?? 0}  ${text}`
}

const dmaSysText = (values: Values): string => ((values.cmd_special_function ?? 0) === 0 ? 'sys.end' : 'sys.nop')

/** Groups of names in forms.ts -> the name of a code. */
const nameIn = (codes: Readonly<Record<string, number>>, code: number): string =>
  Object.entries(codes).find(([, one]) => one === code)?.[0] ?? String(code)

const typeNames: Readonly<Record<number, string>> = {
  [prec.fp16]: 'f16',
  [prec.fp32]: 'f32',
  [prec.bf16]: 'bf16',
}
function typeName(code: number, signed: boolean): string {
  const bits = { [prec.int8]: 8, [prec.int16]: 16, [prec.int32]: 32 }[code]
  return bits === undefined ? (typeNames[code] ?? `type${code}`) : `${signed ? 'i' : 'u'}${bits}`
}

const hex = (value: number): string => `0x${value.toString(16)}`
const localAt = (address: number): string => {
  if (address >= staticBase) return `@static+${hex(address - staticBase)}`
  const lane = Math.floor(address / laneBytes)
  return lane === 0 ? `@${hex(address)}` : `@${lane}:${hex(address % laneBytes)}`
}

/** What the texts of TIU commands are put together from. */
function reader(values: Values) {
  const get = (name: string): number => values[name] ?? 0
  const type = (name: string, sign: string | boolean): string =>
    typeName(get(`${name}_prec`), typeof sign === 'boolean' ? sign : get(sign) === 1)
  const result = ['res0_n', 'res0_c', 'res0_h', 'res0_w'].map(get)
  /** Strides of a free layout, put together as `ar` stores them. */
  const strides = (name: string): string => {
    if (get(`${name}_str`) !== layoutCode.free) return ''
    const [h, w] = [get(`${name}_h_str`), get(`${name}_w_str`)]
    const high = (stride: number): number => Math.floor(stride / 2 ** 18) * 2 ** 16
    return `{${get(`${name}_n_str`) + high(h)},${get(`${name}_c_str`) + high(w)},${h % 2 ** 18},${w % 2 ** 18}}`
  }
  /** An operand, or the bits of an immediate. */
  const operand = (name: string, kind: string, shape: readonly number[]): string =>
    get(`${name}_const`) === 1
      ? `#${hex(get(`${name}_addr`))}`
      : `${kind}[${shape}]${localAt(get(`${name}_addr`))}${strides(name)}`
  const window = (): string => {
    const pads = ['up', 'dn', 'lf', 'rt'].map((side) => get(`opd0_${side}_pad`))
    const dilations = [get('opd1_y_ins0') + 1, get('opd1_x_ins0') + 1]
    const inserted = [get('opd0_y_ins0'), get('opd0_x_ins0')]
    return [
      `pad ${pads}`,
      `stride ${get('res_op_y_str')},${get('res_op_x_str')}`,
      dilations.some((one) => one !== 1) ? `dilation ${dilations}` : '',
      inserted.some((one) => one !== 0) ? `insert ${inserted}` : '',
    ]
      .filter((part) => part !== '')
      .join(' ')
  }
  return { get, type, result, operand, window }
}

type TiuForm = Exclude<FormName, 'dma' | 'dmaSys'>
type Reader = ReturnType<typeof reader>

function tiuText(form: TiuForm, values: Values): string {
  const r = reader(values)
  const name = `${form}.${nameIn(eu[form], r.get('tsk_eu_typ'))}`
  return form === 'sys' ? name : `${name}  ${texts[form](r)}`
}

const list = (...parts: readonly (string | false)[]): string => parts.filter((part) => part !== false).join(', ')

const texts: Readonly<Record<Exclude<TiuForm, 'sys'>, (r: Reader) => string>> = {
  conv: ({ get, type, result, operand, window }) => {
    const [n, oc] = result
    const input = operand('opd0', type('opd0', 'opd0_sign'), [n!, get('opd0_c'), get('opd0_h'), get('opd0_w')])
    const filter = [oc!, get('opd0_c'), get('opd1_h'), get('opd1_w')]
    const second = get('opd2_const') === 0 || get('opd2_addr') !== 0
    return `${operand('res0', type('res0', true), result)} ${get('res_add') === 1 ? '+=' : '='} ${list(
      input,
      operand('opd1', typeName(get('opd0_prec'), get('opd1_sign') === 1), filter),
      second && operand('opd2', 'per-channel ', [oc!]),
    )}  ${window()} fill #${hex(get('opd3_addr'))}`
  },
  pord: ({ get, type, result, operand, window }) => {
    const [n, c] = result
    const input = operand('opd0', type('opd0', 'opd0_sign'), [n!, c!, get('opd0_h'), get('opd0_w')])
    const sides = [get('opd1_h'), get('opd1_w')]
    const [max, average] = [get('tsk_eu_typ') === eu.pord.max, get('tsk_eu_typ') === eu.pord.avg]
    return `${operand('res0', type('res0', 'opd0_sign'), result)} = ${list(
      input,
      !max && operand('opd1', typeName(get('opd0_prec'), get('opd1_sign') === 1), [c!, 1, ...sides]),
      !max && (average ? `shift ${get('opd2_addr')}` : operand('opd2', 'per-channel ', [c!])),
    )}  window ${sides} ${window()} fill #${hex(get('opd3_addr'))}`
  },
  mm2: ({ get, type, operand }) => {
    const nn = get('tsk_eu_typ') === eu.mm2.nn
    const inner = nn ? get('opd1_c') : get('opd1_w')
    const left = get('tsk_eu_typ') === eu.mm2.tt ? [inner, get('res0_w')] : [get('res0_c'), inner]
    return `${operand('res0', type('res0', true), [get('res0_c'), get('res0_w')])} ${
      get('res_add') === 1 ? '+=' : '='
    } ${list(
      operand('opd0', type('opd0', 'opd0_sign'), left),
      operand('opd1', typeName(get('opd0_prec'), get('opd1_sign') === 1), [get('opd1_c'), get('opd1_w')]),
      operand('opd2', 'zero points or bias ', []),
    )}`
  },
  ar: ({ get, type, result, operand }) => {
    const unit = get('tsk_eu_typ')
    const cast = unit === eu.ar.cast
    const one = cast || [eu.ar.not, eu.ar.copy, eu.ar.abs, eu.ar.copyMb].some((code) => code === unit)
    const sign = cast ? get('opd2_sign') === 1 : get('opd0_sign') === 1 || get('opd1_sign') === 1
    return `${operand('res0', type('res0', sign), result)} = ${list(
      operand('opd0', type('opd0', 'opd0_sign'), result),
      !one && operand('opd1', type('opd1', 'opd1_sign'), result),
      get('tsk_opd_num') === 3 && operand('opd2', `per-channel ${type('opd2', 'opd2_sign')}`, [result[1]!]),
    )}  round ${get('opd2_n_str')}`
  },
  rqdq: ({ get, type, result, operand }) =>
    `${operand('res0', type('res0', 'opd2_sign'), result)} = ${list(
      operand('opd0', type('opd0', 'opd0_sign'), result),
      operand('opd1', 'records ', [result[1]!]),
      get('opd1_const') === 1 && `#${hex(get('opd2_addr'))}`,
    )}  round ${get('opd2_n_str')}`,
  trans: ({ get, result, operand }) => {
    const bits = `b${{ [prec.int8]: 8, [prec.fp32]: 32, [prec.int32]: 32 }[get('res0_prec')] ?? 16}`
    const source = [result[0]!, get('opd0_c'), result[2]!, get('opd0_w')]
    return `${operand('res0', bits, result)} = ${operand('opd0', bits, source)}`
  },
  sg: ({ get, type, result, operand }) => {
    const perLane = get('opd0_str') === layoutCode.perLaneTable
    return `${operand('res0', type('res0', false), result)} = ${list(
      operand('opd0', type('opd0', false), [1, perLane ? 1 : result[1]!, get('opd0_h'), get('opd0_w')]),
      operand('opd1', type('opd1', false), [result[0]!, get('opd1_c'), result[2]!, get('opd1_w')]),
    )}${perLane ? '  one table per lane' : ''}`
  },
  sfu: ({ get, type, result, operand }) => {
    const series = get('tsk_eu_typ') === eu.sfu.taylor || get('tsk_eu_typ') === eu.sfu.taylor4x
    return `${operand('res0', type('res0', true), result)} = ${list(
      operand('opd0', type('opd0', true), result),
      series && operand('opd1', type('opd0', true), [get('opd1_n')]),
    )}`
  },
  lin: ({ get, type, result, operand }) =>
    `${operand('res0', type('res0', true), result)} = ${list(
      operand('opd0', type('res0', true), result),
      operand('opd1', 'per-channel ', [result[1]!]),
      get('tsk_eu_typ') === eu.lin.mac && operand('opd2', 'per-channel ', [result[1]!]),
    )}`,
  cmp: ({ get, type, result, operand }) => {
    const both = get('tsk_eu_typ') === eu.cmp.gtAndSelGt || get('tsk_eu_typ') === eu.cmp.ltAndSelLt
    const [compared, chosen] = [type('opd0', 'opd0_sign'), type('opd2', true)]
    return `${list(operand('res0', both ? compared : chosen, result), both && operand('res1', chosen, result))} = ${list(
      operand('opd0', compared, result),
      operand('opd1', compared, result),
      operand('opd2', chosen, result),
      operand('opd3', chosen, result),
    )}`
  },
}

function dmaText(values: Values): string {
  const get = (name: string): number => values[name] ?? 0
  const type = typeName(get('src_data_format'), false)
  const kind = nameIn(dmaType, get('cmd_type'))
  const special = get('cmd_special_function')
  const plain = special === dmaTensor.copy
  const variant = kind === 'tensor' ? nameIn(dmaTensor, special) : special === 0 ? '' : 'transpose or broadcast'
  const side = (name: 'src' | 'dst', shapeOf: 'src' | 'dst'): string => {
    const address = get(`${name}_start_addr_h8`) * 2 ** 32 + get(`${name}_start_addr_l32`)
    const shape = ['n', 'c', 'h', 'w'].map((axis) => get(`${shapeOf}_${axis}size`))
    const strides = ['n', 'c', 'h', 'w'].map((axis) => get(`${name}_${axis}stride`))
    if (get('stride_enable') === 0) return `${type}[${shape}]${globalAt(address)}`
    return `${type}[${shape}]${globalAt(address)}{${plain ? strides : [...strides.slice(0, 3), 1]}}`
  }
  const to = side('dst', get('nchw_copy') === 1 ? 'src' : 'dst')
  const from = get('fill_constant_en') === 1 ? `#${hex(get('constant_value'))}` : side('src', 'src')
  return `${['dma', kind, variant].filter((part) => part !== '').join('.')}  ${to} = ${from}`
}

/** An address as DMA spells it: local memory as lane and offset, global memory from its base on. */
function globalAt(address: number): string {
  if (address >= localBase && address < localBase + lanes * laneBytes) return localAt(address - localBase)
  return address >= globalBase ? `@global+${hex(address - globalBase)}` : `@${hex(address)}`
}
