/** The DMA engine: copies between local memory, global memory and L2. */
import { laneBytes, lanes } from '../chip.js'
import { dmaTensor, dmaType, type InstructionOf } from '../isa/forms.js'
import { alignedStrides, groupsOf, locate, type Memory, refuse, type Space, sizeOf } from './memory.js'

type Fields = InstructionOf<'dma'>['fields']

/** One side of a copy. Places are bytes of its memory. */
interface Side {
  readonly space: Space
  readonly place: (n: number, c: number, h: number, w: number) => number
  /** Bytes from one h, and from one w, to the next. */
  readonly hStep: number
  readonly wStep: number
}

type Four = readonly [number, number, number, number]

export function dma(memory: Memory, { fields }: InstructionOf<'dma'>): void {
  if (fields.decompress_enable === 1) throw refuse('decompression is not modelled')
  if (fields.cmd_type === dmaType.general) general(memory, fields)
  else if (fields.cmd_type === dmaType.matrix) matrix(memory, fields)
  else if (fields.cmd_type === dmaType.cwTranspose) transposeCW(memory, fields)
  else tensor(memory, fields)
}

const sourceAddress = (fields: Fields): number =>
  (fields.src_start_addr_h8 ?? 0) * 2 ** 32 + (fields.src_start_addr_l32 ?? 0)
const resultAddress = (fields: Fields): number =>
  (fields.dst_start_addr_h8 ?? 0) * 2 ** 32 + (fields.dst_start_addr_l32 ?? 0)

const sourceShape = (fields: Fields): Four => [
  fields.src_nsize ?? 0,
  fields.src_csize ?? 0,
  fields.src_hsize ?? 0,
  fields.src_wsize ?? 0,
]

/** @throws QuantError where a tensor leaves its memory or its lanes */
function side(memory: Memory, address: number, shape: Four, strides: Four, size: number): Side {
  const { space, at, local } = locate(memory, address)
  if (at % size !== 0) throw refuse(`address 0x${address.toString(16)} is no multiple of ${size}`)
  if (shape.some((length) => length < 1)) throw refuse(`shape [${shape.join(', ')}] has an empty side`)
  const [n, c, h, w] = shape
  const start = local ? Math.floor(at / laneBytes) : 0
  const offset = local ? at % laneBytes : at
  const room = local ? laneBytes : space.u8.length
  const channels = local ? groupsOf(start, c) : c
  const last = (n - 1) * strides[0] + (channels - 1) * strides[1] + (h - 1) * strides[2] + (w - 1) * strides[3]
  if (offset + (last + 1) * size > room)
    throw refuse(`[${shape.join(', ')}] at 0x${address.toString(16)} leaves its ${local ? 'lane' : 'memory'}`)
  const place = (in_: number, ic: number, y: number, x: number): number => {
    const inside = in_ * strides[0] + y * strides[2] + x * strides[3]
    if (!local) return at + (inside + ic * strides[1]) * size
    const lane = start + ic
    return (lane % lanes) * laneBytes + offset + (inside + Math.floor(lane / lanes) * strides[1]) * size
  }
  return { space, place, hStep: strides[2] * size, wStep: strides[3] * size }
}

/** Strides of a tensor for which none are given: packed in global memory, aligned in lanes. */
function ownStrides(memory: Memory, address: number, shape: Four, type: number): Four {
  const [, c, h, w] = shape
  const { at, local } = locate(memory, address)
  return local ? alignedStrides(shape, type, Math.floor(at / laneBytes)) : [c * h * w, h * w, w, 1]
}

function tensor(memory: Memory, fields: Fields): void {
  const special = fields.cmd_special_function ?? 0
  const size = sizeOf(fields.src_data_format ?? 0)
  const given = sourceShape(fields)
  const known: number[] = [dmaTensor.copy, dmaTensor.transposeNC, dmaTensor.broadcast]
  if (!known.includes(special)) throw refuse(`tensor move ${special} is not modelled`)
  // The source of a broadcast has one channel, whatever its field says.
  const shape: Four = special === dmaTensor.broadcast ? [given[0], 1, given[2], given[3]] : given
  const [n, c, h, w] = shape
  const resultShape: Four =
    special === dmaTensor.transposeNC
      ? [c, n, h, w]
      : special === dmaTensor.broadcast
        ? [n, fields.dst_csize ?? 0, h, w]
        : shape
  // Only plain copies have w strides.
  const strides = (prefix: 'src' | 'dst', address: number, of: Four): Four =>
    fields.stride_enable === 1
      ? [
          fields[`${prefix}_nstride`] ?? 0,
          fields[`${prefix}_cstride`] ?? 0,
          fields[`${prefix}_hstride`] ?? 0,
          special === dmaTensor.copy ? (fields[`${prefix}_wstride`] ?? 0) : 1,
        ]
      : ownStrides(memory, address, of, fields.src_data_format ?? 0)
  const [from, to] = [sourceAddress(fields), resultAddress(fields)]
  const result = side(memory, to, resultShape, strides('dst', to, resultShape), size)
  if (special === dmaTensor.copy && fields.nchw_copy !== 1) {
    const sizes = [fields.dst_nsize, fields.dst_csize, fields.dst_hsize, fields.dst_wsize]
    if (sizes.some((length, i) => length !== shape[i])) throw refuse('source and destination differ in shape')
  }
  if (fields.fill_constant_en === 1) {
    fill(result, resultShape, size, fields.constant_value ?? 0)
    return
  }
  const source = side(memory, from, shape, strides('src', from, shape), size)
  const plain = h === 1 || (source.hStep === w * source.wStep && result.hStep === w * result.wStep)
  const [rows, length] = plain ? [1, h * w] : [h, w]
  const [rn, rc] = resultShape
  for (let in_ = 0; in_ < rn; in_++)
    for (let ic = 0; ic < rc; ic++)
      for (let y = 0; y < rows; y++) {
        const [sn, sc] = special === dmaTensor.transposeNC ? [ic, in_] : [in_, special === dmaTensor.broadcast ? 0 : ic]
        copyRow(source, source.place(sn, sc, y, 0), result, result.place(in_, ic, y, 0), length, size)
      }
}

function copyRow(source: Side, from: number, result: Side, to: number, length: number, size: 1 | 2 | 4): void {
  if (source.wStep === size && result.wStep === size) {
    result.space.u8.set(source.space.u8.subarray(from, from + length * size), to)
    return
  }
  const view = size === 4 ? 'u32' : size === 2 ? 'u16' : 'u8'
  const [input, output] = [source.space[view], result.space[view]]
  const [step, by] = [source.wStep / size, result.wStep / size]
  for (let i = 0, at = from / size, out = to / size; i < length; i++, at += step, out += by) output[out] = input[at]!
}

function fill(result: Side, [n, c, h, w]: Four, size: 1 | 2 | 4, value: number): void {
  const bytes = new Uint8Array(new Uint32Array([value]).buffer).subarray(0, size)
  for (let in_ = 0; in_ < n; in_++)
    for (let ic = 0; ic < c; ic++)
      for (let y = 0; y < h; y++) {
        let at = result.place(in_, ic, y, 0)
        for (let x = 0; x < w; x++, at += result.wStep) result.space.u8.set(bytes, at)
      }
}

/** A stretch of elements, to one place or to the same place of several lanes. */
function general(memory: Memory, fields: Fields): void {
  const size = sizeOf(fields.src_data_format ?? 0)
  const length = fields.src_cstride ?? 0
  const source = locate(memory, sourceAddress(fields))
  const result = locate(memory, resultAddress(fields))
  if (source.at + length * size > source.space.u8.length) throw refuse('the source leaves its memory')
  const broadcast = (fields.cmd_special_function ?? 0) === 1
  const copies = broadcast ? (fields.dst_csize ?? 0) : 1
  if (broadcast && !result.local) throw refuse('a broadcast goes to local memory')
  if (result.at + (copies - 1) * laneBytes + length * size > result.space.u8.length)
    throw refuse('the destination leaves its memory')
  if (fields.fill_constant_en === 1) throw refuse('filling is not modelled here')
  const bytes = source.space.u8.slice(source.at, source.at + length * size)
  for (let i = 0; i < copies; i++) result.space.u8.set(bytes, result.at + i * laneBytes)
}

/**
 * A matrix between rows in global memory and slices of columns in lanes: local element (row n, slice c, w) is global row n, column
 * c * width + w; with special function 1 the global side holds the transpose.
 */
function matrix(memory: Memory, fields: Fields): void {
  const size = sizeOf(fields.src_data_format ?? 0)
  const transposed = (fields.cmd_special_function ?? 0) === 1
  const toLocal = locate(memory, resultAddress(fields)).local
  if (toLocal === locate(memory, sourceAddress(fields)).local)
    throw refuse('a matrix moves between local and global memory')
  const [local, global] = toLocal ? (['dst', 'src'] as const) : (['src', 'dst'] as const)
  const shape: Four = [fields[`${local}_nsize`] ?? 0, fields[`${local}_csize`] ?? 0, 1, fields[`${local}_wsize`] ?? 0]
  const [rows, columns] = [fields[`${global}_hsize`] ?? 0, fields[`${global}_wsize`] ?? 0]
  const here = side(
    memory,
    toLocal ? resultAddress(fields) : sourceAddress(fields),
    shape,
    [fields[`${local}_nstride`] ?? 0, fields[`${local}_cstride`] ?? 0, 0, 1],
    size,
  )
  const there = side(
    memory,
    toLocal ? sourceAddress(fields) : resultAddress(fields),
    [1, 1, rows, columns],
    [0, 0, fields[`${global}_hstride`] ?? 0, 1],
    size,
  )
  const [n, width] = transposed ? [columns, rows] : [rows, columns]
  if (n !== shape[0] || Math.ceil(width / shape[3]) !== shape[1])
    throw refuse('the matrix does not have the shape of its slices')
  for (let row = 0; row < n; row++)
    for (let column = 0; column < width; column++) {
      const near = here.place(row, Math.floor(column / shape[3]), 0, column % shape[3])
      const far = transposed ? there.place(0, 0, column, row) : there.place(0, 0, row, column)
      if (toLocal) copyRow(there, far, here, near, 1, size)
      else copyRow(here, near, there, far, 1, size)
    }
}

/** dst(n, w, h, c) = src(n, c, h, w) */
function transposeCW(memory: Memory, fields: Fields): void {
  const size = sizeOf(fields.src_data_format ?? 0)
  const shape = sourceShape(fields)
  const [n, c, h, w] = shape
  const strides = (prefix: 'src' | 'dst'): Four => [
    fields[`${prefix}_nstride`] ?? 0,
    fields[`${prefix}_cstride`] ?? 0,
    fields[`${prefix}_hstride`] ?? 0,
    1,
  ]
  const source = side(memory, sourceAddress(fields), shape, strides('src'), size)
  const result = side(memory, resultAddress(fields), [n, w, h, c], strides('dst'), size)
  const view = size === 4 ? 'u32' : size === 2 ? 'u16' : 'u8'
  const [input, output] = [source.space[view], result.space[view]]
  for (let in_ = 0; in_ < n; in_++)
    for (let y = 0; y < h; y++) {
      const rows = Array.from({ length: c }, (_, ic) => source.place(in_, ic, y, 0) / size)
      for (let x = 0; x < w; x++) {
        const to = result.place(in_, x, y, 0) / size
        for (let ic = 0; ic < c; ic++) output[to + ic] = input[rows[ic]! + x]!
      }
    }
}
