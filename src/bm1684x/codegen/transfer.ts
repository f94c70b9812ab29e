/** DMA commands. Sizes and strides are in elements of the command's format, which matters by its width only. */
import { laneBytes, localBase, mostPerDimension } from '../chip.js'
import { dmaTensor, dmaType, type Instruction, type Prec, prec, precBytes } from '../isa/forms.js'
import type { Shape4 } from '../layout.js'
import { mergeAxes } from './view.js'

/** One side of a transfer. */
export interface End {
  readonly address: number
  readonly strides: Shape4
}

const half = 2 ** 32

/** A local byte as DMA spells it. */
export const localAddress = (lane: number, offset: number): number => localBase + lane * laneBytes + offset

/** dst(n, c, h, w) = src(n, c, h, w), n, c, h, w counted in `shape`. */
export function copy(shape: Shape4, type: Prec, source: End, destination: End): Instruction {
  const [merged, src, dst] = rowsTogether(shape, source.strides, destination.strides)
  return {
    form: 'dma',
    fields: common(type, merged, merged, src, dst, source.address, destination.address),
  }
}

/** dst(n, c, h, w) = the bits of `value`. */
export function fill(shape: Shape4, type: Prec, value: number, destination: End): Instruction {
  const [merged, , dst] = rowsTogether(shape, destination.strides, destination.strides)
  return {
    form: 'dma',
    fields: {
      // The runtime moves source addresses of global memory; 0 it leaves alone.
      ...common(type, merged, merged, [0, 0, 0, 1], dst, 0, destination.address),
      fill_constant_en: 1,
      constant_value: value,
    },
  }
}

/** dst(n, w, h, c) = src(n, c, h, w), `shape` being the source's; w strides are 1 on both sides. */
function transposeCW(shape: Shape4, type: Prec, source: End, destination: End): Instruction {
  const [n, c, h, w] = shape
  return {
    form: 'dma',
    fields: {
      ...common(type, shape, [n, w, h, c], source.strides, destination.strides, source.address, destination.address),
      nchw_copy: 0,
      cmd_type: dmaType.cwTranspose,
    },
  }
}

/** Rows of bytes, one per lane from lane 0 on, from global memory, where they follow each other, to `offset` of every lane. */
export function loadRows(rows: number, rowBytes: number, address: number, offset: number): Instruction {
  const size = rowBytes % 4 === 0 ? 4 : rowBytes % 2 === 0 ? 2 : 1
  const width = rowBytes / size
  let lines = 1
  while (width % lines !== 0 || width / lines > mostPerDimension) lines++
  const shape = [1, rows, lines, width / lines] as const
  const strides = [0, width, width / lines, 1] as const
  const local = [0, width, width / lines, 1] as const
  const type: Prec = size === 4 ? 'int32' : size === 2 ? 'int16' : 'int8'
  const end = { address: localAddress(0, offset), strides: local }
  const [src, dst] = [strides, local]
  return {
    form: 'dma',
    fields: common(type, shape, shape, src, dst, address, end.address),
  }
}

interface Side {
  readonly address: number
  readonly strides: readonly number[]
}

/** Dimensions of a transfer: their sizes, and strides on both sides. */
interface Axis {
  readonly size: number
  readonly from: number
  readonly to: number
}

/**
 * Commands that copy between two views of one shape in global memory, of any number of dimensions. Where runs of elements lie along
 * one dimension in the source and along another in the destination, the engine transposes; where an end has no runs at all, every
 * element costs a row.
 */
export function copyGlobal(type: Prec, shape: readonly number[], source: Side, destination: Side): Instruction[] {
  const axes = axesOf(shape, source.strides, destination.strides)
  const last = axes.at(-1)
  const w = axes.find(({ from }) => from === 1)
  const c = axes.find(({ to }) => to === 1)
  if (w !== undefined && c !== undefined && w !== c) {
    const rest = axes.filter((axis) => axis !== w && axis !== c)
    return each(type, rest, 2, source, destination, ([n, h], from, to) =>
      transposeCW(
        [n!.size, c.size, h!.size, w.size],
        type,
        { address: from, strides: [n!.from, c.from, h!.from, 1] },
        { address: to, strides: [n!.to, w.to, h!.to, 1] },
      ),
    )
  }
  const row = last?.from === 1 && last.to === 1 ? axes.pop()! : { size: 1, from: 1, to: 1 }
  return each(type, axes, 3, source, destination, ([n, c, h], from, to) =>
    copy(
      [n!.size, c!.size, h!.size, row.size],
      type,
      { address: from, strides: [n!.from, c!.from, h!.from, 1] },
      { address: to, strides: [n!.to, c!.to, h!.to, 1] },
    ),
  )
}

/**
 * One command for every place along the axes in front of the last `inner`, which it walks itself.
 * @param make axes, always `inner` of them, and where the command begins on both sides
 */
function each(
  type: Prec,
  axes: readonly Axis[],
  inner: number,
  { address: from }: Side,
  { address: to }: Side,
  make: (axes: readonly Axis[], from: number, to: number) => Instruction,
): Instruction[] {
  if (axes.length <= inner) {
    const missing = Array.from({ length: inner - axes.length }, () => ({ size: 1, from: 0, to: 0 }))
    return [make([...missing, ...axes], from, to)]
  }
  const [outer, ...rest] = axes as [Axis, ...Axis[]]
  const bytes = precBytes[type]
  return Array.from({ length: outer.size }, (_, i) => {
    const at = (base: number, stride: number) => ({ address: base + i * stride * bytes, strides: [] })
    return each(type, rest, inner, at(from, outer.from), at(to, outer.to), make)
  }).flat()
}

/** The fewest dimensions, none longer than a field holds. */
function axesOf(shape: readonly number[], source: readonly number[], destination: readonly number[]): Axis[] {
  const merged = mergeAxes(shape, source, destination)
  const [from, to] = merged.strides as [number[], number[]]
  return merged.shape.flatMap((size, axis): Axis[] => {
    let inner = Math.min(size, mostPerDimension)
    while (size % inner !== 0) inner--
    const row = { size: inner, from: from[axis]!, to: to[axis]! }
    return inner === size ? [row] : [{ size: size / inner, from: row.from * inner, to: row.to * inner }, row]
  })
}

/** Commands that fill a view of global memory with the bits of `value`. */
export function fillGlobal(
  type: Prec,
  value: number,
  shape: readonly number[],
  destination: { readonly address: number; readonly strides: readonly number[] },
): Instruction[] {
  return copyGlobal(type, shape, destination, destination).map(({ fields }) => {
    const of = fields as Readonly<Record<string, number>>
    const strides = [of.dst_nstride, of.dst_cstride, of.dst_hstride, of.dst_wstride] as unknown as Shape4
    const sizes = [of.dst_nsize, of.dst_csize, of.dst_hsize, of.dst_wsize] as unknown as Shape4
    return fill(sizes, type, value, { address: of.dst_start_addr_l32! + of.dst_start_addr_h8! * half, strides })
  })
}

/** h and w as one where rows follow each other on both sides: long runs are what DMA is fast at. */
function rowsTogether([n, c, h, w]: Shape4, src: Shape4, dst: Shape4): [Shape4, Shape4, Shape4] {
  const together = src[2] === w && dst[2] === w && src[3] === 1 && dst[3] === 1 && h * w <= mostPerDimension
  const strides = ([n, c, , x]: Shape4): Shape4 => [n, c, h * w, x]
  return together ? [[n, c, 1, h * w], strides(src), strides(dst)] : [[n, c, h, w], src, dst]
}

/** All fields in one literal: transfers are made by the ten thousands to find out what they take. */
function common(
  type: Prec,
  source: Shape4,
  destination: Shape4,
  from: Shape4,
  to: Shape4,
  sourceAddress: number,
  destinationAddress: number,
) {
  return {
    stride_enable: 1,
    cmd_id_en: 1,
    cmd_type: dmaType.tensor as number,
    cmd_special_function: dmaTensor.copy as number,
    src_data_format: prec[type],
    src_nsize: source[0],
    src_csize: source[1],
    src_hsize: source[2],
    src_wsize: source[3],
    dst_nsize: destination[0],
    dst_csize: destination[1],
    dst_hsize: destination[2],
    dst_wsize: destination[3],
    src_nstride: from[0],
    src_cstride: from[1],
    src_hstride: from[2],
    src_wstride: from[3],
    dst_nstride: to[0],
    dst_cstride: to[1],
    dst_hstride: to[2],
    dst_wstride: to[3],
    // Every lane.
    localmem_mask_l32: half - 1,
    localmem_mask_h32: half - 1,
    nchw_copy: 1,
    src_start_addr_l32: sourceAddress % half,
    src_start_addr_h8: Math.floor(sourceAddress / half),
    dst_start_addr_l32: destinationAddress % half,
    dst_start_addr_h8: Math.floor(destinationAddress / half),
  }
}
