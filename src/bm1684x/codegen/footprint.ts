/**
 * Which bytes a command reads and writes: of local memory as ranges of lane offsets, whatever the lanes, and of global memory. Ranges
 * may be wider than the truth, never narrower; dependencies between the engines are made of them.
 */
import { globalBase, laneBytes, lanes, roundUp, vectorBytes } from '../chip.js'
import { dmaTensor, dmaType, eu, type Instruction, type InstructionOf, layoutCode } from '../isa/forms.js'

/** Half open. Local memory is [0, 256 KiB), global memory begins at `globalBase`. */
export type Range = readonly [from: number, to: number]

export interface Footprint {
  readonly reads: readonly Range[]
  readonly writes: readonly Range[]
}

const everything: Range = [0, laneBytes]
const sizes = [1, 2, 4, 2, 4, 2]

const laneOf = (address: number): number => Math.floor(address / laneBytes) % lanes
const groupsOf = (address: number, channels: number): number => Math.ceil((laneOf(address) + channels) / lanes)

/** `bytes` of a lane from a local address on. */
const span = (address: number, bytes: number): Range => [address % laneBytes, (address % laneBytes) + bytes]

type Shape = readonly [n: number, c: number, h: number, w: number]

function aligned(address: number, [n, c, h, w]: Shape, size: number): Range {
  return span(address, n * groupsOf(address, c) * roundUp(h * w * size, vectorBytes))
}

/** Strides in elements, c between groups of lanes. */
function strided(address: number, [n, c, h, w]: Shape, strides: Shape, size: number): Range {
  const groups = groupsOf(address, c)
  const [ns, cs, hs, ws] = strides
  return span(address, ((n - 1) * ns + (groups - 1) * cs + (h - 1) * hs + (w - 1) * ws + 1) * size)
}

type Fields = Readonly<Record<string, number | undefined>>

/** A field that is not given is 0. */
const reader =
  (fields: Fields) =>
  (name: string): number =>
    fields[name] ?? 0

export function footprint(instruction: Instruction): Footprint {
  const of = reader(instruction.fields)
  switch (instruction.form) {
    case 'conv':
      return conv(of)
    case 'pord':
      return pord(of)
    case 'ar':
      return arithmetic(of)
    case 'rqdq': {
      const shape = result(of)
      const table = span(of('opd1_addr'), groupsOf(of('res0_addr'), shape[1]) * vectorBytes)
      return {
        reads: [aligned(of('opd0_addr'), shape, sizes[of('opd0_prec')]!), ...(of('opd1_const') ? [] : [table])],
        writes: [aligned(of('res0_addr'), shape, sizes[of('res0_prec')]!)],
      }
    }
    case 'trans':
      return trans(of)
    case 'sg': {
      const [n, c] = result(of)
      const perLane = of('opd0_str') === layoutCode.perLaneTable
      const table: Shape = [1, perLane ? 1 : c, Math.max(1, of('opd0_h')), of('opd0_w')]
      const index: Shape = [n, c, 1, of('opd1_w') || of('res0_w')]
      return {
        reads: [
          aligned(of('opd0_addr'), table, sizes[of('opd0_prec')]!),
          aligned(of('opd1_addr'), index, sizes[of('opd1_prec')]!),
        ],
        writes: [aligned(of('res0_addr'), result(of), sizes[of('res0_prec')]!)],
      }
    }
    case 'sfu': {
      const shape = result(of)
      const coefficients = span(of('opd1_addr'), Math.max(1, of('opd1_n')) * 4)
      const taylor = of('tsk_eu_typ') === eu.sfu.taylor || of('tsk_eu_typ') === eu.sfu.taylor4x
      return {
        reads: [aligned(of('opd0_addr'), shape, sizes[of('opd0_prec')]!), ...(taylor ? [coefficients] : [])],
        writes: [aligned(of('res0_addr'), shape, sizes[of('res0_prec')]!)],
      }
    }
    case 'dma':
      return transfer(instruction)
    case 'sys':
    case 'dmaSys':
      return { reads: [], writes: [] }
    // Seldom used: all of local memory.
    default:
      return { reads: [everything], writes: [everything] }
  }
}

type Of = (name: string) => number

const result = (of: Of): Shape => [of('res0_n'), of('res0_c'), of('res0_h'), of('res0_w')]

function conv(of: Of): Footprint {
  const shape = result(of)
  const size = sizes[of('opd0_prec')]!
  const input: Shape = [shape[0], of('opd0_c'), of('opd0_h'), of('opd0_w')]
  const groups = groupsOf(of('res0_addr'), shape[1])
  const block = size === 4 ? 1 : vectorBytes / size
  const filter = groups * Math.ceil(input[1] / block) * block * of('opd1_h') * of('opd1_w') * size
  const strides: Shape = [of('opd0_n_str'), of('opd0_c_str'), of('opd0_h_str'), of('opd0_w_str')]
  const written = aligned(of('res0_addr'), shape, sizes[of('res0_prec')]!)
  return {
    reads: [
      of('opd0_str') === layoutCode.aligned
        ? aligned(of('opd0_addr'), input, size)
        : strided(of('opd0_addr'), input, strides, size),
      ...(of('opd1_const') ? [] : [span(of('opd1_addr'), filter)]),
      ...(of('opd2_const') ? [] : [span(of('opd2_addr'), groups * 4)]),
      ...(of('opd3_const') ? [] : [span(of('opd3_addr'), Math.ceil(input[1] / lanes) * 2 * size)]),
      ...(of('res_add') ? [written] : []),
    ],
    writes: [written],
  }
}

function pord(of: Of): Footprint {
  const shape = result(of)
  const size = sizes[of('opd0_prec')]!
  const groups = groupsOf(of('res0_addr'), shape[1])
  const depthwise = of('tsk_eu_typ') === eu.pord.depthwise || of('tsk_eu_typ') === eu.pord.depthwiseRelu
  const tables = [
    ...(of('opd1_const') ? [] : [span(of('opd1_addr'), groups * of('opd1_h') * of('opd1_w') * size)]),
    ...(of('opd2_const') ? [] : [span(of('opd2_addr'), groups * 4)]),
  ]
  return {
    reads: [
      aligned(of('opd0_addr'), [shape[0], shape[1], of('opd0_h'), of('opd0_w')], size),
      ...(depthwise ? tables : []),
      ...(of('opd3_const') ? [] : [span(of('opd3_addr'), groups * 2 * size)]),
    ],
    writes: [aligned(of('res0_addr'), shape, sizes[of('res0_prec')]!)],
  }
}

/** Ops of one operand: the second one's fields mean nothing. */
const unary = new Set<number>([
  eu.ar.not,
  eu.ar.cast,
  eu.ar.copy,
  eu.ar.copyMb,
  eu.ar.abs,
  eu.ar.getFirstOne,
  eu.ar.getFirstZero,
])

function arithmetic(of: Of): Footprint {
  const shape = result(of)
  const operand = (name: 'res0' | 'opd0' | 'opd1'): Range => {
    const size = sizes[of(`${name}_prec`)]!
    if (of(`${name}_str`) === layoutCode.aligned) return aligned(of(`${name}_addr`), shape, size)
    const [h, w] = [of(`${name}_h_str`), of(`${name}_w_str`)]
    const high = (field: number): number => Math.floor(field / 2 ** 18) * 2 ** 16
    const low = (field: number): number => field % 2 ** 18
    const strides = [of(`${name}_n_str`) + high(h), of(`${name}_c_str`) + high(w), low(h), low(w)] as const
    return strided(of(`${name}_addr`), shape, strides, size)
  }
  const written = operand('res0')
  const reads: Range[] = []
  if (!of('opd0_const')) reads.push(operand('opd0'))
  if (!of('opd1_const') && !unary.has(of('tsk_eu_typ'))) reads.push(operand('opd1'))
  if (of('tsk_opd_num') === 3 && !of('opd2_const'))
    reads.push(span(of('opd2_addr'), groupsOf(of('opd2_addr'), shape[1]) * 4))
  if (of('tsk_eu_typ') === eu.ar.mac) reads.push(written)
  return { reads, writes: [written] }
}

function trans(of: Of): Footprint {
  const shape = result(of)
  const [n, c, h, w] = shape
  const size = sizes[of('res0_prec')]!
  // Rows as the transposes may pad them, which contains the aligned layout.
  const lines = (address: number, channels: number, width: number): Range =>
    span(address, n * groupsOf(address, channels) * h * roundUp(width * size, vectorBytes))
  const from = of('opd0_addr')
  const to = of('res0_addr')
  switch (of('tsk_eu_typ')) {
    case eu.trans.cwTs:
    case eu.trans.wcTs:
      return { reads: [lines(from, w, c)], writes: [lines(to, c, w)] }
    case eu.trans.laneCopy:
      return { reads: [aligned(from, shape, size)], writes: [aligned(to, shape, size)] }
    case eu.trans.laneBroadcast:
      return { reads: [aligned(from, [n, 1, h, w], size)], writes: [aligned(to, shape, size)] }
    // From static memory, which nobody writes.
    default:
      return { reads: [], writes: [aligned(to, shape, size)] }
  }
}

function transfer({ fields }: InstructionOf<'dma'>): Footprint {
  const of = reader(fields)
  const size = sizes[of('src_data_format')]!
  const type = of('cmd_type')
  if (type !== dmaType.tensor && type !== dmaType.cwTranspose)
    throw new Error(`the footprint of DMA type ${type} is not known`)
  const side = (name: 'src' | 'dst'): Range => {
    const address = of(`${name}_start_addr_l32`) + of(`${name}_start_addr_h8`) * 2 ** 32
    const shape: Shape = [of(`${name}_nsize`), of(`${name}_csize`), of(`${name}_hsize`), of(`${name}_wsize`)]
    const strides: Shape = [of(`${name}_nstride`), of(`${name}_cstride`), of(`${name}_hstride`), of(`${name}_wstride`)]
    if (address < globalBase) return strided(address, shape, strides, size)
    const last = shape.reduce((sum, count, axis) => sum + (count - 1) * strides[axis]!, 0)
    return [address, address + (last + 1) * size]
  }
  const broadcast = type === dmaType.tensor && of('cmd_special_function') === dmaTensor.broadcast
  if (type === dmaType.tensor && of('cmd_special_function') !== dmaTensor.copy && !broadcast)
    throw new Error(`the footprint of DMA function ${of('cmd_special_function')} is not known`)
  return { reads: of('fill_constant_en') ? [] : [side('src')], writes: [side('dst')] }
}
