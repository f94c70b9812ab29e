import { describe, expect, it } from 'vitest'
import { choicesOf, openJudge, pickThresholds, type ScaleGroup } from '../../src/calibrate/best.js'
import type { Thresholds } from '../../src/calibrate/threshold.js'
import type { Graph, Node } from '../../src/ir/graph.js'
import { propagateScales, scaleGroups } from '../../src/quantize/propagate.js'
import { conv1, graphOf, pool, thresholdsOf, weight } from '../quantize/float-graph.js'
import { laplace, uniforms } from './random.js'

const SIDE = 12
const PLANE = SIDE * SIDE
const shape = [1, 2, SIDE, SIDE]
const conv = { type: 'Conv', kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1 } as const
const none = { relu: false, reluLimit: -1 }
const node = (name: string, op: Node['op'], inputs: string[]): Node => ({ name, op, inputs, shape })

/** x -> a (Conv) -> leaky -> b (Conv); the leaky is read by an Add with x, too. a and leaky share a scale. */
function network(): Graph {
  const next = uniforms(5)
  const random = (n: number) => Float32Array.from({ length: n }, () => 2 * next() - 1)
  return {
    name: 'net',
    nodes: [
      node('x', { type: 'Input' }, []),
      node('a', { ...conv, ...none }, ['x', 'wa']),
      node('leaky', { type: 'LeakyRelu', alpha: 0.2345 }, ['a']),
      node('b', { ...conv, ...none }, ['leaky', 'wb']),
      node('sum', { type: 'Add', ...none }, ['leaky', 'x']),
    ],
    weights: new Map([
      ['wa', { shape: [2, 2, 1, 1], data: random(4) }],
      ['wb', { shape: [2, 2, 1, 1], data: random(4) }],
    ]),
    outputs: ['b', 'sum'],
  }
}

const group: ScaleGroup = { layer: 'leaky', members: ['a', 'leaky'], signed: true }
const x = laplace(2 * PLANE, 31)

/** The error of the group by its definition, in plain loops. */
function errorByHand(graph: Graph, threshold: number): number {
  const step = threshold / 127
  const stored = (value: number): number => Math.min(127, Math.max(-128, Math.round(value / step))) * step
  const through = (weight: string, values: ArrayLike<number>): number[] => {
    const w = graph.weights.get(weight)!.data
    return Array.from({ length: 2 * PLANE }, (_, i) => {
      const [c, at] = [Math.floor(i / PLANE), i % PLANE]
      return w[2 * c]! * values[at]! + w[2 * c + 1]! * values[PLANE + at]!
    })
  }
  const bend = (value: number): number => (value < 0 ? 0.2345 * value : value)
  const share = (exact: number[], rounded: number[]): number =>
    exact.reduce((sum, value, i) => sum + (value - rounded[i]!) ** 2, 0) / exact.reduce((sum, v) => sum + v * v, 0)
  const a = through('wa', x)
  const [leaky, rounded] = [a.map(bend), a.map((value) => stored(bend(stored(value))))]
  const add = (values: number[]): number[] => values.map((value, i) => value + x[i]!)
  return share(through('wb', leaky), through('wb', rounded)) + share(add(leaky), add(rounded))
}

describe('the best of several thresholds', () => {
  it('is judged by the layers that read the values, rounded wherever lowering rounds them', async () => {
    const graph = network()
    const thresholds = [0.5, 1.5, 4, 9]
    const judge = await openJudge(graph, [{ group, thresholds }])
    const [errors] = await judge.errors({ x: { shape, data: x } })
    await judge.release()
    // float32 here, double there: a value in a thousand may round the other way.
    for (const [i, threshold] of thresholds.entries())
      expect(errors![i]! / errorByHand(graph, threshold)).toBeCloseTo(1, 2)
    expect(new Set(errors).size).toBe(4)
  })

  it('is judged by layers that read one another, too: each with the exact result of the other', async () => {
    const plain = network()
    const nodes = plain.nodes.map((one) => (one.name === 'sum' ? { ...one, inputs: ['leaky', 'b'] } : one))
    const graph: Graph = { ...plain, nodes }
    const thresholds = [0.5, 2]
    const errors = async (net: Graph): Promise<number[]> => {
      const judge = await openJudge(net, [{ group, thresholds }])
      const [found] = await judge.errors({ x: { shape, data: x } })
      await judge.release()
      return found!
    }
    // Of b alone, as if nobody else read the group: the sum adds only rounding of leaky itself.
    const alone = await errors({ ...plain, nodes: plain.nodes.slice(0, -1), outputs: ['b'] })
    for (const [i, error] of (await errors(graph)).entries()) expect(error).toBeGreaterThan(alone[i]!)
  })

  it('is judged by the values themselves where an ArgMax reads them', async () => {
    const net = network()
    const place = { ...node('place', { type: 'ArgMax', axis: 1, keepDims: true }, ['a']), shape: [1, 1, SIDE, SIDE] }
    const graph: Graph = { ...net, nodes: [...net.nodes.slice(0, 2), place], outputs: ['place'] }
    const thresholds = [0.5, 1.5, 4, 9]
    const judge = await openJudge(graph, [{ group: { layer: 'a', members: ['a'], signed: true }, thresholds }])
    const [errors] = await judge.errors({ x: { shape, data: x } })
    await judge.release()
    const w = net.weights.get('wa')!.data
    const a = x.map((_, i) => {
      const [c, at] = [Math.floor(i / PLANE), i % PLANE]
      return w[2 * c]! * x[at]! + w[2 * c + 1]! * x[PLANE + at]!
    })
    const power = a.reduce((sum, value) => sum + value * value, 0)
    for (const [i, threshold] of thresholds.entries()) {
      const stored = (value: number): number =>
        (Math.min(127, Math.max(-128, Math.round((value * 127) / threshold))) * threshold) / 127
      const wrong = a.reduce((sum, value) => sum + (value - stored(value)) ** 2, 0)
      expect(errors![i]! / (wrong / power)).toBeCloseTo(1, 2)
    }
  })

  it('is asked for only where the sets differ, each value once', () => {
    const set = (a: number, b: number): Thresholds =>
      new Map([
        ['leaky', { threshold: a, min: -1, max: 1 }],
        ['b', { threshold: b, min: -1, max: 1 }],
      ])
    const alone: ScaleGroup = { layer: 'b', members: ['b'], signed: true }
    expect(choicesOf([group, alone], [set(2, 7), set(3, 7), set(2, 7)])).toEqual([{ group, thresholds: [2, 3] }])
  })

  it('is what adds up to least over the pictures, the first of equals, for the layer whose threshold counts', () => {
    const base: Thresholds = new Map([
      ['x', { threshold: 1, min: 0, max: 1 }],
      ['a', { threshold: 5, min: -9, max: 4 }],
      ['leaky', { threshold: 2, min: -3, max: 4 }],
    ])
    const choices = [{ group, thresholds: [2, 3, 4] }]
    const picked = pickThresholds(choices, [[[0.5, 0.1, 0.2]], [[0.5, 0.4, 0.3]]], base)
    expect([...picked]).toEqual([
      ['x', { threshold: 1, min: 0, max: 1 }],
      ['a', { threshold: 5, min: -9, max: 4 }],
      ['leaky', { threshold: 3, min: -3, max: 4 }],
    ])
  })

  it('reaches the operands of a concat, though the concat itself takes the scale of the pool behind it', () => {
    const graph = graphOf(
      [
        ['x', { type: 'Input' }],
        ['a', conv1, ['x', 'w']],
        ['b', conv1, ['x', 'w']],
        ['joined', { ...none, type: 'Concat', axis: 1 }, ['a', 'b'], [1, 4, 4, 4]],
        ['pool', pool, ['joined'], [1, 4, 2, 2]],
      ],
      { w: weight([2, 2, 1, 1], 1) },
    )
    const sets = [
      { x: 1, a: 2, b: 3, joined: 4, pool: 5 },
      { x: 1, a: 2, b: 3, joined: 40, pool: 50 },
    ].map(thresholdsOf)
    const choices = choicesOf(scaleGroups(graph, sets[0]!), sets)
    expect(choices).toEqual([
      { group: { layer: 'joined', members: ['a', 'b'], signed: true }, thresholds: [4, 40] },
      { group: { layer: 'pool', members: ['joined', 'pool'], signed: true }, thresholds: [5, 50] },
    ])
    const errors = [
      [
        [1, 0],
        [0, 1],
      ],
    ]
    const types = propagateScales(graph, pickThresholds(choices, errors, sets[0]!))
    const stored = Object.fromEntries([...types].map(([name, { scale }]) => [name, Math.round(scale * 127)]))
    expect(stored).toEqual({ x: 1, a: 40, b: 40, joined: 5, pool: 5 })
  })
})
