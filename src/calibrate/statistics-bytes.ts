/**
 * Statistics as bytes, for the store: the tensors of one picture.
 *
 *   byte 0       version, 1
 *   bytes 1..4   CRC-32 of the rest, little endian: raw deflate has no checksum of its own
 *   rest         raw deflate of: number of tensors, then per tensor
 *                  name (length in bytes, UTF-8); count, zeros, nan, infinite; min, max as float32, little endian;
 *                  exponent + 1024; number of bins, then the bins: a count, or 0 and the length of a run of empty bins
 *
 * Whole numbers are varints: seven bits a byte, low bits first, the high bit says that more follow. They go up to 2^53.
 * min and max fit in float32 because they are elements of float32 tensors.
 */
import { constants, crc32, deflateRawSync, inflateRawSync } from 'node:zlib'
import { QuantError } from '../errors.js'
import type { TensorStatistics } from './statistics.js'

const VERSION = 1
const HEADER = 5
const EXPONENT_BIAS = 1024

/** Deterministic for the map's order. */
export function encodeStatistics(tensors: ReadonlyMap<string, TensorStatistics>): Uint8Array {
  const out = writer()
  out.varint(tensors.size)
  for (const [name, stats] of tensors) {
    out.text(name)
    for (const n of [stats.count, stats.zeros, stats.nan, stats.infinite]) out.varint(n)
    out.float32(stats.min)
    out.float32(stats.max)
    out.varint(stats.exponent + EXPONENT_BIAS)
    out.varint(stats.histogram.length)
    out.counts(stats.histogram)
  }
  // Counts are noise: looking for repetitions takes twice the time and gains 1 %.
  const packed = deflateRawSync(out.bytes(), { level: 1, strategy: constants.Z_HUFFMAN_ONLY })
  const file = new Uint8Array(HEADER + packed.length)
  file[0] = VERSION
  new DataView(file.buffer).setUint32(1, crc32(packed), true)
  file.set(packed, HEADER)
  return file
}

/** @throws QuantError 'disk' for bytes that are not exactly what `encodeStatistics` wrote. */
export function decodeStatistics(bytes: Uint8Array): Map<string, TensorStatistics> {
  if (bytes.length < HEADER) throw damaged('too short')
  if (bytes[0] !== VERSION) throw damaged(`version ${bytes[0]} instead of ${VERSION}`)
  const packed = bytes.subarray(HEADER)
  const sum = new DataView(bytes.buffer, bytes.byteOffset, HEADER).getUint32(1, true)
  if (crc32(packed) !== sum) throw damaged('wrong checksum')
  const read = reader(inflate(packed))
  const tensors = new Map<string, TensorStatistics>()
  for (let left = read.varint(); left > 0; left--) {
    const name = read.text()
    const [count, zeros, nan, infinite] = [read.varint(), read.varint(), read.varint(), read.varint()]
    const min = read.float32()
    const max = read.float32()
    const exponent = read.varint() - EXPONENT_BIAS
    const length = read.varint()
    if (length > 2 ** 15) throw damaged('too many bins')
    const histogram = read.counts(length)
    const absMax = length === 0 ? 0 : Math.max(-min, max)
    tensors.set(name, { count, zeros, nan, infinite, min, max, absMax, exponent, histogram })
  }
  if (!read.atEnd()) throw damaged('something follows')
  return tensors
}

function writer() {
  let buffer = new Uint8Array(1 << 16)
  let view = new DataView(buffer.buffer)
  let at = 0
  const room = (bytes: number): void => {
    if (at + bytes <= buffer.length) return
    const larger = new Uint8Array(2 * (at + bytes))
    larger.set(buffer)
    buffer = larger
    view = new DataView(buffer.buffer)
  }
  const varint = (value: number): void => {
    room(8)
    let rest = value
    // Not with shifts: they know 32 bits only.
    while (rest >= 128) {
      buffer[at++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    buffer[at++] = rest
  }
  return {
    varint,
    /** A run of zeros never ends them: the last bin is the one of absMax. */
    counts(values: Float64Array): void {
      for (let k = 0; k < values.length; k++) {
        if (values[k] === 0) {
          const start = k
          while (values[k + 1] === 0) k++
          varint(0)
          varint(k + 1 - start)
        } else varint(values[k]!)
      }
    },
    text(value: string): void {
      const bytes = new TextEncoder().encode(value)
      varint(bytes.length)
      room(bytes.length)
      buffer.set(bytes, at)
      at += bytes.length
    },
    float32(value: number): void {
      room(4)
      view.setFloat32(at, value, true)
      at += 4
    },
    bytes: (): Uint8Array => buffer.subarray(0, at),
  }
}

function reader(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const take = (length: number): number => {
    if (length > bytes.length - at) throw damaged('ends too early')
    at += length
    return at - length
  }
  const varint = (): number => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[take(1)]!
      value += (byte % 128) * scale
      if (byte < 128) return value
    }
  }
  return {
    varint,
    counts(length: number): Float64Array {
      const counts = new Float64Array(length)
      for (let k = 0; k < length; k++) {
        // Nearly all take one byte.
        const hits = bytes[at]! < 128 ? bytes[at++]! : varint()
        if (hits > 0) counts[k] = hits
        else k += varint() - 1
      }
      return counts
    },
    text(): string {
      const length = varint()
      const start = take(length)
      return new TextDecoder().decode(bytes.subarray(start, start + length))
    },
    float32: (): number => view.getFloat32(take(4), true),
    atEnd: (): boolean => at === bytes.length,
  }
}

function inflate(packed: Uint8Array): Uint8Array {
  try {
    return inflateRawSync(packed)
  } catch (cause) {
    throw damaged('not deflated data', cause)
  }
}

const damaged = (why: string, cause?: unknown): QuantError =>
  new QuantError('disk', `stored statistics are damaged: ${why}`, {
    hint: 'delete them, the next build makes them again',
    cause,
  })
