/** Statistics that follow from others are those of the values themselves. */
import { expect, it } from 'vitest'
import { analysePicture, readLayers, withFollowers } from '../../src/calibrate/analyse.js'
import { observe } from '../../src/calibrate/statistics.js'
import { emitOnnx } from '../../src/ir/emit.js'
import type { Graph, Node, Op } from '../../src/ir/graph.js'
import { openSession } from '../../src/runtime/session.js'
import { laplace } from './random.js'

const relu = { relu: false, reluLimit: -1 }
const conv = { kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1], group: 1, ...relu } as const

const node = (name: string, op: Op, inputs: string[], shape: number[]): Node => ({ name, op, inputs, shape })

const graph: Graph = {
  name: 'followers',
  nodes: [
    node('x', { type: 'Input' }, [], [1, 3, 12, 10]),
    node('conv', { type: 'Conv', ...conv }, ['x', 'w', 'b'], [1, 8, 12, 10]),
    node('leaky', { type: 'LeakyRelu', alpha: 0.1 }, ['conv'], [1, 8, 12, 10]),
    node('steeper', { type: 'LeakyRelu', alpha: 0.3 }, ['conv'], [1, 8, 12, 10]),
    node('again', { type: 'LeakyRelu', alpha: 0.2 }, ['leaky'], [1, 8, 12, 10]),
    node('up', { type: 'Upsample', scaleH: 2, scaleW: 3 }, ['leaky'], [1, 8, 24, 30]),
    node('upper', { type: 'Upsample', scaleH: 2, scaleW: 3 }, ['conv'], [1, 8, 24, 30]),
    node('both', { type: 'Concat', axis: 1, ...relu }, ['up', 'upper'], [1, 16, 24, 30]),
    node('cut', { type: 'Concat', axis: 1, ...relu, relu: true }, ['up', 'upper'], [1, 16, 24, 30]),
    node('bentUp', { type: 'LeakyRelu', alpha: 0.1 }, ['both'], [1, 16, 24, 30]),
    node('turned', { type: 'Permute', order: [0, 2, 3, 1] }, ['both'], [1, 24, 30, 16]),
    node('flat', { type: 'Reshape' }, ['turned'], [1, 11520]),
  ],
  weights: new Map([
    ['w', { shape: [8, 3, 3, 3], data: Float32Array.from(laplace(216, 3)) }],
    ['b', { shape: [8], data: Float32Array.from(laplace(8, 4)) }],
  ]),
  outputs: ['flat', 'cut', 'bentUp', 'steeper', 'again'],
}

it('statistics of every layer, most of them without its values', async () => {
  const feeds = { x: { shape: [1, 3, 12, 10], data: Float32Array.from(laplace(360, 5)) } }
  const all = graph.nodes.map(({ name }) => name)
  const whole = await openSession(emitOnnx(graph, { outputs: all }), 'whole')
  const values = await whole.run(feeds)
  await whole.release()

  expect(readLayers(graph)).toEqual(['x', 'conv', 'steeper', 'again', 'cut', 'bentUp'])
  const session = await openSession(emitOnnx(graph, { outputs: readLayers(graph) }), 'read')
  const found = withFollowers(graph, await analysePicture(graph, session, feeds))
  await session.release()
  expect([...found.keys()]).toEqual(all)
  for (const [name, { histogram, ...rest }] of found) {
    const { histogram: bins, ...expected } = observe(values.get(name)!.data)
    expect({ name, ...rest }).toEqual({ name, ...expected })
    expect([...histogram], name).toEqual([...bins])
  }
})
