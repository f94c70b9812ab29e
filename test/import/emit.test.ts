/** The float model that is written: every layer can be asked for, every layer can be run alone. */
import { describe, expect, it } from 'vitest'
import { emitOnnx } from '../../src/ir/emit.js'
import type { Graph } from '../../src/ir/graph.js'
import { imported, model, names, run, tensor } from './helper.js'

const shape = [1, 3, 8, 8]

/** Fused relus, SiLU, a Gemm behind dropped axes, one value read by two. */
const graph: Graph = imported(
  model(shape, (b) => {
    b.node('Conv', ['x', b.random('w', [4, 3, 3, 3]), b.random('b', [4])], 'c', { pads: [1, 1, 1, 1] })
    b.node('Clip', ['c', b.floats('lo', [0], []), b.floats('hi', [0.5], [])], 'r')
    b.node('Sigmoid', ['r'], 's')
    b.node('Mul', ['r', 's'], 'silu')
    b.node('Add', ['silu', 'r'], 'a')
    b.node('Relu', ['a'], 'ra')
    b.node('ReduceMean', ['ra'], 'm', { axes: [2, 3], keepdims: 0 })
    b.node('Gemm', ['m', b.random('g', [5, 4])], 'y', { transB: 1 })
  }),
)
const feeds = { x: tensor(shape) }

describe('emission', () => {
  it('calls inputs and outputs by the names of the layers, and is the same bytes every time', async () => {
    expect(names(graph)).toEqual(['x', 'r_Clip', 'silu_Mul', 'ra_Relu', 'm_ReduceMean', 'y_Gemm'])
    const onnx = emitOnnx(graph)
    expect(emitOnnx(graph)).toEqual(onnx)
    expect([...(await run(onnx, feeds)).keys()]).toEqual(['y_Gemm'])
  })

  it('gives every layer, the input among them', async () => {
    const all = await run(emitOnnx(graph, { outputs: names(graph) }), feeds)
    expect([...all.keys()]).toEqual(names(graph))
    for (const node of graph.nodes) expect(all.get(node.name)!.shape).toEqual(node.shape)
    expect(all.get('x')!.data).toEqual(feeds.x.data)
    expect(Math.max(...all.get('r_Clip')!.data)).toBe(0.5)
    expect(Math.min(...all.get('r_Clip')!.data)).toBe(0)
    const [r, silu] = [all.get('r_Clip')!.data, all.get('silu_Mul')!.data]
    expect(silu[7]).toBeCloseTo(r[7]! / (1 + Math.exp(-r[7]!)), 6)
  })

  it('runs one layer alone on given operands, to the same bits', async () => {
    const all = await run(emitOnnx(graph, { outputs: names(graph) }), feeds)
    for (const node of graph.nodes.slice(1)) {
      const from = node.inputs.filter((input) => !graph.weights.has(input))
      const alone = emitOnnx(graph, { outputs: [node.name], from })
      const result = await run(alone, Object.fromEntries(from.map((name) => [name, all.get(name)!])))
      expect(result.get(node.name)).toEqual(all.get(node.name))
    }
  })

  it('writes only what lies between, with the weights it needs', async () => {
    const part = emitOnnx(graph, { outputs: ['m_ReduceMean'], from: ['r_Clip'] })
    expect(part.length).toBeLessThan(emitOnnx(graph).length / 2)
    expect([...(await run(part, { r_Clip: tensor([1, 4, 8, 8]) })).keys()]).toEqual(['m_ReduceMean'])
  })

  it('gives back what is fed when that is asked for', async () => {
    const part = emitOnnx(graph, { outputs: ['silu_Mul', 'ra_Relu'], from: ['r_Clip', 'silu_Mul'] })
    const silu = tensor([1, 4, 8, 8], 3)
    const result = await run(part, { r_Clip: tensor([1, 4, 8, 8]), silu_Mul: silu })
    expect(result.get('silu_Mul')!.data).toEqual(silu.data)
  })

  it('runs a chain of operands, a transposed right side and a relu behind both', async () => {
    const graph: Graph = {
      name: 'g',
      nodes: [
        { name: 'x', op: { type: 'Input' }, inputs: [], shape: [2, 1, 2] },
        { name: 's', op: { type: 'Add', relu: true, reluLimit: 6 }, inputs: ['x', 'x', 'k'], shape: [2, 1, 2] },
        {
          name: 'y',
          op: { type: 'MatMul', rightTranspose: true, relu: true, reluLimit: -1 },
          inputs: ['s', 'w', 'b'],
          shape: [2, 1, 3],
        },
      ],
      weights: new Map([
        ['k', { shape: [2], data: Float32Array.of(1, -1) }],
        ['w', { shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, -5, -6) }],
        ['b', { shape: [3], data: Float32Array.of(10, 20, 30) }],
      ]),
      outputs: ['s', 'y'],
    }
    const result = await run(emitOnnx(graph), { x: { shape: [2, 1, 2], data: Float32Array.of(1, 2, -3, 9) } })
    // 2x + k = (3, 3), (-5, 17), between 0 and 6; then rows of w times that, plus b, at least 0.
    expect(Array.from(result.get('s')!.data)).toEqual([3, 3, 0, 6])
    expect(Array.from(result.get('y')!.data)).toEqual([19, 41, 0, 22, 44, 0])
  })
})
