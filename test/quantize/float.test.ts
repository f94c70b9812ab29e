import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../src/ir/graph.js'
import { dequantize } from '../../src/quantize/execute.js'
import type { QOp, QType, QWeight } from '../../src/quantize/qgraph.js'
import { build, f32, i8, u8 } from './build.js'
import {
  brains,
  convolve,
  halves,
  integers,
  overflowAt,
  random,
  rangeOf,
  roundAway,
  toBrain,
  toHalf,
} from './reference.js'

const vector = (values: Iterable<number>): Tensor => {
  const data = Float32Array.from(values)
  return { shape: [data.length], data }
}
const castOf = (from: QType, to: QType, n: number) =>
  build({ x: { shape: [n], type: from } }, [{ name: 'y', op: { type: 'Cast' }, inputs: ['x'], shape: [n], type: to }])

const narrow = {
  f32: Math.fround,
  f16: (x: number): number => toHalf(Math.fround(x)),
  bf16: (x: number): number => toBrain(Math.fround(x)),
}

describe('casts', () => {
  const next = random(21)
  const scales = [1, 2, 0.5, 0.0039216, 0.1, 55.6303901 / 127, 1e-4, 3.3]

  it('quantizes: times the reciprocal in the operand’s type, halves away from zero, clamped', async () => {
    for (const kind of ['f32', 'f16', 'bf16'] as const)
      for (const to of ['i8', 'u8'] as const)
        for (const scale of scales) {
          const reciprocal = narrow[kind](1 / scale)
          const around = Array.from({ length: 1100 }, (_, i) => (i - 550) / 2 / reciprocal)
          const values = [...around, ...around.map((v) => v * (1 - 2 ** -23)), ...around.map((v) => v * (1 + 2 ** -23))]
          for (let i = 0; i < 500; i++) values.push((next() - 0.5) * 600 * scale)
          values.push(0.49999997, -0.49999997, 1e30, -1e30, 0, -0)
          const x = vector(values.map(narrow[kind]).filter(Number.isFinite))
          const y = await castOf({ kind }, { kind: to, scale }, x.data.length).run({ x })
          const [low, high] = rangeOf[to]
          const expected = Array.from(x.data, (v) => {
            const rounded = roundAway(narrow[kind](Math.fround(v * reciprocal)))
            return Math.min(high, Math.max(low, rounded)) + 0
          })
          expect(Array.from(y.data, (v) => v + 0)).toEqual(expected)
        }
  })

  it('keeps the float32 product behind a conv, where a runtime could fold the factor into the weights', async () => {
    const scale = 0.1
    const filter: QWeight = { shape: [1, 1, 1, 1], data: Float32Array.of(1.3), kind: 'f32' }
    const data = Float32Array.from({ length: 4096 }, () => (next() - 0.5) * 20)
    const x = { shape: [1, 1, 64, 64], data }
    const conv = { kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1 } as const
    const { run } = build(
      { x: { shape: x.shape, type: f32 } },
      [
        {
          name: 'c',
          op: { type: 'Conv', ...conv, relu: false, reluLimit: -1 },
          inputs: ['x', 'w'],
          shape: x.shape,
          type: f32,
        },
        { name: 'y', op: { type: 'Cast' }, inputs: ['c'], shape: x.shape, type: { kind: 'i8', scale } },
      ],
      { w: filter },
    )
    const y = await run({ x })
    const weight = Math.fround(1.3)
    const expected = Array.from(data, (v) => roundAway(Math.fround(Math.fround(v * weight) * Math.fround(1 / scale))))
    expect(Array.from(y.data, (v) => v + 0)).toEqual(expected.map((v) => Math.min(127, Math.max(-128, v)) + 0))
  })

  it('dequantizes: the scale in the result’s type', async () => {
    for (const kind of ['f32', 'f16', 'bf16'] as const)
      for (const from of ['i8', 'u8'] as const)
        for (const scale of scales) {
          const x = vector(Array.from({ length: 256 }, (_, i) => rangeOf[from][0] + i))
          const type = { kind: from, scale }
          const y = await castOf(type, { kind }, 256).run({ x })
          const expected = Array.from(x.data, (q) => narrow[kind](Math.fround(q * narrow[kind](scale))))
          expect([...y.data]).toEqual(expected)
          if (kind !== 'f32') continue
          const node = { name: 'x', op: { type: 'Cast' }, inputs: [], shape: [256], type, layer: undefined } as const
          expect([...dequantize(node, x).data]).toEqual(expected)
        }
  })

  it('rounds to 16 bit as the formats are defined', async () => {
    const ties = (list: readonly number[]): number[] =>
      list.slice(0, -1).flatMap((low, i) => {
        const tie = Math.fround((low + list[i + 1]!) / 2)
        return [low, tie, Math.fround(tie * (1 + 2 ** -23)), Math.fround(tie * (1 - 2 ** -23))]
      })
    for (const [kind, list] of [
      ['f16', halves],
      ['bf16', brains.slice(0x3000, 0x5000)],
    ] as const) {
      const values = ties(list).flatMap((v) => [v, -v])
      const x = vector(values)
      const y = await castOf(f32, { kind }, values.length).run({ x })
      let wrong = 0
      for (const [i, v] of x.data.entries()) if (y.data[i] !== narrow[kind](v)) wrong++
      expect(wrong).toBe(0)
      const back = await castOf({ kind }, f32, values.length).run({ x: y })
      expect([...back.data]).toEqual([...y.data])
    }
  })

  it('overflows to infinity half a step above the largest number, and saturates in 8 bit', async () => {
    const last = { f16: 65504, bf16: (2 - 2 ** -7) * 2 ** 127 } as const
    for (const kind of ['f16', 'bf16'] as const) {
      const limit = Math.fround(overflowAt[kind])
      const below = new Float32Array(Uint32Array.of(new Uint32Array(Float32Array.of(limit).buffer)[0]! - 1).buffer)[0]!
      const x = vector([limit, below, -limit, -below, Infinity, -Infinity, Number.MAX_VALUE])
      const y = await castOf(f32, { kind }, 7).run({ x })
      const most = last[kind]
      expect([...y.data]).toEqual([Infinity, most, -Infinity, -most, Infinity, -Infinity, Infinity])
      for (const [to, low, high] of [
        ['i8', -128, 127],
        ['u8', 0, 255],
      ] as const) {
        const stored = await castOf({ kind }, { kind: to, scale: 0.5 }, 7).run({ x: y })
        expect([...stored.data]).toEqual([high, high, low, low, high, low, high])
      }
    }
  })

  it('makes 0 of what is no number, as the chip does', async () => {
    for (const kind of ['f32', 'f16', 'bf16'] as const)
      for (const to of ['i8', 'u8'] as const) {
        const y = await castOf({ kind }, { kind: to, scale: 0.5 }, 3).run({ x: vector([NaN, 1, NaN]) })
        expect(Array.from(y.data, (v) => v + 0)).toEqual([0, 2, 0])
      }
  })

  it('leaves 8 bit alone between signed and unsigned', async () => {
    const x = vector([0, 1, 127])
    expect([...(await castOf(i8, u8, 3).run({ x })).data]).toEqual([0, 1, 127])
  })
})

describe('float layers', () => {
  const next = random(22)
  const real = (...shape: number[]): Tensor => ({
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => (next() - 0.5) * 4),
  })
  const weight = ({ shape, data }: Tensor): QWeight => ({ shape, data, kind: 'f32' })
  const none = { relu: false, reluLimit: -1 }

  /** Runs in all three types and compares with the double result. */
  async function check(
    op: QOp,
    x: Tensor,
    shape: readonly number[],
    expected: readonly number[],
    weights: Record<string, QWeight> = {},
  ) {
    for (const kind of ['f32', 'f16', 'bf16'] as const) {
      const node = { name: 'y', op, inputs: ['x', ...Object.keys(weights)], shape, type: { kind } }
      const y = await build({ x: { shape: x.shape, type: { kind } } }, [node], weights).run({ x })
      expect(y.shape).toEqual(shape)
      const precision = { f32: 2 ** -20, f16: 2 ** -10, bf16: 2 ** -7 }[kind]
      const largest = Math.max(...expected.map(Math.abs))
      for (const [i, value] of y.data.entries()) {
        expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(largest * precision)
        expect(value).toBe(narrow[kind](value))
      }
    }
  }

  it('convolves, with a relu and a bound', async () => {
    const x = real(1, 4, 6, 7)
    const w = real(6, 2, 3, 3)
    const b = real(6)
    const spec = { strides: [2, 1], dilations: [1, 1], pads: [1, 0, 0, 1], group: 2 } as const
    const { shape, data } = convolve(x, w, b.data, spec)
    for (const [relu, bound] of [
      [{ relu: true, reluLimit: -1 }, Infinity],
      [{ relu: true, reluLimit: 6 }, 6],
    ] as const) {
      const expected = data.map((v) => Math.min(bound, Math.max(0, v)))
      await check({ type: 'Conv', kernel: [3, 3], ...spec, ...relu }, x, shape, expected, {
        w: weight(w),
        z: weight(b),
      })
    }
  })

  it('multiplies matrices', async () => {
    const x = real(2, 5, 8)
    const w = real(8, 3)
    const b = real(3)
    const product = (row: number, column: number): number =>
      Array.from({ length: 8 }, (_, k) => x.data[row * 8 + k]! * w.data[k * 3 + column]!).reduce((p, q) => p + q)
    const expected = Array.from({ length: 30 }, (_, i) => product(Math.floor(i / 3), i % 3) + b.data[i % 3]!)
    const transposed = {
      shape: [3, 8],
      data: Float32Array.from({ length: 24 }, (_, i) => w.data[(i % 8) * 3 + Math.floor(i / 8)]!),
    }
    const z = weight(b)
    await check({ type: 'MatMul', rightTranspose: false, ...none }, x, [2, 5, 3], expected, { w: weight(w), z })
    await check({ type: 'MatMul', rightTranspose: true, ...none }, x, [2, 5, 3], expected, { w: weight(transposed), z })
  })

  it('scales, activates, adds and multiplies', async () => {
    const x = real(2, 3, 2, 2)
    const [s, b] = [real(3), real(3)]
    const channel = (i: number): number => Math.floor(i / 4) % 3
    const each = (f: (v: number, i: number) => number): number[] => Array.from(x.data, f)
    const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v))
    const { shape } = x
    await check(
      { type: 'Scale', ...none },
      x,
      shape,
      each((v, i) => v * s.data[channel(i)]! + b.data[channel(i)]!),
      {
        s: weight(s),
        z: weight(b),
      },
    )
    await check(
      { type: 'Relu', limit: 1 },
      x,
      shape,
      each((v) => Math.min(1, Math.max(0, v))),
    )
    await check(
      { type: 'LeakyRelu', alpha: 0.25 },
      x,
      shape,
      each((v) => (v < 0 ? v / 4 : v)),
    )
    await check({ type: 'Sigmoid' }, x, shape, each(sigmoid))
    await check(
      { type: 'SiLU' },
      x,
      shape,
      each((v) => v * sigmoid(v)),
    )
    const perChannel = { w: { ...weight(s), shape: [3, 1, 1] } }
    await check(
      { type: 'Add', relu: true, reluLimit: -1 },
      x,
      shape,
      each((v, i) => Math.max(0, v + s.data[channel(i)]!)),
      perChannel,
    )
    await check(
      { type: 'Mul', ...none },
      x,
      shape,
      each((v, i) => v * s.data[channel(i)]!),
      perChannel,
    )
    const sums = Array.from({ length: 8 }, (_, i) =>
      [0, 1, 2].map((c) => Math.exp(x.data[Math.floor(i / 4) * 12 + c * 4 + (i % 4)]!)).reduce((p, q) => p + q),
    )
    await check(
      { type: 'Softmax', axis: 1 },
      x,
      shape,
      each((v, i) => Math.exp(v) / sums[Math.floor(i / 12) * 4 + (i % 4)]!),
    )
  })

  it('averages, with and without the padding', async () => {
    const x = real(1, 2, 4, 4)
    const ones = { shape: [2, 1, 3, 3], data: new Array<number>(18).fill(1) }
    const spec = { strides: [2, 2], dilations: [1, 1], pads: [1, 1, 0, 0], group: 2 } as const
    const sums = convolve(x, ones, undefined, spec)
    const full = { shape: x.shape, data: new Float32Array(32).fill(1) }
    const counts = convolve(full, ones, undefined, spec).data
    for (const countIncludePad of [true, false]) {
      const op = {
        type: 'AvgPool',
        kernel: [3, 3],
        strides: [2, 2],
        pads: spec.pads,
        keepDims: true,
        countIncludePad,
      } as const
      await check(
        op,
        x,
        sums.shape,
        sums.data.map((v, i) => v / (countIncludePad ? 9 : counts[i]!)),
      )
    }
    const whole = {
      type: 'AvgPool',
      kernel: [4, 4],
      strides: [1, 1],
      pads: [0, 0, 0, 0],
      keepDims: false,
      countIncludePad: true,
    } as const
    const mean = (from: number): number => x.data.slice(from, from + 16).reduce((p, q) => p + q) / 16
    await check(whole, x, [1, 2], [mean(0), mean(16)])
  })
})

describe('layers that move data', () => {
  const next = random(23)
  const x = integers(next, [1, 2, 3, 4], -128, 127)
  const at = (c: number, y: number, z: number): number => x.data[(c * 3 + y) * 4 + z]!
  const from = (shape: number[], f: (c: number, y: number, z: number) => number): number[] => {
    const [, c, h, w] = shape as [number, number, number, number]
    return Array.from({ length: c * h * w }, (_, i) => f(Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w))
  }
  const run = async (op: QOp, shape: number[]): Promise<number[]> => [
    ...(
      await build({ x: { shape: x.shape, type: i8 } }, [{ name: 'y', op, inputs: ['x'], shape, type: i8 }]).run({ x })
    ).data,
  ]

  it('pools the largest; padding never wins', async () => {
    const negative = { shape: [1, 1, 2, 2], data: Float32Array.of(-3, -4, -5, -6) }
    const op = { type: 'MaxPool', kernel: [2, 2], strides: [1, 1], pads: [0, 0, 1, 1] } as const
    const { run: pool } = build({ x: { shape: negative.shape, type: i8 } }, [
      { name: 'y', op, inputs: ['x'], shape: negative.shape, type: i8 },
    ])
    expect([...(await pool({ x: negative })).data]).toEqual([-3, -4, -5, -6])
  })

  it('repeats, permutes, reshapes, slices and pads', async () => {
    const up = [1, 2, 6, 12]
    expect(await run({ type: 'Upsample', scaleH: 2, scaleW: 3 }, up)).toEqual(
      from(up, (c, y, z) => at(c, y >> 1, Math.floor(z / 3))),
    )
    const permuted = [1, 3, 4, 2]
    expect(await run({ type: 'Permute', order: [0, 2, 3, 1] }, permuted)).toEqual(
      from(permuted, (y, z, c) => at(c, y, z)),
    )
    expect(await run({ type: 'Reshape' }, [4, 6])).toEqual([...x.data])
    const sliced = [1, 1, 2, 2]
    const cut = { type: 'Slice', offsets: [0, 1, 0, 1], ends: [1, 2, 3, 4], steps: [1, 1, 2, 2] } as const
    expect(await run(cut, sliced)).toEqual(from(sliced, (_, y, z) => at(1, 2 * y, 1 + 2 * z)))
    const padded = [1, 2, 4, 6]
    const pad = { type: 'Pad', paddings: [0, 0, 1, 2, 0, 0, 0, 0], value: -7 } as const
    expect(await run(pad, padded)).toEqual(from(padded, (c, y, z) => (y < 1 || z < 2 ? -7 : at(c, y - 1, z - 2))))
  })

  it('joins', async () => {
    const op = { type: 'Concat', axis: 1, relu: true, reluLimit: -1 } as const
    const { run: join } = build({ x: { shape: x.shape, type: i8 } }, [
      { name: 'y', op, inputs: ['x', 'x'], shape: [1, 4, 3, 4], type: i8 },
    ])
    const half = Array.from(x.data, (v) => Math.max(0, v))
    expect([...(await join({ x })).data]).toEqual([...half, ...half])
  })
})
