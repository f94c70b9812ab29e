/** Functions, PRelu, Sub, Min and Max quantized: tables, slopes and scales as the rules say, and the executor against BigInt. */
import { describe, expect, it } from 'vitest'
import { functionTypes } from '../../src/ir/functions.js'
import type { FunctionOp, Op } from '../../src/ir/graph.js'
import { describeFallbacks } from '../../src/quantize/lower/placement.js'
import { lower } from '../../src/quantize/lower.js'
import type { Precision, QGraph, QType } from '../../src/quantize/qgraph.js'
import { build, i8, u8 } from './build.js'
import { graphOf, none, thresholdsOf, weight } from './float-graph.js'
import { truthOf } from './functions.js'
import { int, integers, random, rangeOf, requant, roundAway } from './reference.js'

const ops: readonly FunctionOp[] = [
  ...(['Abs', 'Ceil', 'Erf', 'Exp', 'Floor', 'HardSwish', 'Log', 'Mish', 'Reciprocal', 'Round'] as const).map(
    (type) => ({ type }),
  ),
  ...(['SiLU', 'Sigmoid', 'Softplus', 'Softsign', 'Sqrt', 'Tanh'] as const).map((type) => ({ type })),
  { type: 'Clip', min: -0.5, max: 1.25 },
  { type: 'Elu', alpha: 0.8 },
  { type: 'GELU', approximation: 'none' },
  { type: 'GELU', approximation: 'tanh' },
  { type: 'HardSigmoid', alpha: 0.2, beta: 0.5 },
  { type: 'Pow', exponent: 2 },
  { type: 'Pow', exponent: 0.75 },
]

const single = (op: Op, thresholds: Record<string, number>, precision: Precision = 'INT8'): QGraph =>
  lower(
    graphOf([
      ['x', { type: 'Input' }],
      ['y', op, ['x']],
    ]),
    thresholdsOf(thresholds),
    () => precision,
  )
const nodeOf = (graph: QGraph, name: string) => graph.nodes.find((node) => node.name === name)!
const scaleOf = (type: QType): number => ('scale' in type ? type.scale : Number.NaN)

describe('a function in 8 bit is a table', () => {
  it('covers every function', () => {
    expect([...new Set(ops.map(({ type }) => type))].toSorted()).toEqual([...functionTypes].toSorted())
  })

  it.each(ops.map((op) => [JSON.stringify(op), op] as const))('%s: 256 entries, half away, clamped', (_, op) => {
    for (const [range, result] of [
      [4, 4],
      [0.01, 0.3],
      [300, 25],
    ] as const)
      for (const sign of ['', '+']) {
        const q = single(op, { [`${sign}x`]: range, [`${sign}y`]: result })
        const y = nodeOf(q, 'y')
        expect(y.op.type).toBe('Lut')
        const { data } = q.weights.get(y.inputs[1]!)!
        expect(data).toHaveLength(256)
        const from = nodeOf(q, y.inputs[0]!).type
        const [first] = rangeOf[from.kind as 'i8' | 'u8']
        const [low, high] = rangeOf[y.type.kind as 'i8' | 'u8']
        const truth = truthOf(op)
        for (let i = first; i < first + 256; i++) {
          const real = truth(i * scaleOf(from)) / scaleOf(y.type)
          // Roots and powers of what is negative have no value.
          if (Number.isNaN(real)) continue
          const want = Math.min(high, Math.max(low, roundAway(real)))
          const tie = Math.abs(Math.abs(real % 1) - 0.5) < 1e-6
          expect(Math.abs(data[i & 255]! - want), `${i}`).toBeLessThanOrEqual(tie ? 1 : 0)
        }
      }
  })

  it('an Abs keeps its operand’s scale', () => {
    const q = single({ type: 'Abs' }, { x: 4, '+y': 3 })
    // Backward first: nothing else reads x. Signed, although the result is never negative.
    expect(nodeOf(q, 'y').type).toEqual({ kind: 'i8', scale: 3 / 127 })
    expect(nodeOf(q, 'x_si8').type).toEqual(nodeOf(q, 'y').type)
  })
})

describe('falling back to float', () => {
  it('a quotient is F32, with a reason', () => {
    const graph = graphOf([
      ['x', { type: 'Input' }],
      ['e', { type: 'Exp' }, ['x']],
      ['y', { type: 'Div', ...none }, ['x', 'e']],
    ])
    for (const asked of ['INT8', 'F16'] as const)
      expect(describeFallbacks(graph, () => asked).map(({ message }) => message)).toEqual([
        asked === 'INT8'
          ? 'Div has no 8-bit form: F32 instead of INT8'
          : 'Div in float is always F32: F32 instead of F16',
      ])
    const q = lower(graph, thresholdsOf({ x: 1, '+e': 3 }), () => 'INT8')
    expect(nodeOf(q, 'y').type).toEqual({ kind: 'f32' })
    expect(nodeOf(q, 'y').inputs).toEqual(['x', 'e_f32'])
  })
})

describe('a PRelu', () => {
  const graph = graphOf(
    [
      ['x', { type: 'Input' }],
      ['y', { type: 'PRelu' }, ['x', 's']],
    ],
    { s: weight([1, 2, 1, 1], 0.3, -0.1) },
  )
  it('has 8-bit slopes, cut off, with one shift that keeps them below 127', () => {
    const q = lower(graph, thresholdsOf({ x: 5, y: 4 }), () => 'INT8')
    const y = nodeOf(q, 'y')
    expect(y.op).toEqual({ type: 'PReluInt', shift: 8 })
    // 0.3 * 256 = 76.8, -0.1 * 256 = -25.6
    expect([...q.weights.get(y.inputs[1]!)!.data]).toEqual([76, -25])
    expect(nodeOf(q, y.inputs[0]!).type).toEqual(y.type)
  })

  it('takes slopes from nothing to beyond what fits', () => {
    for (const [slope, shift, stored] of [
      [0, 0, 0],
      [1e-12, 31, 0],
      [1, 6, 64],
      [126.9, 0, 126],
      [200, 0, 127],
      [-200, 0, -128],
    ] as const) {
      const one = { ...graph, weights: new Map([['s', weight([1, 2, 1, 1], slope)]]) }
      const q = lower(one, thresholdsOf({ x: 5, y: 4 }), () => 'INT8')
      const y = nodeOf(q, 'y')
      expect([y.op, q.weights.get(y.inputs[1]!)!.data[0]]).toEqual([{ type: 'PReluInt', shift }, stored])
    }
  })

  it('is executed exactly', async () => {
    const next = random(77)
    for (const shift of [0, 1, 5, 7, 8, 13, 22, 31])
      for (const shape of [
        [1, 1],
        [3, 70],
        [2, 67, 5],
        [2, 3, 9, 11],
      ]) {
        const slopes = integers(
          next,
          shape.map((n, axis) => (axis === 1 ? n : 1)),
          -128,
          127,
        )
        const x = integers(next, shape, -128, 127)
        const data = Int8Array.from(slopes.data)
        const { run } = build(
          { x: { shape, type: i8 } },
          [{ name: 'y', op: { type: 'PReluInt', shift }, inputs: ['x', 's'], shape, type: i8 }],
          { s: { shape: slopes.shape, data, kind: 'i8' } },
        )
        const y = await run({ x })
        const channels = shape[1]!
        const inner = shape.slice(2).reduce((a, b) => a * b, 1)
        const want = Array.from(x.data, (v, i) =>
          v >= 0 ? v : requant(BigInt(v), data[Math.floor(i / inner) % channels]!, shift, [-128, 127]),
        )
        expect(Array.from(y.data, (v) => v + 0)).toEqual(want)
      }
  })
})

describe('a difference', () => {
  it('rounds both operands by themselves', async () => {
    const next = random(78)
    for (let round = 0; round < 40; round++) {
      const shape = [
        [1, 3, 5, 7],
        [2, 70],
        [1, 65, 3],
      ][round % 3]!
      const requants = [0, 1].map(() => ({ multiplier: int(next, 1, 126), shift: int(next, 0, 12) })) as [
        { multiplier: number; shift: number },
        { multiplier: number; shift: number },
      ]
      const pick = () => (next() < 0.5 ? i8 : u8)
      const [a, b, type] = [pick(), pick(), pick()]
      const relu = next() < 0.3
      const feeds = Object.fromEntries(
        [a, b].map(({ kind }, i) => [
          'ab'[i]!,
          integers(next, shape, rangeOf[kind as 'i8' | 'u8'][0], rangeOf[kind as 'i8' | 'u8'][1]),
        ]),
      )
      const { run } = build({ a: { shape, type: a }, b: { shape, type: b } }, [
        { name: 'y', op: { type: 'SubInt', requants, relu }, inputs: ['a', 'b'], shape, type },
      ])
      const y = await run(feeds)
      const [low, high] = rangeOf[type.kind as 'i8' | 'u8']
      const wide = [-(2 ** 30), 2 ** 30] as const
      const want = Array.from(feeds.a!.data, (v, i) => {
        const left = requant(BigInt(v), requants[0].multiplier, requants[0].shift, wide)
        const right = requant(BigInt(feeds.b!.data[i]!), requants[1].multiplier, requants[1].shift, wide)
        return Math.min(high, Math.max(relu ? 0 : low, left - right))
      })
      expect(Array.from(y.data, (v) => v + 0)).toEqual(want)
    }
  })

  it('keeps a constant at its own scale', () => {
    const graph = graphOf(
      [
        ['x', { type: 'Input' }],
        ['y', { type: 'Sub', ...none }, ['one', 'x']],
      ],
      { one: weight([1, 1, 1, 1], 1) },
    )
    const q = lower(graph, thresholdsOf({ '+x': 1, y: 0.127 }), () => 'INT8')
    const y = nodeOf(q, 'y')
    // 1 / 255 and 0.001: factors near 3.92
    expect([...q.weights.get(y.inputs[0]!)!.data]).toEqual([255])
    if (y.op.type !== 'SubInt') throw new Error(y.op.type)
    for (const { multiplier, shift } of y.op.requants) expect(multiplier / 2 ** shift).toBeCloseTo(1000 / 255, 1)
  })
})

describe('the smallest and the largest', () => {
  const graphWith = (type: 'Min' | 'Max', outputs?: readonly string[]) =>
    graphOf(
      [
        ['x', { type: 'Input' }],
        ['a', { type: 'Tanh' }, ['x']],
        ['b', { type: 'Exp' }, ['x']],
        ['y', { type }, ['a', 'b', 'c']],
      ],
      { c: weight([2, 1, 1], 0.25, -9) },
      outputs,
    )
  const thresholds = thresholdsOf({ x: 1, a: 2, '+b': 3, y: 1.27 })

  it('share one scale with operands that nothing else reads; a constant is cut off', () => {
    const q = lower(graphWith('Max'), thresholds, () => 'INT8')
    const y = nodeOf(q, 'y')
    expect(y.type).toEqual({ kind: 'i8', scale: 0.01 })
    expect(['a', 'b'].map((name) => nodeOf(q, name).type)).toEqual([y.type, y.type])
    expect(y.inputs.slice(0, 2)).toEqual(['a', 'b'])
    expect([...q.weights.get(y.inputs[2]!)!.data]).toEqual([25, -128])
  })

  it('rescale operands of other scales', () => {
    const q = lower(graphWith('Min', ['y', 'a']), thresholds, () => 'INT8')
    const y = nodeOf(q, 'y')
    expect(y.inputs.slice(0, 2)).toEqual(['a_to_y', 'b_to_y'])
    for (const name of y.inputs.slice(0, 2)) expect(nodeOf(q, name).type).toEqual(y.type)
  })

  it('are executed as they are told', async () => {
    const next = random(79)
    for (const type of ['Min', 'Max'] as const)
      for (const stored of [i8, u8]) {
        const [low, high] = rangeOf[stored.kind as 'i8' | 'u8']
        const [a, b] = [integers(next, [2, 67, 3], low, high), integers(next, [1, 67, 1], low, high)]
        const y = await build({ a: { shape: a.shape, type: stored }, b: { shape: b.shape, type: stored } }, [
          { name: 'y', op: { type }, inputs: ['a', 'b'], shape: a.shape, type: stored },
        ]).run({ a, b })
        const pick = (v: number, w: number): number => (type === 'Min' ? (v < w ? v : w) : v > w ? v : w)
        expect([...y.data]).toEqual(Array.from(a.data, (v, i) => pick(v, b.data[Math.floor(i / 3) % 67]!)))
      }
  })
})
