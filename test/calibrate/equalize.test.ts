import { expect, test } from 'vitest'
import { channelRanges, type EvenRule, equalizable, equalize, evenFactors } from '../../src/calibrate/equalize.js'
import { emitOnnx } from '../../src/ir/emit.js'
import type { Graph, Node, Op, Tensor } from '../../src/ir/graph.js'
import { openSession } from '../../src/runtime/session.js'
import { uniforms } from './random.js'

const SIDE = 8
const next = uniforms(3)
const random = (shape: number[]) => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((p, n) => p * n, 1) }, () => 2 * next() - 1),
})
const conv = (group: number, kernel: number, relu: Partial<Extract<Op, { type: 'Conv' }>> = {}): Op => ({
  type: 'Conv',
  kernel: [kernel, kernel],
  strides: [1, 1],
  dilations: [1, 1],
  pads: kernel === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0],
  group,
  relu: false,
  reluLimit: -1,
  ...relu,
})

/** x -> a -> leaky -> dw (depthwise, relu) -> pool -> grouped -> (relu6) clipped -> last. Channels of very different sizes. */
function network(): Graph {
  const node = (name: string, op: Op, inputs: string[], channels: number, side: number): Node => ({
    name,
    op,
    inputs,
    shape: [1, channels, side, side],
  })
  const weights = new Map([
    ['wa', random([4, 3, 1, 1])],
    ['ba', random([4])],
    ['wd', random([4, 1, 3, 3])],
    ['bd', random([4])],
    ['wg', random([6, 2, 1, 1])],
    ['bg', random([6])],
    ['wl', random([2, 6, 1, 1])],
  ])
  for (const [name, each] of [
    ['wa', 3],
    ['ba', 1],
    ['bd', 1],
  ] as const)
    weights.get(name)!.data.forEach((value, i, data) => {
      data[i] = value * 4 ** Math.floor(i / each)
    })
  return {
    name: 'net',
    nodes: [
      node('x', { type: 'Input' }, [], 3, SIDE),
      node('a', conv(1, 1), ['x', 'wa', 'ba'], 4, SIDE),
      node('leaky', { type: 'LeakyRelu', alpha: 0.1 }, ['a'], 4, SIDE),
      node('dw', conv(4, 3, { relu: true }), ['leaky', 'wd', 'bd'], 4, SIDE),
      node('pool', { type: 'MaxPool', kernel: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] }, ['dw'], 4, SIDE / 2),
      node('grouped', conv(2, 1, { relu: true, reluLimit: 6 }), ['pool', 'wg', 'bg'], 6, SIDE / 2),
      node('last', conv(1, 1), ['grouped', 'wl'], 2, SIDE / 2),
    ],
    weights,
    outputs: ['last'],
  }
}

async function run(graph: Graph, outputs: string[], x: Tensor): Promise<Map<string, Tensor>> {
  const session = await openSession(emitOnnx(graph, { outputs }), 'test')
  const results = await session.run({ x })
  await session.release()
  return results
}

test('between convs with nothing but homogeneous layers in between; not across Relu6, second readers, outputs', () => {
  const graph = network()
  expect(equalizable(graph)).toEqual([
    { first: 'a', second: 'dw', values: ['a', 'leaky'] },
    { first: 'dw', second: 'grouped', values: ['dw', 'pool'] },
  ])
  expect(equalizable({ ...graph, outputs: ['last', 'leaky'] })).toEqual([
    { first: 'dw', second: 'grouped', values: ['dw', 'pool'] },
  ])
  const shared = graph.nodes.map((node) => (node.name === 'grouped' ? { ...node, inputs: ['pool', 'wg', 'bd'] } : node))
  expect(equalizable({ ...graph, nodes: shared })).toEqual([])
})

const evenly = (graph: Graph, values: ReadonlyMap<string, Tensor>, rule: EvenRule): Graph =>
  equalize(
    graph,
    new Map(
      equalizable(graph).map((pair) => [pair, evenFactors(graph, pair, channelRanges(values.get(pair.first)!), rule)]),
    ),
  )
const spread = (value: Tensor): number => {
  const sizes = [...channelRanges(value)].filter((size) => size > 0)
  return Math.max(...sizes) / Math.min(...sizes)
}

test('the network computes the same, and the channels in between are nearer to each other', async () => {
  const graph = network()
  const x = random([1, 3, SIDE, SIDE])
  const names = ['a', 'dw', 'last']
  const before = await run(graph, names, x)
  for (const shared of [false, true]) {
    const after = await run(evenly(graph, before, { exponent: 0.5, shared }), names, x)
    const [old, now] = [before.get('last')!.data, after.get('last')!.data]
    const most = Math.max(...old.map(Math.abs))
    for (const [i, value] of now.entries()) expect(Math.abs(value - old[i]!) / most).toBeLessThan(1e-5)
    for (const name of ['a', 'dw']) expect(spread(after.get(name)!)).toBeLessThan(0.7 * spread(before.get(name)!))
    // Half the way in logarithms; the second conv is depthwise, so that there is no filter to spare.
    expect(spread(after.get('a')!) ** 2).toBeCloseTo(spread(before.get('a')!), 2)
  }
  const whole = await run(evenly(graph, before, { exponent: 1, shared: false }), names, x)
  expect(spread(whole.get('a')!)).toBeCloseTo(1, 4)
})

test('a channel is as large as it is stored: large on the side that an activation makes small, too', async () => {
  const graph = network()
  // Channel 0 of `a` is far below 0 everywhere: behind the LeakyRelu it is a tenth of that.
  graph.weights.get('ba')!.data[0] = -300
  const x = random([1, 3, SIDE, SIDE])
  const before = await run(graph, ['a', 'leaky', 'dw'], x)
  const [stored, behind] = ['a', 'leaky'].map((name) => channelRanges(before.get(name)!)[0]!)
  expect(stored! / behind!).toBeCloseTo(10, 4)
  const after = await run(evenly(graph, before, { exponent: 1, shared: false }), ['a'], x)
  expect(spread(after.get('a')!)).toBeCloseTo(1, 4)
})

test('only the pairs that are named change', () => {
  const graph = network()
  const [pair] = equalizable(graph)
  const even = equalize(graph, new Map([[pair!, [1, 2, 4, 8]]]))
  const changed = [...even.weights].filter(([name, { data }]) =>
    data.some((w, i) => w !== graph.weights.get(name)!.data[i]),
  )
  expect(changed.map(([name]) => name)).toEqual(['wa', 'ba', 'wd'])
})
