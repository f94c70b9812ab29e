/**
 * How long one command occupies its engine, in cycles: the vendor backend's own simulation, found by fitting its per-command
 * listings (docs/decisions/timing.md). It knows no start-up cost, and counts what a command reads and writes:
 *
 *   vector  = elements of the widest operand that fit 64 bytes: what a lane takes in one cycle
 *   vectors = n * channel groups * ceil(h * w / vector): one pass over the result
 */
import { cubeChannels, cubePixels, globalBase, laneBytes, lanes, vectorBytes } from '../chip.js'
import { dmaTensor, dmaType, eu, type Instruction, type InstructionOf, layoutCode, precBytes } from '../isa/forms.js'

/** Bytes that DMA moves in a cycle: to local memory, from it, within global memory. One cycle moves 64 at most. */
export const bytesPerCycle = { load: 54.017, store: 40.98, global: 30.06 } as const

/** The end commands and other system commands take none. */
export function cyclesOf(instruction: Instruction): number {
  switch (instruction.form) {
    case 'conv': {
      const { opd0_c = 0, opd1_h = 0, opd1_w = 0, opd0_prec, res0_addr, res0_n = 0, res0_c = 0 } = instruction.fields
      const size = bytesOf(opd0_prec)
      const pixels = Math.ceil(pixelsOf(instruction.fields) / cubePixels[size])
      return res0_n * groups(res0_addr, res0_c) * Math.ceil(opd0_c / cubeChannels[size]) * opd1_h * opd1_w * pixels
    }
    case 'pord': {
      const { opd1_h = 0, opd1_w = 0, opd0_prec, res0_prec, res_op_x_str = 1 } = instruction.fields
      // With a stride the 64 bytes of a read are used in part.
      const reads = res_op_x_str > 1 ? 3 : 1
      return vectors(instruction.fields, Math.max(bytesOf(opd0_prec), bytesOf(res0_prec))) * opd1_h * opd1_w * reads
    }
    case 'mm2': {
      const { res0_c = 0, res0_w = 0, opd1_c = 0, opd1_w = 0, opd0_prec, tsk_eu_typ } = instruction.fields
      const size = bytesOf(opd0_prec)
      const inner = tsk_eu_typ === eu.mm2.nn ? opd1_c : opd1_w
      return Math.ceil(res0_c / lanes) * Math.ceil(res0_w / cubePixels[size]) * Math.ceil(inner / cubeChannels[size])
    }
    case 'ar':
      return arithmetic(instruction)
    case 'rqdq': {
      const { opd0_prec, res0_prec, res0_addr = 0, opd0_addr = 0 } = instruction.fields
      const inPlace = res0_addr === opd0_addr ? 2 : 1
      return vectors(instruction.fields, Math.max(bytesOf(opd0_prec), bytesOf(res0_prec))) * inPlace
    }
    case 'trans': {
      const { tsk_eu_typ, res0_prec, res0_addr = 0, opd0_addr = 0 } = instruction.fields
      if (tsk_eu_typ === eu.trans.staticDistribute) return 1
      return vectors(instruction.fields, bytesOf(res0_prec)) * (res0_addr === opd0_addr ? 2 : 1)
    }
    case 'sg': {
      const { tsk_eu_typ, res0_n = 0, res0_c = 0, res0_addr } = instruction.fields
      const table = tsk_eu_typ === eu.sg.peSGatherD1coor || tsk_eu_typ === eu.sg.peSGatherHzd
      // A lookup is an element per lane and cycle; gathers of whole rows are of no use to a detector but for tiny tables.
      return table ? res0_n * groups(res0_addr, res0_c) * pixelsOf(instruction.fields) : 1
    }
    case 'sfu': {
      const { tsk_eu_typ, opd0_prec, res0_prec, opd1_n = 0 } = instruction.fields
      const passes = vectors(instruction.fields, Math.max(bytesOf(opd0_prec), bytesOf(res0_prec)))
      if (tsk_eu_typ === eu.sfu.rsqrt) return passes * 30
      return tsk_eu_typ === eu.sfu.norm ? passes : passes * opd1_n
    }
    case 'lin':
      return 2 * vectors(instruction.fields, bytesOf(instruction.fields.res0_prec))
    case 'cmp': {
      const { opd0_prec, opd2_prec } = instruction.fields
      return 2 * vectors(instruction.fields, Math.max(bytesOf(opd0_prec), bytesOf(opd2_prec)))
    }
    case 'dma':
      return transfer(instruction)
    case 'sys':
    case 'dmaSys':
      return 0
  }
}

/** Two passes where two tensors are read, or where the result overwrites an operand; one pass otherwise. */
function arithmetic({ fields }: InstructionOf<'ar'>): number {
  const { tsk_eu_typ = 0, res0_prec, opd0_prec, opd1_prec, res0_addr = 0 } = fields
  const tensors = [
    ...(fields.opd0_const
      ? []
      : [{ prec: opd0_prec, at: fields.opd0_addr ?? 0, layout: fields.opd0_str, step: fields.opd0_w_str }]),
    ...(fields.opd1_const || unary.has(tsk_eu_typ)
      ? []
      : [{ prec: opd1_prec, at: fields.opd1_addr ?? 0, layout: fields.opd1_str, step: fields.opd1_w_str }]),
  ]
  const widest = Math.max(bytesOf(res0_prec), ...tensors.map(({ prec }) => bytesOf(prec)))
  const twice = tensors.length > 1 || tensors.some(({ at }) => at === res0_addr)
  // Elements that lie apart fill a vector only in part: one of stride 2 takes two reads or writes, and one element each at worst.
  const steps = [...tensors, { layout: fields.res0_str, step: fields.res0_w_str }]
    .filter(({ layout }) => layout === layoutCode.free)
    .map(({ step = 0 }) => step)
  const apart = Math.min(vectorBytes / widest, Math.max(1, ...steps))
  const perVector = tsk_eu_typ === eu.ar.div ? divisionCycles : twice ? 2 : 1
  return vectors(fields, widest) * apart * perVector
}

const unary = new Set<number>([eu.ar.not, eu.ar.cast, eu.ar.copy, eu.ar.abs])
/** Of three Newton steps. */
const divisionCycles = 31

/**
 * A transfer takes its runs of bytes that lie together on both sides one after the other; a run takes 4 units of 64 bytes at least.
 */
function transfer({ fields }: InstructionOf<'dma'>): number {
  const { count, bytes } = runsOf(fields)
  const { matrix, general } = dmaType
  const toLocal = isLocal(fields.dst_start_addr_h8)
  const fromLocal = isLocal(fields.src_start_addr_h8) && !fields.fill_constant_en
  const speed =
    fields.cmd_type === general
      ? 64
      : fields.cmd_type === matrix || isBroadcast(fields)
        ? toLocal
          ? 58
          : 44
        : bytesPerCycle[toLocal ? 'load' : fromLocal ? 'store' : 'global']
  return Math.max(1, Math.floor((count * Math.max(4, bytes / 64) * 64) / speed))
}

type DmaFields = InstructionOf<'dma'>['fields']

const isLocal = (high: number | undefined): boolean => (high ?? 0) < globalBase / 2 ** 32
const isBroadcast = ({ cmd_type, cmd_special_function }: DmaFields): boolean =>
  (cmd_type ?? 0) === dmaType.tensor && cmd_special_function === dmaTensor.broadcast

function runsOf(fields: DmaFields): { count: number; bytes: number } {
  const size = bytesOf(fields.src_data_format)
  const { cmd_type = 0, cmd_special_function = 0, src_wstride = 1, dst_wstride = 1 } = fields
  const { src_nsize = 0, src_csize = 0, src_hsize = 0, src_wsize = 0, dst_csize = 0 } = fields
  if (cmd_type === dmaType.general) {
    const copies = cmd_special_function === 1 ? dst_csize : 1
    return { count: copies, bytes: (fields.src_cstride ?? 0) * size }
  }
  if (cmd_type === dmaType.matrix) {
    const local = isLocal(fields.src_start_addr_h8)
    const rows = (local ? fields.dst_hsize : src_hsize) ?? 0
    const columns = (local ? fields.dst_wsize : src_wsize) ?? 0
    return { count: rows, bytes: columns * size }
  }
  // Written in lines of 64 bytes along c; the engine transposes squares within itself.
  if (cmd_type === dmaType.cwTranspose) {
    const lines = src_nsize * src_hsize * src_wsize * Math.ceil((src_csize * size) / 64)
    return { count: 1, bytes: lines * 64 }
  }
  if (isBroadcast(fields)) return { count: 1, bytes: dst_csize * src_hsize * src_wsize * size }
  const elements = src_nsize * src_csize * src_hsize * src_wsize
  const special = cmd_special_function === dmaTensor.collect || cmd_special_function === dmaTensor.distribute
  if (special || src_wstride > 1 || dst_wstride > 1) return { count: elements, bytes: size }
  const whole = src_hsize === 1 || ((fields.src_hstride ?? 0) === src_wsize && (fields.dst_hstride ?? 0) === src_wsize)
  return whole
    ? { count: src_nsize * src_csize, bytes: src_hsize * src_wsize * size }
    : { count: src_nsize * src_csize * src_hsize, bytes: src_wsize * size }
}

/** Multiply-accumulates of the cube, and the cycles that they would take if it never idled. 0 for everything but conv and matmul. */
export function macsOf(instruction: Instruction): { macs: number; cycles: number } {
  const none = { macs: 0, cycles: 0 }
  if (instruction.form !== 'conv' && instruction.form !== 'mm2') return none
  const size = bytesOf(instruction.fields.opd0_prec)
  const { res0_c = 0, res0_w = 0, opd1_w = 0 } = instruction.fields
  let macs: number
  if (instruction.form === 'conv') {
    const { res0_n = 0, opd0_c = 0, opd1_h = 0 } = instruction.fields
    macs = res0_n * res0_c * opd0_c * opd1_h * opd1_w * pixelsOf(instruction.fields)
  } else {
    const { tsk_eu_typ, opd1_c = 0 } = instruction.fields
    macs = res0_c * res0_w * (tsk_eu_typ === eu.mm2.nn ? opd1_c : opd1_w)
  }
  return { macs, cycles: macs / (lanes * cubeChannels[size] * cubePixels[size]) }
}

/** Bytes that a command reads from global memory and writes to it. */
export function trafficOf(instruction: Instruction): { read: number; written: number } {
  if (instruction.form !== 'dma') return { read: 0, written: 0 }
  const { fields } = instruction
  const { src_nsize = 0, src_csize = 0, src_hsize = 0, src_wsize = 0, src_data_format } = fields
  const { count, bytes } = runsOf(fields)
  const elements = src_nsize * src_csize * src_hsize * src_wsize
  const moved = fields.cmd_type === dmaType.cwTranspose ? elements * bytesOf(src_data_format) : count * bytes
  const reads = !isLocal(fields.src_start_addr_h8) && !fields.fill_constant_en
  const copies = isBroadcast(fields) ? (fields.dst_csize ?? 1) : 1
  return { read: reads ? moved / copies : 0, written: isLocal(fields.dst_start_addr_h8) ? 0 : moved }
}

interface Result {
  readonly res0_n?: number
  readonly res0_c?: number
  readonly res0_h?: number
  readonly res0_w?: number
  readonly res0_addr?: number
}

const pixelsOf = ({ res0_h = 0, res0_w = 0 }: Result): number => res0_h * res0_w

const vectors = (result: Result, elementBytes: number): number =>
  (result.res0_n ?? 0) *
  groups(result.res0_addr, result.res0_c ?? 0) *
  Math.ceil(pixelsOf(result) / (vectorBytes / elementBytes))

/** Channels that do not begin in lane 0 may take one round more. */
const groups = (address = 0, channels: number): number =>
  Math.ceil(((Math.floor(address / laneBytes) % lanes) + channels) / lanes)

const byCode = Object.values(precBytes)
const bytesOf = (code = 0): 1 | 2 | 4 => byCode[code] ?? 1
