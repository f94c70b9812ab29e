/** Is a DMA command one that the chip executes as meant, and that the runtime's loader takes? */
import { globalBase, laneBytes, lanes, localBase } from '../chip.js'
import { reach, type Shape4, type Strides } from '../layout.js'
import { type Findings, laneOf, offsetOf } from './findings.js'
import { dmaTensor, dmaType, type Prec, prec, precBytes } from './forms.js'

const l2Base = 0x1000_0000
const l2Bytes = 2 * 1024 * 1024
const allOnes = 2 ** 32 - 1

type Side = 'src' | 'dst'

/** 40-bit address of one side. */
const addressOf = ({ field }: Findings, side: Side): number =>
  field(`${side}_start_addr_h8`) * 2 ** 32 + field(`${side}_start_addr_l32`)

const isLocal = (address: number): boolean => address >= localBase && address < localBase + lanes * laneBytes

export function checkDma(found: Findings): void {
  const { field, need, type } = found
  const kind = field('cmd_type')
  const special = field('cmd_special_function')
  const size = precBytes[type('src_data_format', Object.keys(prec) as Prec[])]
  const fill = field('fill_constant_en') === 1
  need(field('localmem_mask_l32') === allOnes && field('localmem_mask_h32') === allOnes, 'lanes are masked out')
  need(field('decompress_enable') === 0, 'compressed sources are not supported')
  if (fill) {
    need(kind === dmaType.tensor && special !== dmaTensor.collect && special !== dmaTensor.distribute, 'cannot fill')
    need(addressOf(found, 'src') === 0, 'a fill has no source')
  }
  if (kind === dmaType.tensor) checkTensor(found, size, special, fill)
  else if (kind === dmaType.matrix) checkMatrix(found, size, special)
  else if (kind === dmaType.general) checkGeneral(found, size, special)
  else if (kind === dmaType.cwTranspose) checkTranspose(found, size)
  else need(false, `type ${kind} is not supported`)
}

const shapeOf = ({ field }: Findings, side: Side): Shape4 => [
  field(`${side}_nsize`),
  field(`${side}_csize`),
  field(`${side}_hsize`),
  field(`${side}_wsize`),
]

/** Without `stride_enable` a side is contiguous; w strides of other than plain copies are 1 whatever the field says. */
function stridesOf({ field }: Findings, side: Side, [, c, h, w]: Shape4, local: boolean, plain: boolean): Strides {
  if (field('stride_enable') === 0) return { n: (local ? Math.ceil(c / lanes) : c) * h * w, c: h * w, h: w, w: 1 }
  return {
    n: field(`${side}_nstride`),
    c: field(`${side}_cstride`),
    h: field(`${side}_hstride`),
    w: plain ? field(`${side}_wstride`) : 1,
  }
}

/** One side of a transfer: in a memory that DMA reaches, and all of it inside. */
function checkSide(found: Findings, side: Side, shape: Shape4, strides: Strides, size: number): void {
  const { need } = found
  const address = addressOf(found, side)
  const at = `${side} 0x${address.toString(16)}`
  for (const [i, length] of shape.entries())
    need(length >= 1, `${side} has ${length} in ${'nchw'[i]}: every side of a tensor is 1 at least`)
  if (isLocal(address)) {
    const lane = laneOf(address - localBase)
    const end = offsetOf(address - localBase) + reach(shape, strides, size, lane)
    need(end <= laneBytes, `${at} goes to byte ${end} of its lane`)
    return
  }
  const [n, c, h, w] = shape
  const bytes = ((n - 1) * strides.n + (c - 1) * strides.c + (h - 1) * strides.h + (w - 1) * strides.w + 1) * size
  checkLinear(found, side, bytes)
}

/** A stretch of bytes in L2 or global memory. */
function checkLinear(found: Findings, side: Side, bytes: number): void {
  const address = addressOf(found, side)
  const inL2 = address >= l2Base && address + bytes <= l2Base + l2Bytes
  const inGlobal = address >= globalBase && address + bytes <= 2 ** 40
  found.need(inL2 || inGlobal, `${side} 0x${address.toString(16)} with ${bytes} bytes is in no memory that DMA reaches`)
}

function checkTensor(found: Findings, size: number, special: number, fill: boolean): void {
  const { field, need } = found
  need(special <= dmaTensor.distribute, `special function ${special} is not supported`)
  const given = shapeOf(found, 'src')
  // Broadcasts have one source channel; official ones leave the field 0.
  const source: Shape4 = special === dmaTensor.broadcast ? [given[0], given[1] || 1, given[2], given[3]] : given
  const result: Shape4 = field('nchw_copy') === 1 ? source : shapeOf(found, 'dst')
  const plain = special === dmaTensor.copy
  const sides = fill ? (['dst'] as const) : (['src', 'dst'] as const)
  for (const side of sides) {
    const shape = side === 'src' ? source : result
    const strides = stridesOf(found, side, shape, isLocal(addressOf(found, side)), plain)
    if (plain) need(strides.w >= 1 && strides.w * size <= 128, `${side} w stride ${strides.w} is not 1 to 128 bytes`)
    checkSide(found, side, shape, strides, size)
  }
  const [n, c, h, w] = source
  if (plain && !fill) need(n * c * h * w === result[0] * result[1] * result[2] * result[3], 'sizes differ')
  if (special === dmaTensor.transposeNC)
    need(result.join() === [c, n, h, w].join(), `[${source}] with n and c swapped is not [${result}]`)
  if (special === dmaTensor.broadcast) {
    const to = addressOf(found, 'dst')
    need(c === 1 && result.join() === [n, result[1], h, w].join(), `cannot broadcast [${source}] to [${result}]`)
    need(isLocal(to) && laneOf(to - localBase) + result[1] <= lanes, 'a broadcast goes to lanes, not beyond the last')
  }
}

/** Rows by columns in global memory, against slices of the columns spread over lanes. */
function checkMatrix(found: Findings, size: number, special: number): void {
  const { need } = found
  need(special <= 1, `special function ${special} is not supported`)
  const local = (side: Side) => isLocal(addressOf(found, side))
  need(local('src') !== local('dst'), 'a matrix moves between global and local memory')
  for (const side of ['src', 'dst'] as const) {
    const [n, c, h, w] = shapeOf(found, side)
    const strides = stridesOf(found, side, [n, c, h, w], local(side), false)
    if (local(side)) checkSide(found, side, [n, c, 1, w], { ...strides, h: 0 }, size)
    else checkSide(found, side, [1, 1, h, w], { ...strides, n: 0, c: 0 }, size)
  }
}

/** `src_cstride` elements in a row. */
function checkGeneral(found: Findings, size: number, special: number): void {
  const { field, need } = found
  const bytes = field('src_cstride') * size
  need(special <= 1, `special function ${special} is not supported`)
  need(bytes > 0, 'nothing to copy')
  for (const side of ['src', 'dst'] as const) {
    const address = addressOf(found, side)
    if (!isLocal(address)) checkLinear(found, side, bytes)
    else if (special === 1 && side === 'dst') {
      const lane = laneOf(address - localBase)
      need(offsetOf(address - localBase) + bytes <= laneBytes, 'goes beyond its lane')
      need(lane + field('dst_csize') <= lanes && field('dst_csize') >= 1, 'goes beyond the last lane')
    } else need(address + bytes <= localBase + lanes * laneBytes, `${side} goes beyond local memory`)
  }
}

/** dst(n, w, h, c) = src(n, c, h, w) */
function checkTranspose(found: Findings, size: number): void {
  const source = shapeOf(found, 'src')
  const [n, c, h, w] = source
  const result = shapeOf(found, 'dst')
  found.need(result.join() === [n, w, h, c].join(), `[${source}] with c and w swapped is not [${result}]`)
  for (const side of ['src', 'dst'] as const) {
    const shape = side === 'src' ? source : result
    checkSide(found, side, shape, stridesOf(found, side, shape, isLocal(addressOf(found, side)), false), size)
  }
}
