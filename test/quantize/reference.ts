/** The arithmetic once more, in BigInt and plain loops: what the executor is held against. Shares no code with it. */
import type { Tensor } from '../../src/ir/graph.js'

/** floor(v * m / 2^s + 1/2), clamped. */
export function requant(v: bigint, m: number, s: number, [low, high]: readonly [number, number]): number {
  const product = v * BigInt(m)
  const shift = BigInt(s)
  const shifted = s <= 0 ? product << -shift : (product + (1n << (shift - 1n))) >> shift
  const [least, most] = [BigInt(low), BigInt(high)]
  return Number(shifted < least ? least : shifted > most ? most : shifted)
}

export const rangeOf = { i8: [-128, 127], u8: [0, 255] } as const

/** Numbers in [0, 1) that are the same everywhere. */
export function random(seed: number): () => number {
  let state = BigInt(seed) * 2654435761n + 12345n
  return () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
    return Number(state >> 11n) / 2 ** 53
  }
}

export const int = (next: () => number, low: number, high: number): number =>
  low + Math.floor(next() * (high - low + 1))

/** A tensor of whole numbers; a few of them extreme. */
export function integers(next: () => number, shape: readonly number[], low: number, high: number): Tensor {
  const size = shape.reduce((a, b) => a * b, 1)
  const one = (): number => {
    const pick = next()
    return pick < 0.05 ? low : pick < 0.1 ? high : int(next, low, high)
  }
  return { shape, data: Float32Array.from({ length: size }, one) }
}

export interface ConvSpec {
  readonly strides: readonly [number, number]
  readonly dilations: readonly [number, number]
  readonly pads: readonly [number, number, number, number]
  readonly group: number
}

/** Sums of a 2-d convolution, in double: exact for whole numbers below 2^53. filter [oc, ic / group, kh, kw]. */
export function convolve(
  x: Tensor,
  filter: { shape: readonly number[]; data: ArrayLike<number> },
  bias: ArrayLike<number> | undefined,
  { strides: [sh, sw], dilations: [dh, dw], pads: [top, left, bottom, right], group }: ConvSpec,
): { shape: number[]; data: number[] } {
  const [n, , h, w] = x.shape as [number, number, number, number]
  const [oc, depth, kh, kw] = filter.shape as [number, number, number, number]
  const ic = depth * group
  const oh = Math.floor((h + top + bottom - dh * (kh - 1) - 1) / sh) + 1
  const ow = Math.floor((w + left + right - dw * (kw - 1) - 1) / sw) + 1
  const data: number[] = []
  for (let b = 0; b < n; b++)
    for (let o = 0; o < oc; o++)
      for (let y = 0; y < oh; y++)
        for (let z = 0; z < ow; z++) {
          let sum = bias?.[o] ?? 0
          for (let c = 0; c < depth; c++)
            for (let i = 0; i < kh; i++)
              for (let j = 0; j < kw; j++) {
                const row = y * sh + i * dh - top
                const column = z * sw + j * dw - left
                if (row < 0 || row >= h || column < 0 || column >= w) continue
                const channel = Math.floor(o / (oc / group)) * depth + c
                sum +=
                  x.data[((b * ic + channel) * h + row) * w + column]! *
                  filter.data[((o * depth + c) * kh + i) * kw + j]!
              }
          data.push(sum)
        }
  return { shape: [n, oc, oh, ow], data }
}

/** Every float16 number as float32, by its code; found by the format's definition. */
export const halves: readonly number[] = Array.from({ length: 0x7c00 }, (_, code) => {
  const exponent = code >> 10
  const fraction = code & 1023
  return exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25)
})

/** Every finite bfloat16 number from 0 on, by its code. */
export const brains: readonly number[] = Array.from(
  new Float32Array(Uint32Array.from({ length: 0x7f80 }, (_, c) => c << 16).buffer),
)

/** The nearest of a sorted list of non-negative numbers, the even code on ties; beyond the last one by its own rule. */
function nearest(numbers: readonly number[], value: number, overflow: number): number {
  const size = Math.abs(value)
  const sign = value < 0 || Object.is(value, -0) ? -1 : 1
  if (size >= overflow) return sign * Infinity
  let low = 0
  let high = numbers.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (numbers[middle]! <= size) low = middle
    else high = middle - 1
  }
  const above = numbers[low + 1] ?? overflow
  const down = size - numbers[low]!
  const up = above - size
  const code = down < up || (down === up && low % 2 === 0) ? low : low + 1
  return sign * (numbers[code] ?? numbers[low]!)
}

/** Where overflow to infinity begins: half a step above the largest finite number. */
export const overflowAt = { f16: 65520, bf16: (2 - 2 ** -8) * 2 ** 127 } as const

export const toHalf = (value: number): number => nearest(halves, value, overflowAt.f16)
export const toBrain = (value: number): number => nearest(brains, value, overflowAt.bf16)

/** C's round, from the decimal digits up: no shared idea with the code under test. */
export function roundAway(value: number): number {
  const size = Math.abs(value)
  const floor = Math.floor(size)
  return (value < 0 ? -1 : 1) * (size - floor < 0.5 ? floor : floor + 1)
}
