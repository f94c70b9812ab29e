import { describe, expect, it } from 'vitest'
import type { Threshold } from '../../src/calibrate/threshold.js'
import { emitOnnx } from '../../src/ir/emit.js'
import type { Graph, Tensor } from '../../src/ir/graph.js'
import { correctBiases } from '../../src/quantize/correct-bias.js'
import { dequantize, openQuantized } from '../../src/quantize/execute.js'
import { lower } from '../../src/quantize/lower.js'
import { openSession } from '../../src/runtime/session.js'
import { uniforms } from '../calibrate/random.js'
import { conv1 as conv, graphOf } from './float-graph.js'

const SIDE = 10

/** x -> a -> leaky -> b. One weight in each filter is large, so that the others are rounded badly, and x is always positive. */
function network(): Graph {
  const next = uniforms(11)
  const filter = () => ({
    shape: [4, 4, 1, 1],
    data: Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 8 : 0.1 * next())),
  })
  const bias = () => ({ shape: [4], data: Float32Array.from({ length: 4 }, () => next()) })
  const graph = graphOf(
    [
      ['x', { type: 'Input' }],
      ['a', conv, ['x', 'wa', 'ba']],
      ['leaky', { type: 'LeakyRelu', alpha: 0.1 }, ['a']],
      ['b', conv, ['leaky', 'wb', 'bb']],
    ],
    { wa: filter(), ba: bias(), wb: filter(), bb: bias() },
  )
  return { ...graph, nodes: graph.nodes.map((node) => ({ ...node, shape: [1, 4, SIDE, SIDE] })), outputs: ['b'] }
}

const picture = (seed: number, size = 1): { x: Tensor } => {
  const next = uniforms(seed)
  const data = Float32Array.from({ length: 4 * SIDE * SIDE }, () => size * next())
  return { x: { shape: [1, 4, SIDE, SIDE], data } }
}
const thresholds = new Map([
  ['x', { threshold: 1, min: 0, max: 1 }],
  ['a', { threshold: 10, min: -10, max: 10 }],
  ['leaky', { threshold: 10, min: -1, max: 10 }],
  ['b', { threshold: 80, min: -80, max: 80 }],
])

/** Mean error of each channel of `b` on pictures that no correction has seen. */
async function meanErrors(graph: Graph, using: Parameters<typeof lower>[1]): Promise<number[]> {
  const net = lower(graph, using, () => 'INT8')
  const [float, int] = [await openSession(emitOnnx(graph), 'float'), await openQuantized(net, { outputs: ['b'] })]
  const errors = new Array<number>(4).fill(0)
  for (const seed of [901, 902, 903, 904]) {
    const y = (await float.run(picture(seed))).get('b')!.data
    const z = dequantize(net.nodes.find(({ name }) => name === 'b')!, (await int.run(picture(seed))).get('b')!).data
    for (let i = 0; i < y.length; i++) errors[Math.floor(i / SIDE ** 2)]! += (y[i]! - z[i]!) / (4 * SIDE ** 2)
  }
  await Promise.all([float.release(), int.release()])
  return errors.map(Math.abs)
}

describe('bias correction', () => {
  it('takes the mean error of every channel back, also what earlier layers leave', async () => {
    const graph = network()
    const seen = [1, 2, 3, 4].map((seed) => picture(seed))
    const corrected = await correctBiases(graph, thresholds, seen, [picture(5), picture(6)])
    expect(corrected.get('a')!.biasCorrection).toHaveLength(4)
    expect(corrected.get('b')!.biasCorrection).toHaveLength(4)
    expect(corrected.get('leaky')).toEqual(thresholds.get('leaky'))
    const [before, after] = [await meanErrors(graph, thresholds), await meanErrors(graph, corrected)]
    const most = Math.max(...before)
    // A step of the result is 80 / 127: without correction the mean is off by a good part of one.
    expect(most).toBeGreaterThan(0.1)
    expect(Math.max(...after)).toBeLessThan(most / 4)
  })

  it('leaves alone what would get worse on held-out pictures', async () => {
    const graph = network()
    const seen = [picture(1)]
    // Zero pictures have no rounding error of filters: any correction is wrong for them.
    const blank = { x: { shape: [1, 4, SIDE, SIDE], data: new Float32Array(4 * SIDE * SIDE) } }
    const corrected = await correctBiases(graph, thresholds, seen, [blank])
    expect(corrected.get('a')).toEqual(thresholds.get('a'))
  })

  it('changes the int32 bias of a layer in 8 bit and nothing of one in float', () => {
    const graph = network()
    const shift = [1, -2, 0, 0.5]
    const corrected = new Map<string, Threshold>(thresholds).set('a', {
      ...thresholds.get('a')!,
      biasCorrection: shift,
    })
    const biasOf = (using: Parameters<typeof lower>[1]) => {
      const net = lower(graph, using, () => 'INT8')
      return { bias: [...net.weights.get('a_bias_int32')!.data], node: net.nodes.find(({ name }) => name === 'a')! }
    }
    const [plain, moved] = [biasOf(thresholds), biasOf(corrected)]
    expect(moved.node).toEqual(plain.node)
    const filter = graph.weights.get('wa')!.data
    for (const [c, by] of shift.entries()) {
      const step = Math.max(...filter.subarray(4 * c, 4 * c + 4)) / 127 / 255
      expect(Math.abs(moved.bias[c]! - plain.bias[c]! - by / step)).toBeLessThanOrEqual(1)
    }
    const float = (using: Parameters<typeof lower>[1]) => lower(graph, using, () => 'F32')
    expect(float(corrected)).toEqual(float(thresholds))
  })

  it('for another number of channels is refused', () => {
    const wrong = new Map<string, Threshold>(thresholds).set('a', { ...thresholds.get('a')!, biasCorrection: [1, 2] })
    expect(() => lower(network(), wrong, () => 'INT8')).toThrow(/corrects 2 biases of a, which has 4/)
  })
})
