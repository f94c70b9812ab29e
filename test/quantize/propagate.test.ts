import { describe, expect, it } from 'vitest'
import type { Graph } from '../../src/ir/graph.js'
import { propagateScales, scaleGroups } from '../../src/quantize/propagate.js'
import { conv1, graphOf, none, pool, thresholdsOf, weight } from './float-graph.js'

const w = { w: weight([2, 2, 1, 1], 1) }
const concat = { ...none, type: 'Concat', axis: 1 } as const
const leaky = { type: 'LeakyRelu', alpha: 0.1 } as const

/** Thresholds after propagation, unsigned ones as negative numbers. */
function spread(graph: Graph, values: Record<string, number>): Record<string, number> {
  const types = propagateScales(graph, thresholdsOf(values))
  return Object.fromEntries(
    [...types].map(([name, { kind, scale }]) => [name, Math.round(kind === 'i8' ? scale * 127 : scale * -255)]),
  )
}

describe('scales', () => {
  it('are threshold / 127, or / 255 without negative values', () => {
    const graph = graphOf(
      [
        ['x', { type: 'Input' }],
        ['a', conv1, ['x', 'w']],
      ],
      w,
    )
    const types = propagateScales(graph, thresholdsOf({ '+x': 1.000008, a: 0.3620619 }))
    expect(types.get('x')).toEqual({ kind: 'u8', scale: 1.000008 / 255 })
    expect(types.get('a')).toEqual({ kind: 'i8', scale: 0.3620619 / 127 })
  })

  it('tell whose threshold counts for whom', () => {
    const graph = graphOf(
      [
        ['x', { type: 'Input' }],
        ['a', conv1, ['x', 'w']],
        ['leaky', leaky, ['a']],
        ['p', pool, ['leaky']],
        ['b', conv1, ['p', 'w']],
        ['joined', concat, ['p', 'b']],
      ],
      w,
    )
    expect(scaleGroups(graph, thresholdsOf({ '+x': 1, a: 2, leaky: 3, p: 4, b: 5, joined: 6 }))).toEqual([
      { layer: 'x', members: ['x'], signed: false },
      { layer: 'p', members: ['a', 'leaky', 'p'], signed: true },
      { layer: 'b', members: ['b'], signed: true },
      { layer: 'joined', members: ['joined'], signed: true },
    ])
  })

  it('flow back from a pool through the activation to the conv', () => {
    const graph = graphOf(
      [
        ['x', { type: 'Input' }],
        ['conv', conv1, ['x', 'w']],
        ['leaky', leaky, ['conv']],
        ['pool', pool, ['leaky'], [1, 2, 2, 2]],
      ],
      w,
    )
    expect(spread(graph, { '+x': 9, conv: 10, leaky: 20, pool: 30 })).toEqual({ x: -9, conv: 30, leaky: 30, pool: 30 })
  })

  it('do not flow back when something else reads the value, nor from an output; then they flow forward', () => {
    const lines = [
      ['x', { type: 'Input' }],
      ['conv', conv1, ['x', 'w']],
      ['leaky', leaky, ['conv']],
      ['other', conv1, ['conv', 'w']],
    ] as const
    const read = graphOf(lines, w, ['leaky', 'other'])
    expect(spread(read, { '+x': 9, conv: 10, leaky: 20, other: 5 })).toMatchObject({ conv: 10, leaky: 10 })
    const output = graphOf(lines.slice(0, 3), w, ['leaky', 'conv'])
    expect(spread(output, { '+x': 9, conv: 10, leaky: 20 })).toMatchObject({ conv: 10, leaky: 10 })
  })

  it('of a concat go to all its operands, and on to what made them', () => {
    const graph = graphOf(
      [
        ['x', { type: 'Input' }],
        ['a', conv1, ['x', 'w']],
        ['b', conv1, ['x', 'w']],
        ['up', leaky, ['b']],
        ['join', concat, ['a', 'up'], [1, 4, 4, 4]],
      ],
      w,
    )
    expect(spread(graph, { '+x': 1, a: 10, b: 20, up: 25, join: 30 })).toEqual({
      ...{ x: -1, a: 30, b: 30, up: 30, join: 30 },
    })
  })

  it('of a concat stay there when an operand is read elsewhere, unless by a pool', () => {
    const graph = (other: typeof pool | typeof conv1) =>
      graphOf(
        [
          ['x', { type: 'Input' }],
          ['a', conv1, ['x', 'w']],
          ['b', conv1, ['x', 'w']],
          ['join', concat, ['a', 'b'], [1, 4, 4, 4]],
          ['other', other, other.type === 'Conv' ? ['a', 'w'] : ['a']],
        ],
        w,
        ['join', 'other'],
      )
    const table = { '+x': 1, a: 10, b: 20, join: 30, other: 40 }
    expect(spread(graph(conv1), table)).toMatchObject({ a: 10, b: 20, join: 30, other: 40 })
    expect(spread(graph(pool), table)).toMatchObject({ a: 30, b: 30, join: 30, other: 30 })
  })

  it('of a concat of parts of one value are those of the value', () => {
    const part = (from: number) =>
      ({ type: 'Slice', offsets: [0, from, 0, 0], ends: [1, from + 1, 4, 4], steps: [1, 1, 1, 1] }) as const
    const graph = (second: string) =>
      graphOf(
        [
          ['x', { type: 'Input' }],
          ['a', conv1, ['x', 'w']],
          ['b', conv1, ['a', 'w']],
          ['first', part(0), ['a'], [1, 1, 4, 4]],
          ['second', part(1), [second], [1, 1, 4, 4]],
          ['join', concat, ['second', 'first'], [1, 2, 4, 4]],
        ],
        w,
        ['b', 'join'],
      )
    const table = { '+x': 1, a: 10, b: 20, first: 7, second: 8, join: 30 }
    expect(spread(graph('a'), table)).toMatchObject({ a: 10, first: 10, second: 10, join: 10 })
    expect(spread(graph('b'), table)).toMatchObject({ a: 10, first: 10, second: 20, join: 30 })
  })

  it('of moved data are those of the data, though the table says otherwise', () => {
    const graph = graphOf(
      [
        ['x', { type: 'Input' }],
        ['a', conv1, ['x', 'w']],
        ['permute', { type: 'Permute', order: [0, 2, 3, 1] }, ['a'], [1, 4, 4, 2]],
        ['up', { type: 'Upsample', scaleH: 2, scaleW: 2 }, ['a'], [1, 2, 8, 8]],
      ],
      w,
      ['permute', 'up'],
    )
    expect(spread(graph, { x: 1, a: 10, permute: 11, up: 12 })).toMatchObject({ a: 10, permute: 10, up: 10 })
  })

  it('need positive thresholds', () => {
    const graph = graphOf([['x', { type: 'Input' }]])
    for (const bad of [0, -1, NaN, Infinity])
      expect(() => propagateScales(graph, new Map([['x', { threshold: bad, min: -1, max: 1 }]]))).toThrow(
        /threshold of x/,
      )
  })
})
