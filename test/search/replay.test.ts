/** Variants of one network, computed from what the all-INT8 run left: the same bits as computing all of each. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Thresholds } from '../../src/calibrate/threshold.js'
import { emitOnnx } from '../../src/ir/emit.js'
import { type Graph, type Node, type Op, sizeOf, type Tensor, type Weight } from '../../src/ir/graph.js'
import { openQuantized } from '../../src/quantize/execute.js'
import { lower } from '../../src/quantize/lower.js'
import type { Precision, QGraph } from '../../src/quantize/qgraph.js'
import { openSession } from '../../src/runtime/session.js'
import { candidateLayers, runs, withMoves } from '../../src/search/candidates.js'
import { type Int8Run, openReplay, type Replay } from '../../src/search/replay.js'
import { seeded } from '../build/rig.js'

const side = 12
const random = seeded(7)
const filled = (n: number, size = 1): Float32Array => Float32Array.from({ length: n }, () => size * random())

/**
 * Everything that makes it hard: a residual sum, a table (Sigmoid), a concat with a rescale, values with two readers, two heads that end
 * in moves, and a Softmax, which is float whatever is asked.
 */
function network(): Graph {
  const nodes: Node[] = []
  const weights = new Map<string, Weight>()
  const add = (name: string, op: Op, inputs: string[], shape: number[]): string => {
    nodes.push({ name, op, inputs, shape })
    return name
  }
  const conv = (name: string, from: string, ic: number, oc: number, kernel: 1 | 3, size = side): string => {
    weights.set(`${name}_w`, {
      shape: [oc, ic, kernel, kernel],
      data: filled(oc * ic * kernel * kernel, 1 / (ic * kernel)),
    })
    weights.set(`${name}_b`, { shape: [oc], data: filled(oc, 0.1) })
    const pad = (kernel - 1) / 2
    const op: Op = {
      type: 'Conv',
      kernel: [kernel, kernel],
      strides: [1, 1],
      dilations: [1, 1],
      pads: [pad, pad, pad, pad],
      group: 1,
      relu: false,
      reluLimit: -1,
    }
    return add(name, op, [from, `${name}_w`, `${name}_b`], [1, oc, size, size])
  }
  const leaky = (name: string, from: string, c: number, size = side): string =>
    add(name, { type: 'LeakyRelu', alpha: 0.1 }, [from], [1, c, size, size])
  const plain = { relu: false, reluLimit: -1 }
  const half = side / 2

  add('x', { type: 'Input' }, [], [1, 3, side, side])
  const a = leaky('leaky1', conv('conv1', 'x', 3, 8, 3), 8)
  const b = leaky('leaky2', conv('conv2', a, 8, 8, 3), 8)
  const sum = add('sum', { type: 'Add', ...plain }, [conv('conv3', b, 8, 8, 1), a], [1, 8, side, side])
  const pool = add(
    'pool',
    { type: 'MaxPool', kernel: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] },
    [sum],
    [1, 8, half, half],
  )
  const gate = add('gate', { type: 'Sigmoid' }, [conv('conv4', pool, 8, 16, 3, half)], [1, 16, half, half])
  const up = add('up', { type: 'Upsample', scaleH: 2, scaleW: 2 }, [gate], [1, 16, side, side])
  const concat = add('concat', { type: 'Concat', axis: 1, ...plain }, [up, b], [1, 24, side, side])
  add(
    'head1',
    { type: 'Permute', order: [0, 2, 3, 1] },
    [conv('conv5', leaky('leaky5', conv('conv6', concat, 24, 8, 3), 8), 8, 6, 1)],
    [1, side, side, 6],
  )
  const flat = add('flat', { type: 'Reshape' }, [conv('conv7', gate, 16, 4, 1, half)], [1, 4 * half * half])
  add('head2', { type: 'Softmax', axis: 1 }, [flat], [1, 4 * half * half])
  return { name: 'net', nodes, weights, outputs: ['head1', 'head2'] }
}

const graph = network()
const samples = [1, 2].map(() => ({ x: { shape: [1, 3, side, side], data: filled(3 * side * side) } }))
let thresholds: Thresholds
let replay: Replay
let kept: Int8Run[]
let variants: string[][]

const variant = (set: Iterable<string>, mode: Precision = 'F32'): QGraph => {
  const float = new Set(set)
  return lower(graph, thresholds, (layer) => (float.has(layer) ? mode : 'INT8'))
}

beforeAll(async () => {
  const all = graph.nodes.map(({ name }) => name)
  const float = await openSession(emitOnnx(graph, { outputs: all }), 'net')
  const values = await float.run(samples[0]!)
  await float.release()
  thresholds = new Map(
    all.map((name) => {
      const { data } = values.get(name)!
      const min = data.reduce((low, value) => Math.min(low, value), 0)
      const max = data.reduce((high, value) => Math.max(high, value), 0)
      return [name, { threshold: 0.8 * Math.max(-min, max), min, max }]
    }),
  )
  // One session only may stay open, so every variant opens its own anew.
  replay = openReplay(variant([]), 1)
  kept = []
  for (const sample of samples) kept.push(await replay.int8(sample))
  const single = candidateLayers(graph)
  const pick = (share: number) => single.filter(() => random() < share)
  variants = [
    [],
    ...single.map((layer) => [layer]),
    ...runs(graph).map((run) => withMoves(graph, run)),
    ...Array.from({ length: 12 }, (_, i) => withMoves(graph, pick(0.1 + i / 15))),
    ['pool', 'up'],
    all,
  ]
})
afterAll(() => replay.release())

async function whole(quantized: QGraph, feeds: Readonly<Record<string, Tensor>>): Promise<Tensor[]> {
  const session = await openQuantized(quantized)
  const outputs = [...(await session.run(feeds)).values()]
  await session.release()
  return outputs
}

const bytes = ({ data }: Tensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength)

describe.each(['F32', 'F16', 'BF16'] as const)('in %s', (mode) => {
  it('every layer, island and mixture of both gives the bits of a whole run', async () => {
    expect(variants.length).toBeGreaterThan(35)
    const seen = new Set<string>()
    for (const set of variants)
      for (const [i, feeds] of samples.entries()) {
        const quantized = variant(set, mode)
        const expected = await whole(quantized, feeds)
        const outputs = await replay.run(quantized, kept[i]!)
        expect(outputs.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape))
        for (const [k, output] of outputs.entries())
          expect(bytes(output).equals(bytes(expected[k]!)), `${set} output ${k}`).toBe(true)
        seen.add(bytes(outputs[0]!).toString('base64'))
      }
    // Not vacuous: the variants differ.
    expect(seen.size).toBeGreaterThan(variants.length)
  })
})

it('keeps 8-bit values in a byte each, and says how many bytes', () => {
  const [run] = kept
  const size = [...run!.values()].reduce((sum, { data }) => sum + data.byteLength, 0)
  expect(size).toBe(replay.bytes)
  const all = graph.nodes.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0)
  expect(size).toBeLessThan(all / 2)
  expect(
    [...run!.values()].filter(({ data }) => data instanceof Int8Array || data instanceof Uint8Array).length,
  ).toBeGreaterThan(5)
})

it('says the same when it is asked again, whatever was run in between', async () => {
  const text = (outputs: Tensor[]) => outputs.map((output) => bytes(output).toString('base64'))
  // Taken down at once: the next run writes into the same buffers.
  const first = text(await replay.run(variant(['conv4']), kept[0]!))
  const other = text(await replay.run(variant(['conv1', 'conv6']), kept[1]!))
  expect(other).not.toEqual(first)
  expect(text(await replay.run(variant(['conv4']), kept[0]!))).toEqual(first)
  // What was kept of the samples is as it was.
  expect(text(await replay.run(variant([]), await replay.int8(samples[0]!)))).toEqual(
    text(await replay.run(variant([]), kept[0]!)),
  )
})
