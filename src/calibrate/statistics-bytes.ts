/**
 * Statistics as bytes, for the store: the tensors of one picture.
 *
 *   byte 0       version, 2
 *   bytes 1..4   CRC-32 of the rest, little endian
 *   rest         number of tensors, then per tensor
 *                  name (length in bytes, UTF-8); count, zeros, nan, infinite; min, max as float32, little endian;
 *                  exponent + 1024; number of bins; then per bin that is not empty a byte: how many empty ones stand before it
 *                  (3 bits, high), and its count (5 bits, low). All ones mean: that or more, the rest follows, the gap's first
 *
 * Whole numbers are varints: seven bits a byte, low bits first, the high bit says that more follow. They go up to 2^53.
 * min and max fit in float32 because they are elements of float32 tensors. The last bin is never empty: it is absMax's.
 * Deflated, it would be 2/3 of the size, and writing it would take twice the time.
 */
import { crc32 } from 'node:zlib'
import { QuantError } from '../errors.js'
import { nextFilled, type TensorStatistics } from './statistics.js'

const VERSION = 2
const HEADER = 5
const EXPONENT_BIAS = 1024
/** From these on a gap and a count do not fit in their bits. */
const LONG_GAP = 7
const MANY_HITS = 31

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
  const content = out.bytes()
  const file = new Uint8Array(HEADER + content.length)
  file[0] = VERSION
  new DataView(file.buffer).setUint32(1, crc32(content), true)
  file.set(content, HEADER)
  return file
}

/** @throws QuantError 'disk' for bytes that are not exactly what `encodeStatistics` wrote. */
export function decodeStatistics(bytes: Uint8Array): Map<string, TensorStatistics> {
  if (bytes.length < HEADER) throw damaged('too short')
  if (bytes[0] !== VERSION) throw damaged(`version ${bytes[0]} instead of ${VERSION}`)
  const content = bytes.subarray(HEADER)
  const sum = new DataView(bytes.buffer, bytes.byteOffset, HEADER).getUint32(1, true)
  if (crc32(content) !== sum) throw damaged('wrong checksum')
  const read = reader(content)
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
    counts(values: TensorStatistics['histogram']): void {
      let from = 0
      for (let k = nextFilled(values, 0); k < values.length; k = nextFilled(values, from)) {
        const hits = values[k]!
        const gap = k - from
        from = k + 1
        // Most bins take one byte, and there are hundreds of thousands.
        if (at === buffer.length) room(1)
        buffer[at++] = Math.min(gap, LONG_GAP) * 32 + Math.min(hits, MANY_HITS)
        if (gap >= LONG_GAP) varint(gap - LONG_GAP)
        if (hits >= MANY_HITS) varint(hits - MANY_HITS)
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
        const byte = bytes[take(1)]!
        const gap = byte >> 5
        const hits = byte % 32
        k += gap < LONG_GAP ? gap : LONG_GAP + varint()
        if (k >= length) throw damaged('a bin too many')
        counts[k] = hits < MANY_HITS ? hits : MANY_HITS + varint()
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

const damaged = (why: string): QuantError =>
  new QuantError('disk', `stored statistics are damaged: ${why}`, {
    hint: 'delete them, the next build makes them again',
  })
