import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../src/ir/graph.js'
import type { QOp, QType, QWeight } from '../../src/quantize/qgraph.js'
import { build, i8, u8 } from './build.js'
import { convolve, int, integers, random, rangeOf, requant } from './reference.js'

const kinds = ['i8', 'u8'] as const
const typeOf = { i8, u8 } as const
/** Every stored value. */
const all = (kind: 'i8' | 'u8'): Tensor => ({
  shape: [1, 1, 1, 256],
  data: Float32Array.from({ length: 256 }, (_, i) => rangeOf[kind][0] + i),
})

/** One op on tensors; the operands are a, b, ... */
async function one(
  op: QOp,
  type: QType,
  shape: readonly number[],
  operands: { tensor: Tensor; type: QType }[],
  weights: Record<string, QWeight> = {},
): Promise<number[]> {
  const names = operands.map((_, i) => String.fromCharCode(97 + i))
  const given = Object.fromEntries(operands.map((o, i) => [names[i]!, { shape: o.tensor.shape, type: o.type }]))
  const node = { name: 'y', op, inputs: [...names, ...Object.keys(weights)], shape, type }
  const { run } = build(given, [node], weights)
  return [...(await run(Object.fromEntries(operands.map((o, i) => [names[i]!, o.tensor])))).data]
}

describe('element by element, every 8-bit value', () => {
  it('rescales in front of a concat, with every 8-bit multiplier', async () => {
    for (const from of kinds)
      for (const to of kinds)
        for (const shift of [-2, 0, 1, 4, 7, 9, 14, 20, 30]) {
          const x = all(from)
          const multipliers = Array.from({ length: 127 }, (_, m) => m)
          const given = { x: { shape: x.shape, type: typeOf[from] } }
          const nodes = multipliers.map((multiplier) => ({
            name: `y${multiplier}`,
            op: { type: 'MulShift', requant: { multiplier, shift } } as const,
            inputs: ['x'],
            shape: x.shape,
            type: typeOf[to],
          }))
          const join = { type: 'Concat', axis: 0, relu: false, reluLimit: -1 } as const
          const inputs = nodes.map((node) => node.name)
          const whole = { name: 'y', op: join, inputs, shape: [127, 1, 1, 256], type: typeOf[to] }
          const y = await build(given, [...nodes, whole]).run({ x })
          const expected = multipliers.flatMap((m) =>
            Array.from(x.data, (v) => requant(BigInt(v), m, shift, rangeOf[to])),
          )
          expect([...y.data]).toEqual(expected)
        }
  })

  it('leaks: below zero rescaled, above untouched', async () => {
    const requants = [
      { multiplier: 51, shift: 9 },
      { multiplier: 126, shift: 9 },
      { multiplier: 1, shift: 1 },
      { multiplier: 1, shift: 0 },
      { multiplier: 0, shift: 0 },
      { multiplier: 77, shift: 30 },
      { multiplier: 5, shift: 1 },
      { multiplier: -51, shift: 7 },
    ]
    for (const kind of kinds)
      for (const r of requants) {
        const x = all(kind)
        const y = await one({ type: 'LeakyReluInt', requant: r }, typeOf[kind], x.shape, [
          { tensor: x, type: typeOf[kind] },
        ])
        const expected = Array.from(x.data, (v) =>
          v >= 0 ? v : requant(BigInt(v), r.multiplier, r.shift, rangeOf[kind]),
        )
        expect(y).toEqual(expected)
      }
    const [first, second] = await one(
      { type: 'LeakyReluInt', requant: requants[0]! },
      i8,
      [1, 1, 1, 2],
      [{ tensor: { shape: [1, 1, 1, 2], data: Float32Array.of(-127, -10) }, type: i8 }],
    )
    expect([first, second]).toEqual([-13, -1])
  })

  it('clips at zero', async () => {
    for (const from of kinds)
      for (const to of kinds) {
        const x = all(from)
        const y = await one({ type: 'ReluInt' }, typeOf[to], x.shape, [{ tensor: x, type: typeOf[from] }])
        expect(y).toEqual(Array.from(x.data, (v) => Math.min(rangeOf[to][1], Math.max(0, v))))
      }
  })

  it('looks up table[x & 255]', async () => {
    const next = random(11)
    for (const from of kinds)
      for (const to of kinds) {
        const x = all(from)
        const bytes = Uint8Array.from({ length: 256 }, () => int(next, 0, 255))
        const data = to === 'i8' ? new Int8Array(bytes.buffer) : bytes
        const table = { t: { shape: [1, 1, 1, 256], data, kind: to } }
        const y = await one({ type: 'Lut' }, typeOf[to], x.shape, [{ tensor: x, type: typeOf[from] }], table)
        expect(y).toEqual(Array.from(x.data, (v) => data[v & 255]))
      }
  })
})

describe('sums and products', () => {
  const next = random(12)

  it('adds operands that are rounded one by one, every pair of values', async () => {
    const grid = (kind: 'i8' | 'u8', byRow: boolean): Tensor => ({
      shape: [1, 1, 256, 256],
      data: Float32Array.from({ length: 65536 }, (_, i) => rangeOf[kind][0] + (byRow ? i >> 8 : i & 255)),
    })
    for (const [ka, kb, ky, relu] of [
      ['i8', 'i8', 'i8', false],
      ['u8', 'i8', 'i8', true],
      ['i8', 'i8', 'u8', true],
      ['u8', 'u8', 'u8', false],
    ] as const) {
      const requants = [
        { multiplier: int(next, 1, 126), shift: int(next, 0, 9) },
        { multiplier: int(next, 1, 126), shift: int(next, 5, 9) },
      ]
      const [a, b] = [grid(ka, true), grid(kb, false)]
      const y = await one({ type: 'AddInt', requants, relu }, typeOf[ky], a.shape, [
        { tensor: a, type: typeOf[ka] },
        { tensor: b, type: typeOf[kb] },
      ])
      const round = (v: number, i: number): number =>
        requant(BigInt(v), requants[i]!.multiplier, requants[i]!.shift, [-(2 ** 31), 2 ** 31])
      const [low, high] = rangeOf[ky]
      let wrong = 0
      for (const [i, value] of y.entries()) {
        const sum = round(a.data[i]!, 0) + round(b.data[i]!, 1)
        if (value !== Math.min(high, Math.max(relu ? 0 : low, sum))) wrong++
      }
      expect(wrong).toBe(0)
    }
  })

  it('adds three operands and a broadcast constant', async () => {
    const shape = [2, 3, 4, 5]
    const tensors = [0, 1, 2].map(() => integers(next, shape, -128, 127))
    const constant = Int8Array.of(100, -128, 3)
    const requants = [
      { multiplier: 60, shift: 7 },
      { multiplier: 3, shift: 0 },
      { multiplier: 99, shift: 12 },
      { multiplier: 1, shift: 0 },
    ]
    const y = await one(
      { type: 'AddInt', requants, relu: false },
      i8,
      shape,
      tensors.map((tensor) => ({ tensor, type: i8 })),
      { k: { shape: [3, 1, 1], data: constant, kind: 'i8' } },
    )
    const expected = y.map((_, i) => {
      const terms = [...tensors.map((t) => t.data[i]!), constant[Math.floor(i / 20) % 3]!]
      const sum = terms.reduce(
        (total, v, k) => total + requant(BigInt(v), requants[k]!.multiplier, requants[k]!.shift, [-1e6, 1e6]),
        0,
      )
      return Math.min(127, Math.max(-128, sum))
    })
    expect(y).toEqual(expected)
  })

  it('multiplies, every pair of values', async () => {
    const side = Array.from({ length: 256 }, (_, i) => i)
    for (const [ka, kb, ky, multiplier, shift, relu] of [
      ['i8', 'i8', 'i8', 77, 13, false],
      ['u8', 'u8', 'u8', 126, 15, false],
      ['u8', 'i8', 'i8', 1, 1, true],
      ['i8', 'i8', 'u8', 101, -1, true],
      ['i8', 'i8', 'i8', 127, 24, false],
    ] as const) {
      const a = { shape: [256, 1], data: Float32Array.from(side, (i) => rangeOf[ka][0] + i) }
      const b = { shape: [1, 256], data: Float32Array.from(side, (i) => rangeOf[kb][0] + i) }
      const y = await one(
        { type: 'MulInt', requant: { multiplier, shift }, relu },
        typeOf[ky],
        [256, 256],
        [
          { tensor: a, type: typeOf[ka] },
          { tensor: b, type: typeOf[kb] },
        ],
      )
      let wrong = 0
      for (const [i, value] of y.entries()) {
        const product = BigInt(a.data[i >> 8]!) * BigInt(b.data[i & 255]!)
        const scaled = requant(product, multiplier, shift, rangeOf[ky])
        if (value !== (relu ? Math.max(0, scaled) : scaled)) wrong++
      }
      expect(wrong).toBe(0)
    }
  })

  it('multiplies four operands, beyond float32', async () => {
    const shape = [500]
    const tensors = [0, 1, 2, 3].map(() => integers(next, shape, -128, 127))
    const requant4 = { multiplier: 113, shift: 29 }
    const y = await one(
      { type: 'MulInt', requant: requant4, relu: false },
      i8,
      shape,
      tensors.map((tensor) => ({ tensor, type: i8 })),
    )
    const products = y.map((_, i) => tensors.reduce((p, t) => p * BigInt(t.data[i]!), 1n))
    expect(products.some((p) => p > 2n ** 24n && p % 2n === 1n)).toBe(true)
    expect(y).toEqual(products.map((p) => requant(p, 113, 29, rangeOf.i8)))
  })

  it('averages over windows and over the plane', async () => {
    const cases = [
      { input: [1, 4, 9, 8], kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], keepDims: true },
      { input: [2, 3, 6, 7], kernel: [2, 3], strides: [1, 2], pads: [0, 1, 1, 0], keepDims: true },
      { input: [2, 5, 7, 6], kernel: [7, 6], strides: [1, 1], pads: [0, 0, 0, 0], keepDims: false },
      { input: [1, 2, 40, 40], kernel: [40, 40], strides: [1, 1], pads: [0, 0, 0, 0], keepDims: true },
      { input: [1, 2, 32, 32], kernel: [30, 30], strides: [1, 1], pads: [0, 0, 0, 0], keepDims: true },
    ] as const
    for (const { input, kernel, strides, pads, keepDims } of cases)
      for (const [from, to] of [
        ['u8', 'u8'],
        ['i8', 'i8'],
        ['u8', 'i8'],
      ] as const) {
        const x = integers(next, input, ...(rangeOf[from] as readonly [number, number]))
        const c = input[1]
        const ones = { shape: [c, 1, ...kernel], data: new Array<number>(c * kernel[0] * kernel[1]).fill(1) }
        const sums = convolve(x, ones, undefined, { strides, pads, dilations: [1, 1], group: c })
        const requantOf = { multiplier: 100, shift: Math.round(Math.log2(100 * kernel[0] * kernel[1])) }
        const op = { type: 'AvgPoolInt', kernel, strides, pads, keepDims, requant: requantOf } as const
        const shape = keepDims ? sums.shape : sums.shape.slice(0, 2)
        const y = await one(op, typeOf[to], shape, [{ tensor: x, type: typeOf[from] }])
        expect(y).toEqual(sums.data.map((s) => requant(BigInt(s), requantOf.multiplier, requantOf.shift, rangeOf[to])))
      }
  })

  it('multiplies matrices, also beyond 2^24', async () => {
    for (const { rows, k, n, transposed, bias, extreme, relu } of [
      { rows: 3, k: 64, n: 10, transposed: false, bias: 5000, extreme: false, relu: false },
      { rows: 1, k: 33, n: 7, transposed: true, bias: 0, extreme: false, relu: true },
      { rows: 2, k: 3000, n: 4, transposed: false, bias: 2 ** 30, extreme: true, relu: false },
      { rows: 2, k: 3000, n: 4, transposed: true, bias: 77, extreme: true, relu: false },
    ]) {
      const x = extreme
        ? { shape: [rows, k], data: new Float32Array(rows * k).fill(127) }
        : integers(next, [rows, k], -128, 127)
      const filter = Int8Array.from({ length: k * n }, (_, i) =>
        extreme ? 127 - 9 * (transposed ? Math.floor(i / k) : i % n) - int(next, 0, 1) : int(next, -127, 127),
      )
      const biases = Int32Array.from({ length: n }, () => int(next, -bias, bias))
      const sums = Array.from({ length: rows * n }, (_, i) => {
        const [row, column] = [Math.floor(i / n), i % n]
        let sum = bias ? biases[column]! : 0
        for (let j = 0; j < k; j++) sum += x.data[row * k + j]! * filter[transposed ? column * k + j : j * n + column]!
        return sum
      })
      const largest = Math.max(...sums.map(Math.abs))
      if (extreme) expect(largest).toBeGreaterThan(2 ** 25)
      const r = { multiplier: Math.round((2 ** 35 * 100) / largest), shift: 35 }
      const weights: Record<string, QWeight> = { w: { shape: transposed ? [n, k] : [k, n], data: filter, kind: 'i8' } }
      if (bias) weights.z = { shape: [n], data: biases, kind: 'i32' }
      const op = { type: 'MatMulInt', relu, rightTranspose: transposed, requant: r } as const
      const y = await one(op, i8, [rows, n], [{ tensor: x, type: i8 }], weights)
      const expected = sums.map((s) => requant(BigInt(relu ? Math.max(0, s) : s), r.multiplier, r.shift, rangeOf.i8))
      expect(y).toEqual(expected)
      expect(new Set(y).size).toBeGreaterThan(2)
    }
  })

  it('multiplies stacks of computed matrices, signed or not, also where the sums leave float32', async () => {
    for (const { b, m, k, n, kinds, extreme } of [
      { b: 2, m: 3, k: 20, n: 5, kinds: ['u8', 'i8'], extreme: false },
      { b: 3, m: 2, k: 7, n: 4, kinds: ['i8', 'u8'], extreme: false },
      { b: 1, m: 3, k: 3000, n: 4, kinds: ['u8', 'u8'], extreme: true },
    ] as const) {
      const [left, right] = kinds.map((kind, i) => {
        const [low, high] = rangeOf[kind]
        const shape = [
          [b, m, k],
          [b, k, n],
        ][i]!
        if (!extreme) return integers(next, shape, low, high)
        // Rows, and so results, of different sizes.
        const near = integers(next, shape, high - 3, high)
        return { shape, data: near.data.map((x, at) => x - 20 * (Math.floor(at / shape[2]!) % 3)) }
      }) as [Tensor, Tensor]
      const sums = Array.from({ length: b * m * n }, (_, i) => {
        const [item, row, column] = [Math.floor(i / (m * n)), Math.floor(i / n) % m, i % n]
        let sum = 0
        for (let j = 0; j < k; j++)
          sum += left.data[(item * m + row) * k + j]! * right.data[(item * k + j) * n + column]!
        return sum
      })
      const largest = Math.max(...sums.map(Math.abs))
      if (extreme) expect(largest).toBeGreaterThan(2 ** 27)
      const r = { multiplier: Math.round((2 ** 35 * 126) / largest), shift: 35 }
      const op = { type: 'MatMulInt', relu: false, rightTranspose: false, requant: r } as const
      const [a, c] = kinds.map((kind) => (kind === 'i8' ? i8 : u8)) as [QType, QType]
      const operands = [
        { tensor: left, type: a },
        { tensor: right, type: c },
      ]
      const y = await one(op, i8, [b, m, n], operands)
      expect(y).toEqual(sums.map((s) => requant(BigInt(s), r.multiplier, r.shift, rangeOf.i8)))
      expect(new Set(y).size).toBeGreaterThan(2)
    }
  })
})
