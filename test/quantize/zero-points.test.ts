/** Values with zero points: which have them, and what is computed with them, held against BigInt arithmetic. */
import { describe, expect, it } from 'vitest'
import type { Thresholds } from '../../src/calibrate/threshold.js'
import type { Op, Tensor } from '../../src/ir/graph.js'
import { openQuantized } from '../../src/quantize/execute.js'
import { lower } from '../../src/quantize/lower.js'
import { propagateScales, scaleGroups, withZeroPoints } from '../../src/quantize/propagate.js'
import type { QType } from '../../src/quantize/qgraph.js'
import { zeroOf } from '../../src/quantize/rounding.js'
import { build, f32 } from './build.js'
import { conv1, graphOf, none, pool, weight } from './float-graph.js'
import { convolve, int, integers, random, requant } from './reference.js'

const w = { w: weight([2, 2, 1, 1], 1, -2) }
const silu = { type: 'SiLU' } as const
const add = { type: 'Add', ...none } as const

/** name -> [min, max]; nothing is clipped. */
const ranges = (values: Record<string, readonly [number, number]>): Thresholds =>
  new Map(
    Object.entries(values).map(([name, [min, max]]) => [name, { threshold: Math.max(-min, max), min, max }] as const),
  )

/** Zero points of what is worth one. */
const zerosOf = (graph: ReturnType<typeof graphOf>, thresholds: Thresholds): Record<string, number> =>
  Object.fromEntries(
    [...propagateScales(graph, withZeroPoints(graph, thresholds))].map(([name, type]) => [name, zeroOf(type)]),
  )

describe('a zero point', () => {
  const graph = graphOf(
    [
      ['x', { type: 'Input' }],
      ['a', conv1, ['x', 'w']],
      ['s', silu, ['a']],
      ['y', conv1, ['s', 'w']],
    ],
    w,
  )

  it('lets 255 steps cover what a SiLU gives: half as wide as symmetric ones', () => {
    const thresholds = ranges({ x: [0, 1], a: [-9, 10], s: [-0.278, 10], y: [-3, 4] })
    const types = propagateScales(graph, withZeroPoints(graph, thresholds))
    const scale = (10 + 0.278) / 255
    expect(types.get('s')).toEqual({ kind: 'i8', scale, zero: -121 })
    expect(Math.round(-128 + 0.278 / scale)).toBe(-121)
    // Not worth it: -9 to 10 takes nearly as many steps as -10 to 10. Not needed: the input is not below 0.
    expect(types.get('a')).toEqual({ kind: 'i8', scale: 10 / 127 })
    expect(types.get('x')).toEqual({ kind: 'u8', scale: 1 / 255 })
    expect([...withZeroPoints(graph, thresholds)].flatMap(([name, t]) => (t.asymmetric ? [name] : []))).toEqual([
      's',
      'y',
    ])
  })

  it('keeps the clipping of the threshold, and 0 in its range', () => {
    const clipped = new Map([...ranges({ x: [0, 1], a: [-1, 1], s: [-0.278, 10], y: [-8, -2] })])
    clipped.set('s', { threshold: 5, min: -0.278, max: 10 })
    const types = propagateScales(graph, withZeroPoints(graph, clipped))
    expect(types.get('s')).toEqual({ kind: 'i8', scale: (5 + 0.278) / 255, zero: -115 })
    expect(types.get('y')).toEqual({ kind: 'i8', scale: 8 / 255, zero: 127 })
  })

  const lopsided: readonly [number, number] = [-1, 9]
  const behind = (op: Op, inputs: readonly string[] = ['a'], shape?: readonly number[]) =>
    graphOf(
      [
        ['x', { type: 'Input' }],
        ['a', conv1, ['x', 'w']],
        ['b', conv1, ['x', 'w']],
        shape ? ['y', op, inputs, shape] : ['y', op, inputs],
      ],
      w,
    )
  const everywhere = ranges({ x: [-0.1, 1], a: lopsided, b: lopsided, y: lopsided })

  it.each<[string, ReturnType<typeof graphOf>, Record<string, number>]>([
    ['a sum', behind(add, ['a', 'b']), { x: -105, a: -103, b: -103, y: -103 }],
    ['a table', behind(silu), { x: -105, a: -103, b: -103, y: -103 }],
    [
      'a concat',
      behind({ ...add, type: 'Concat', axis: 1 }, ['a', 'b'], [1, 4, 4, 4]),
      { x: -105, a: -103, b: -103, y: -103 },
    ],
    ['a pool', behind(pool, ['a'], [1, 2, 2, 2]), { x: -105, a: -103, b: -103, y: -103 }],
    // A product of differences, a mean with its padding, a slope from the zero point on: more commands.
    ['a product', behind({ type: 'Mul', ...none }, ['a', 'b']), { x: -105, a: 0, b: 0, y: 0 }],
    [
      'a matrix product of two',
      behind({ type: 'MatMul', rightTranspose: false, ...none }, ['a', 'b']),
      { x: -105, a: 0, b: 0, y: 0 },
    ],
    ['a leaky relu', behind({ type: 'LeakyRelu', alpha: 0.1 }), { x: -105, a: 0, b: -103, y: 0 }],
    [
      'a concat with relu',
      behind({ type: 'Concat', axis: 1, relu: true, reluLimit: -1 }, ['a', 'b'], [1, 4, 4, 4]),
      { x: -105, a: 0, b: 0, y: 0 },
    ],
  ])('of what is read by %s', (_, graph, zeros) => {
    expect(zerosOf(graph, everywhere)).toEqual(zeros)
  })

  it('is not had by operands of a sum that are spread: constants, and one value for many', () => {
    const constant = graphOf(
      [
        ['x', { type: 'Input' }],
        ['a', conv1, ['x', 'w']],
        ['y', add, ['a', 'c']],
      ],
      { ...w, c: weight([2, 1, 1], 1) },
    )
    expect(zerosOf(constant, everywhere)).toEqual({ x: -105, a: 0, y: 0 })
  })

  it('changes nothing about who shares a scale', () => {
    const marked = withZeroPoints(graph, ranges({ x: [0, 1], a: [-9, 10], s: [-0.278, 10], y: [-3, 4] }))
    expect(scaleGroups(graph, marked).map(({ layer }) => layer)).toEqual(['x', 'a', 's', 'y'])
  })
})

const q = (zero: number, scale = 1): QType => ({ kind: 'i8', scale, zero })
const clamp = (v: bigint): number => Number(v < -128n ? -128n : v > 127n ? 127n : v)
/** RSR in BigInt, unclamped. */
const rsr = (v: bigint, s: number): bigint => (s <= 0 ? v << BigInt(-s) : (v + (1n << BigInt(s - 1))) >> BigInt(s))

describe('arithmetic with zero points', () => {
  it('convolutions pad with the zero point, and add the result’s in the end', async () => {
    const next = random(3)
    for (const [channels, group, relu] of [
      [3, 1, false],
      [40, 1, true],
      [6, 6, false],
      [6, 2, true],
    ] as const)
      for (const [from, to] of [
        [-101, 93],
        [57, -128],
        [0, 30],
      ] as const) {
        const x = integers(next, [1, channels, 7, 6], -128, 127)
        const oc = group > 1 ? channels : 30
        const filter = integers(next, [oc, channels / group, 3, 2], -127, 127)
        const bias = integers(next, [oc], -3000, 3000).data
        const spec = { strides: [2, 1], dilations: [1, 2], pads: [1, 2, 2, 1], group } as const
        const shifts = Array.from({ length: oc }, () => int(next, 24, 40))
        const multipliers = shifts.map((s) => Math.round((0.5 + next()) * 2 ** (s - 9)))
        // By hand: the picture with a border of zero points, and no padding.
        const [, c, h, width] = x.shape as [number, number, number, number]
        const bordered: Tensor = {
          shape: [1, c, h + 3, width + 3],
          data: new Float32Array(c * (h + 3) * (width + 3)).fill(from),
        }
        for (let i = 0; i < x.data.length; i++) {
          const [plane, y, z] = [Math.floor(i / (h * width)), Math.floor(i / width) % h, i % width]
          bordered.data[(plane * (h + 3) + y + 1) * (width + 3) + z + 2] = x.data[i]!
        }
        const sums = convolve(bordered, filter, bias, { ...spec, pads: [0, 0, 0, 0] })
        const size = sums.shape[2]! * sums.shape[3]!
        const expected = sums.data.map((sum, i) => {
          const channel = Math.floor(i / size) % oc
          const y = clamp(rsr(BigInt(sum) * BigInt(multipliers[channel]!), shifts[channel]!) + BigInt(to))
          return relu ? Math.max(y, to) : y
        })
        const op = { type: 'ConvInt', kernel: [3, 2], ...spec, relu, multipliers, shifts } as const
        const node = { name: 'y', op, inputs: ['x', 'w', 'b'], shape: sums.shape, type: q(to) }
        const made = await build({ x: { shape: x.shape, type: q(from) } }, [node], {
          w: { shape: filter.shape, data: Int8Array.from(filter.data), kind: 'i8' },
          b: { shape: [1, oc, 1, 1], data: Int32Array.from(bias), kind: 'i32' },
        }).run({ x })
        expect([...made.data]).toEqual(expected)
        expect(new Set(expected).size).toBeGreaterThan(12)
      }
  })

  it('sums keep four bits more than the result until the end', async () => {
    const next = random(8)
    for (let round = 0; round < 40; round++) {
      const count = 1 + (round % 3)
      const zeros = Array.from({ length: count + 1 }, () => int(next, -128, 127))
      const requants = zeros.slice(1).map((_, i) => {
        const shift = int(next, 0, 30)
        return { multiplier: Math.round((next() + 0.01) * 2 ** Math.max(1, shift)) * (i === 1 ? -1 : 1), shift }
      })
      const relu = round % 5 === 0
      const operands = requants.map(() => integers(next, [1, 1, 16, 20], -128, 127))
      const names = ['a', 'b', 'c'].slice(0, count)
      const given = Object.fromEntries(names.map((name, i) => [name, { shape: [1, 1, 16, 20], type: q(zeros[i]!) }]))
      const to = zeros.at(-1)!
      const node = {
        name: 'y',
        op: { type: 'SumInt', requants, relu } as const,
        inputs: names,
        shape: [1, 1, 16, 20],
        type: q(to),
      }
      const made = await build(given, [node]).run(Object.fromEntries(names.map((name, i) => [name, operands[i]!])))
      const bits = count > 1 ? 4 : 0
      const expected = Array.from({ length: 320 }, (_, at) => {
        const sum = requants.reduce((total, { multiplier, shift }, i) => {
          const difference = BigInt(operands[i]!.data[at]! - zeros[i]!)
          return total + rsr(difference * BigInt(multiplier), shift - bits)
        }, 0n)
        const y = clamp(rsr(sum, bits) + BigInt(to))
        return relu ? Math.max(y, to) : y
      })
      expect([...made.data]).toEqual(expected)
    }
  })

  it('fully connected layers add it, too', async () => {
    const next = random(4)
    const x = integers(next, [2, 50], -128, 127)
    const filter = integers(next, [50, 9], -127, 127)
    const node = {
      name: 'y',
      op: { type: 'MatMulInt', relu: true, rightTranspose: false, requant: { multiplier: 77, shift: 18 } } as const,
      inputs: ['x', 'w'],
      shape: [2, 9],
      type: q(-90),
    }
    const made = await build({ x: { shape: [2, 50], type: q(40) } }, [node], {
      w: { shape: [50, 9], data: Int8Array.from(filter.data), kind: 'i8' },
    }).run({ x })
    const expected = Array.from({ length: 18 }, (_, i) => {
      let sum = 0
      for (let k = 0; k < 50; k++) sum += x.data[Math.floor(i / 9) * 50 + k]! * filter.data[k * 9 + (i % 9)]!
      return Math.max(-90, Math.min(127, requant(BigInt(sum), 77, 18, [-1000, 1000]) - 90))
    })
    expect([...made.data]).toEqual(expected)
  })

  it('casts round away from zero first, then move and clamp; what is no number becomes the zero point', async () => {
    const x: Tensor = { shape: [8], data: Float32Array.of(-1.25, -0.75, 0, 0.25, 100, -1e30, Infinity, NaN) }
    const cast = (type: QType) => ({ name: 'y', op: { type: 'Cast' } as const, inputs: ['x'], shape: [8], type })
    const made = await build({ x: { shape: [8], type: f32 } }, [cast(q(-100, 0.5))]).run({ x })
    expect([...made.data]).toEqual([-103, -102, -100, -99, 100, -128, 127, -100])
    const back = await build({ x: { shape: [8], type: q(-100, 0.5) } }, [cast(f32)]).run({ x: made })
    expect([...back.data]).toEqual([-1.5, -1, 0, 0.5, 100, -14, 113.5, 0])
  })
})

it('a bias takes back what the zero point of the operand brings, so that a network means the same', async () => {
  const next = random(6)
  const filter = weight([2, 2, 1, 1])
  filter.data.set([0.5, -1, 2, 0.25])
  const graph = graphOf(
    [
      ['x', { type: 'Input' }],
      ['s', silu, ['x']],
      ['y', { ...conv1, kernel: [1, 1] }, ['s', 'w', 'b']],
    ],
    { w: filter, b: weight([2], 0.3, -0.7) },
  )
  const data = Float32Array.from({ length: 32 }, () => next() * 12 - 4)
  const real = (v: number): number => v / (1 + Math.exp(-v))
  const expected = Array.from({ length: 32 }, (_, i) => {
    const [a, b] = [real(data[i % 16]!), real(data[16 + (i % 16)]!)]
    return i < 16 ? 0.5 * a - b + 0.3 : 2 * a + 0.25 * b - 0.7
  })
  const thresholds = ranges({ x: [-4, 8], s: [-0.279, 8], y: [-9, 19] })
  const errorOf = async (some: Thresholds): Promise<number> => {
    const session = await openQuantized(lower(graph, some, () => 'INT8'))
    const y = (await session.run({ x: { shape: [1, 2, 4, 4], data } })).get('y_f32')!.data
    await session.release()
    return Math.sqrt(expected.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0) / 32)
  }
  const [symmetric, shifted] = [await errorOf(thresholds), await errorOf(withZeroPoints(graph, thresholds))]
  expect(symmetric).toBeLessThan(0.15)
  expect(shifted).toBeLessThan(0.75 * symmetric)
})
