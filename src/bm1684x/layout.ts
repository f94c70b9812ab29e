/**
 * How tensors and coefficients lie in local memory. Channel c of a tensor that starts in lane L is in lane (L + c) mod 64, group
 * floor((L + c) / 64); within the lane, element (n, g, h, w) is at base + (n*strides.n + g*strides.c + h*strides.h + w*strides.w)
 * elements.
 */

import { roundBf16, roundF16 } from '../quantize/rounding.js'
import { floatBits, halfBits } from '../quantize/tpu/weights.js'
import { cubeChannels, lanes, roundUp, vectorBytes } from './chip.js'
import type { Packed } from './codegen/kernel.js'
import { type Prec, precBytes } from './isa/forms.js'

export type Shape4 = readonly [n: number, c: number, h: number, w: number]

/** In elements; c is the step between channel groups of 64. */
export interface Strides {
  readonly n: number
  readonly c: number
  readonly h: number
  readonly w: number
}

/** Rows that one lane holds of each item of the batch. */
export const channelGroups = (channels: number, startLane = 0): number => Math.ceil((startLane + channels) / lanes)

/** Layout code 0: rows packed, each channel begins at a multiple of 64 bytes. */
export function alignedStrides([, c, h, w]: Shape4, prec: Prec, startLane = 0): Strides {
  const channel = roundUp(h * w, vectorBytes / precBytes[prec])
  return { n: channel * channelGroups(c, startLane), c: channel, h: w, w: 1 }
}

/** Nothing between channels: biases, tables of one value per channel, filters of depthwise convolution. */
export const compactStrides = ([, c, h, w]: Shape4, startLane = 0): Strides => ({
  n: h * w * channelGroups(c, startLane),
  c: h * w,
  h: w,
  w: 1,
})

/** Every row begins at a multiple of 64 bytes: the result of the transpose cwTs. */
export function lineStrides([, c, h, w]: Shape4, prec: Prec, startLane = 0): Strides {
  const row = roundUp(w, vectorBytes / precBytes[prec])
  return { n: h * row * channelGroups(c, startLane), c: h * row, h: row, w: 1 }
}

/** Plain NCHW in global memory, where c is the step from channel to channel. */
export const globalStrides = ([, c, h, w]: Shape4): Strides => ({ n: c * h * w, c: h * w, h: w, w: 1 })

/** Bytes of each lane that an aligned tensor takes. */
export const alignedBytes = (shape: Shape4, prec: Prec, startLane = 0): number =>
  shape[0] * alignedStrides(shape, prec, startLane).n * precBytes[prec]

/** Bytes in a lane from a tensor's first byte to behind its last; what padding follows it is not counted. */
export const reach = ([n, c, h, w]: Shape4, strides: Strides, elementBytes: number, startLane = 0): number =>
  ((n - 1) * strides.n +
    (channelGroups(c, startLane) - 1) * strides.c +
    (h - 1) * strides.h +
    (w - 1) * strides.w +
    1) *
  elementBytes

/** The bits of float16 and bfloat16 numbers nearest to the values, ties to even. */
export const toF16 = (values: Float32Array): Uint16Array => bitsOf(values, (value) => halfBits(roundF16(value)))
export const toBf16 = (values: Float32Array): Uint16Array =>
  bitsOf(values, (value) => floatBits(roundBf16(value)) >>> 16)

/** `Uint16Array.from` takes ten times as long. */
function bitsOf(values: Float32Array, bits: (value: number) => number): Uint16Array {
  const result = new Uint16Array(values.length)
  for (let i = 0; i < values.length; i++) result[i] = bits(values[i]!)
  return result
}

/** Filters as convolution takes them: int8, bits of float16 or bfloat16, float32. */
export type FilterData = Int8Array | Uint8Array | Uint16Array | Float32Array

/**
 * The filter [oc, ic, kh, kw] of a convolution, for start lane 0: in each lane, for each of its output channels, the input channels
 * in blocks of 64 (1 byte), 32 (2 bytes) or 1 (float32), tap by tap, the channels of a block side by side. Missing ones are 0.
 */
export const packConv = (name: string, filter: FilterData, shape: Shape4): Packed =>
  packBlocks(name, filter, shape, cubeChannels[filter.BYTES_PER_ELEMENT as 1 | 2 | 4])

/** The filter [c, 1, kh, kw] of a depthwise convolution: the taps of a lane's channels one after the other. */
export const packDepthwise = (name: string, filter: FilterData, [c, , kh, kw]: Shape4): Packed =>
  packBlocks(name, filter, [c, 1, kh, kw], 1)

function packBlocks(name: string, filter: FilterData, [oc, ic, kh, kw]: Shape4, block: number): Packed {
  const taps = kh * kw
  const size = filter.BYTES_PER_ELEMENT
  const channelBytes = Math.ceil(ic / block) * taps * block * size
  const from = bytesOf(filter)
  const items = new Uint8Array(oc * channelBytes)
  let read = 0
  for (let o = 0; o < oc; o++) {
    for (let i = 0; i < ic; i++) {
      let at = o * channelBytes + (Math.floor(i / block) * taps * block + (i % block)) * size
      for (let tap = 0; tap < taps; tap++, at += block * size)
        for (let byte = 0; byte < size; byte++) items[at + byte] = from[read++]!
    }
  }
  return spread(name, items, channelBytes)
}

/** One value per channel, compact: bias (int32, float32), zero points, shifts. */
export const packVector = (
  name: string,
  values: Int8Array | Uint8Array | Uint16Array | Int32Array | Float32Array,
): Packed => spread(name, bytesOf(values), values.BYTES_PER_ELEMENT)

/** Records of rq1: a 64-byte slot per channel group with int32 multiplier, shift (negative = to the right), zero point. */
export function packRequant(
  name: string,
  multipliers: readonly number[],
  shifts: readonly number[],
  zeroPoint = 0,
): Packed {
  const words = Int32Array.from(multipliers.flatMap((multiplier, i) => [multiplier, shifts[i]!, zeroPoint]))
  return spread(name, bytesOf(words), 12, vectorBytes)
}

/**
 * Several coefficients of one layer in one row per lane, so that one transfer loads them all, and where in the row each begins: the
 * first byte that is a multiple of its `align`. Official order: requant (64), bias (4), filter (64; depthwise 1).
 */
export function packTogether(
  name: string,
  parts: readonly { readonly packed: Packed; readonly align: number }[],
): { readonly packed: Packed; readonly offsets: readonly number[] } {
  let rowBytes = 0
  const offsets = parts.map(({ packed, align }) => {
    const offset = roundUp(rowBytes, align)
    rowBytes = offset + packed.rowBytes
    return offset
  })
  const rows = Math.max(...parts.map(({ packed }) => packed.rows))
  const data = new Uint8Array(rows * rowBytes)
  parts.forEach(({ packed }, i) => {
    for (let row = 0; row < packed.rows; row++)
      data.set(packed.data.subarray(row * packed.rowBytes, (row + 1) * packed.rowBytes), row * rowBytes + offsets[i]!)
  })
  return { packed: { name, rows, rowBytes, data }, offsets }
}

/** Items of `itemBytes` each, one per channel, into rows: channel c in row c mod 64, at floor(c / 64) * pitch. */
function spread(name: string, items: Uint8Array, itemBytes: number, pitch = itemBytes): Packed {
  const channels = items.length / itemBytes
  const rows = Math.min(channels, lanes)
  const rowBytes = (channelGroups(channels) - 1) * pitch + itemBytes
  const data = new Uint8Array(rows * rowBytes)
  for (let c = 0; c < channels; c++)
    data.set(items.subarray(c * itemBytes, (c + 1) * itemBytes), (c % lanes) * rowBytes + Math.floor(c / lanes) * pitch)
  return { name, rows, rowBytes, data }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
