/** Convolution sums over a channels-last image: how each element type lays out its image and filters for `dots.ts`. */
import { cubeChannels, roundUp } from '../chip.js'
import type { Loops } from './loops.js'
import { workBase } from './rows.js'
import { tapOf, type Window } from './window.js'

export interface Sums {
  /** Where the padded image goes: element (y, x, c) at `at + (y * width + x) * pitch + c`. */
  readonly image: Int16Array | Float32Array
  readonly at: number
  readonly pitch: number
  /** Output channels that are computed together. */
  readonly together: number
  /**
   * The sums of output channels c, c + 1 ... of all pixels, one array each, until the next call.
   * @param channels how many of them exist, at most `together`
   */
  channels(c: number, channels: number, filter: Filter, start: Start): readonly SumsOfChannel[]
}

export type SumsOfChannel = Int32Array | Float32Array

/** What the sums of an output channel begin with: floats only. */
export interface Start {
  bias(oc: number): number
  /** What the sums of the pixels are added to. */
  readonly old?: (oc: number) => Float32Array
}

export interface Filter {
  readonly read: FilterReader
  /** int8 in local memory: the address of an output channel's weights, [ic / 64][tap][64], and their zero point. */
  readonly packed?: { readonly signed: boolean; of(oc: number): readonly [address: number, zero: number] }
}

/** Writes `count` weights of a tap from input channel `ic` on, each `step` elements further. */
type FilterReader = (
  oc: number,
  tap: number,
  ic: number,
  count: number,
  into: Int16Array | Float32Array,
  at: number,
  step: number,
) => void

export interface ConvShape {
  readonly window: Window
  readonly rotated: number | undefined
  readonly channels: number
  /** Of the result. */
  readonly size: readonly [number, number]
}

/** Addresses of stretches of the loops' memory, one behind the other, and their end. */
function place(...sizes: number[]): number[] {
  let at = workBase
  return [...sizes, 0].map((bytes) => {
    const start = at
    at = roundUp(at + bytes, 16)
    return start
  })
}

/** Reserves the memory and writes the addresses of the pixels' windows; `count` of them, the last ones repeated. */
function prepare(
  loops: Loops,
  shape: ConvShape,
  count: number,
  pitchBytes: number,
  places: number,
  image: number,
): SharedArrayBuffer {
  const { window, size } = shape
  const [height, width] = window.extent
  // A run may be read past its end.
  const buffer = loops.memory.reserve(image + height * width * pitchBytes + 64)
  const words = new Int32Array(buffer, places, count)
  let last = 0
  for (let y = 0, i = 0; y < size[0]; y++)
    for (let x = 0; x < size[1]; x++, i++)
      words[i] = last = image + (y * window.strides[0] * width + x * window.strides[1]) * pitchBytes
  words.fill(last, size[0] * size[1])
  return buffer
}

const offsetOf = ({ dilations, extent }: Window, ky: number, kx: number): number =>
  ky * dilations[0] * extent[1] + kx * dilations[1]

/** int8 factors as int16; sums are int32 and wrap. `start` is not used. */
export function integerSums(loops: Loops, shape: ConvShape): Sums {
  const { window, channels, size, rotated } = shape
  const [kh, kw] = window.kernel
  // Taps of a row of the window lie side by side unless it is dilated.
  const dense = window.dilations[1] === 1
  const [runCount, parts] = dense ? [kh, kw] : [kh * kw, 1]
  const vectors = Math.ceil((parts * channels) / 8)
  const filterBytes = runCount * vectors * 16
  const count = roundUp(size[0] * size[1], 4)
  const [places, runs, filters, results, image] = place(
    count * 4,
    runCount * 4,
    filterBytes * 2 + 16,
    count * 8,
    0,
  ) as [number, number, number, number, number]
  const buffer = prepare(loops, shape, count, channels * 2, places, image)
  const factors = new Int16Array(buffer)
  const tapAt = (run: number, part: number) =>
    (dense ? [run, part] : [Math.floor(run / kw), run % kw]) as [number, number]
  const offsets = new Int32Array(buffer, runs, runCount)
  for (let run = 0; run < runCount; run++) offsets[run] = offsetOf(window, ...tapAt(run, 0)) * channels * 2
  const sums = [0, 1].map((i) => new Int32Array(buffer, results + i * count * 4, size[0] * size[1]))
  return {
    image: factors,
    at: image / 2,
    pitch: channels,
    together: 2,
    channels(c, existing, filter) {
      const start = filters / 2
      if (existing < 2 || !filter.packed) factors.fill(0, start, start + filterBytes)
      for (let i = 0; i < existing; i++) {
        if (filter.packed) {
          unpack(filter.packed, c + i, filters + i * filterBytes)
          continue
        }
        for (let run = 0; run < runCount; run++)
          for (let part = 0; part < parts; part++) {
            const to = start + (i * runCount + run) * vectors * 8 + part * channels
            filter.read(c + i, tapOf(window, rotated, ...tapAt(run, part)), 0, channels, factors, to, 1)
          }
      }
      const [second, other] = [filters + filterBytes, results + count * 4]
      loops.functions.integerDots(places, count, runs, runCount, vectors, filters, second, results, other)
      return sums
    },
  }

  function unpack({ signed, of }: NonNullable<Filter['packed']>, oc: number, to: number): void {
    const [address, zero] = of(oc)
    const block = cubeChannels[1]
    const [first, step] = rotated === 1 ? [(kh * kw - 1) * block, -block] : [0, block]
    const loop = loops.functions[signed ? 'filter_s8' : 'filter_u8']
    loop(address + first, to, runCount, parts, step, kh * kw * block, channels, zero)
  }
}

/** fp16 and bf16. Runs: blocks of 32 input channels, and in each of them all taps. */
export function halfSums(loops: Loops, shape: ConvShape): Sums {
  const { window, channels, size, rotated } = shape
  const [kh, kw] = window.kernel
  const pitch = roundUp(channels, 4)
  const block = cubeChannels[2]
  const runCount = Math.ceil(channels / block) * kh * kw
  const count = size[0] * size[1]
  const [places, runs, filters, start, results, image] = place(
    count * 4,
    runCount * 8,
    pitch * kh * kw * 16,
    count * 16,
    count * 16,
    0,
  ) as [number, number, number, number, number, number]
  const buffer = prepare(loops, shape, count, pitch * 4, places, image)
  const factors = new Float32Array(buffer)
  const table = new Int32Array(buffer, runs, runCount * 2)
  const taps = Array.from({ length: kh * kw }, (_, tap): [number, number] => [Math.floor(tap / kw), tap % kw])
  let run = 0
  for (let first = 0; first < channels; first += block)
    for (const tap of taps) {
      table[run++] = (offsetOf(window, ...tap) * pitch + first) * 4
      table[run++] = Math.ceil(Math.min(block, channels - first) / 4)
    }
  const sums = [0, 1, 2, 3].map(() => new Float32Array(count))
  return {
    image: factors,
    at: image / 4,
    pitch,
    together: 4,
    channels(c, existing, filter, { bias, old }) {
      factors.fill(0, filters / 4, filters / 4 + pitch * kh * kw * 4)
      for (let i = 0; i < existing; i++) {
        const begin = bias(c + i)
        const values = old?.(c + i)
        for (let k = 0; k < count; k++) factors[start / 4 + 4 * k + i] = values ? begin + values[k]! : begin
        let to = filters / 4 + i
        for (let first = 0; first < channels; first += block)
          for (const tap of taps) {
            const width = Math.min(block, channels - first)
            filter.read(c + i, tapOf(window, rotated, ...tap), first, width, factors, to, 4)
            to += roundUp(width, 4) * 4
          }
      }
      loops.functions.halfDots(places, count, runs, runCount, filters, start, results)
      apart(new Float32Array(buffer, results, count * 4), sums)
      return sums
    },
  }
}

/** Four interleaved arrays, each for itself. */
function apart(found: Float32Array, sums: readonly Float32Array[]): void {
  const [a, b, c, d] = sums as [Float32Array, Float32Array, Float32Array, Float32Array]
  for (let k = 0, at = 0; k < a.length; k++, at += 4) {
    a[k] = found[at]!
    b[k] = found[at + 1]!
    c[k] = found[at + 2]!
    d[k] = found[at + 3]!
  }
}

/** fp32. Factors in the order of input channels, and for each of them all taps. */
export function singleSums(loops: Loops, shape: ConvShape): Sums {
  const { window, channels, size, rotated } = shape
  const [kh, kw] = window.kernel
  const taps = kh * kw
  const factorCount = roundUp(channels * taps, 2)
  const count = size[0] * size[1]
  const [places, offsets, filters, evenStart, oddStart, results, image] = place(
    count * 4,
    factorCount * 4,
    factorCount * 16,
    16,
    count * 16,
    count * 16,
    0,
  ) as [number, number, number, number, number, number, number]
  const buffer = prepare(loops, shape, count, channels * 4, places, image)
  const factors = new Float32Array(buffer)
  const table = new Int32Array(buffer, offsets, factorCount).fill(0)
  for (let i = 0; i < channels * taps; i++) {
    const tap = i % taps
    table[i] = (offsetOf(window, Math.floor(tap / kw), tap % kw) * channels + Math.floor(i / taps)) * 4
  }
  const sums = [0, 1, 2, 3].map(() => new Float32Array(count))
  return {
    image: factors,
    at: image / 4,
    pitch: channels,
    together: 4,
    channels(c, existing, filter, { bias, old }) {
      factors.fill(0, filters / 4, filters / 4 + factorCount * 4)
      for (let i = 0; i < existing; i++) {
        // An old value takes the place of the bias, which then goes to the even sums.
        factors[evenStart / 4 + i] = old ? bias(c + i) : 0
        const odd = old?.(c + i)
        for (let k = 0; k < count; k++) factors[oddStart / 4 + 4 * k + i] = odd ? odd[k]! : bias(c + i)
        for (let tap = 0; tap < taps; tap++) {
          const stored = tapOf(window, rotated, Math.floor(tap / kw), tap % kw)
          filter.read(c + i, stored, 0, channels, factors, filters / 4 + tap * 4 + i, taps * 4)
        }
      }
      loops.functions.singleDots(places, count, offsets, factorCount, filters, evenStart, oddStart, results)
      apart(new Float32Array(buffer, results, count * 4), sums)
      return sums
    },
  }
}
