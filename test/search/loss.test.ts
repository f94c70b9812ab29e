import { describe, expect, it } from 'vitest'
import type { Graph, Op, Tensor } from '../../src/ir/graph.js'
import { candidateLayers, runs, withMoves } from '../../src/search/candidates.js'
import { meanLoss, sqnr, sqnrLoss } from '../../src/search/loss.js'

const tensor = (...data: number[]): Tensor => ({ shape: [data.length], data: Float32Array.from(data) })
const wave = (n: number, amplitude = 1): number[] => Array.from({ length: n }, (_, i) => amplitude * Math.sin(i * 0.7))

describe('SQNR', () => {
  it('agrees with NumPy', () => {
    // a = sin(0.7 i), b = a rounded to 1/64, both float32, i < 1000: 10 * log10(a.var() / (a - b).var()) in float64.
    const a = Float32Array.from(wave(1000))
    const b = a.map((x) => Math.round(x * 64) / 64)
    expect(sqnr(a, b)).toBeCloseTo(44.06403794524942, 10)
  })

  it('does not see a constant error, and is infinite for it', () => {
    const a = Float32Array.of(1, 2, 4)
    expect(sqnr(a, Float32Array.of(3, 4, 6))).toBe(Infinity)
    expect(sqnr(a, a)).toBe(Infinity)
    expect(sqnr(a, Float32Array.of(1, 2, 5))).toBeCloseTo(sqnr(a, Float32Array.of(8, 9, 12)), 5)
  })
})

describe('the loss', () => {
  it('weights outputs by their size: 20 dB on 300 elements and 40 dB on 100 are 25 dB', () => {
    const noisy = (values: number[], share: number) =>
      values.map((x, i) => x + share * values[(i * 7) % values.length]!)
    const [large, small] = [wave(300), wave(100, 5)]
    const losses = [sqnr(Float32Array.from(large), Float32Array.from(noisy(large, 0.1))), 0]
    losses[1] = sqnr(Float32Array.from(small), Float32Array.from(noisy(small, 0.01)))
    const loss = sqnrLoss(
      [tensor(...large), tensor(...small)],
      [tensor(...noisy(large, 0.1)), tensor(...noisy(small, 0.01))],
    )
    expect(loss).toBeCloseTo(-(3 * losses[0]! + losses[1]!) / 4, 10)
    expect(loss).toBeGreaterThan(-27)
    expect(loss).toBeLessThan(-23)
  })

  it('passes over outputs that are exact or constant', () => {
    const a = tensor(...wave(50))
    const b = tensor(...wave(50, 0.9))
    const alone = sqnrLoss([a], [b])
    expect(alone).toBeCloseTo(-20, 3)
    expect(sqnrLoss([a, a], [b, a])).toBe(alone)
    expect(sqnrLoss([a, tensor(3, 3)], [b, tensor(3, 4)])).toBe(alone)
    expect(sqnrLoss([a, a], [a, a])).toBe(-Infinity)
  })

  it('is the worst possible when a value is lost', () => {
    const a = tensor(...wave(50))
    for (const lost of [NaN, Infinity]) {
      const broken = tensor(...wave(50).with(3, lost))
      expect(sqnrLoss([a, a], [tensor(...wave(50, 0.9)), broken])).toBe(Infinity)
    }
  })

  it('refuses outputs that do not pair up', () => {
    expect(() => sqnrLoss([tensor(1, 2)], [])).toThrow('0 quantized outputs for 1 float ones')
    expect(() => sqnrLoss([tensor(1, 2)], [tensor(1)])).toThrow('output 0 has shape [1] quantized, but [2] in float')
  })

  it('of a variant is the mean over samples', () => {
    expect(meanLoss([-20, -30, -28])).toBe(-26)
    expect(meanLoss([-20, -Infinity])).toBe(-Infinity)
  })
})

describe('candidates', () => {
  it('are the layers that compute, in graph order', () => {
    const ops: Op[] = [
      { type: 'Input' },
      { type: 'Sigmoid' },
      { type: 'Reshape' },
      { type: 'Softmax', axis: 1 },
      { type: 'MaxPool', kernel: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] },
      { type: 'Concat', axis: 1, relu: false, reluLimit: -1 },
      { type: 'Slice', offsets: [0], steps: [1], ends: [1] },
      { type: 'Permute', order: [0] },
      { type: 'LeakyRelu', alpha: 0.1 },
      { type: 'Upsample', scaleH: 2, scaleW: 2 },
      { type: 'Pad', paddings: [0, 0], value: 0 },
      { type: 'Relu', limit: -1 },
      { type: 'ArgMax', axis: 0, keepDims: true },
    ]
    const nodes = ops.map((op, i) => ({ name: `${i}_${op.type}`, op, inputs: [], shape: [1] }))
    const graph: Graph = { name: 'net', nodes, weights: new Map(), outputs: [] }
    expect(candidateLayers(graph)).toEqual(['1_Sigmoid', '5_Concat', '8_LeakyRelu', '11_Relu'])
  })
})

describe('islands', () => {
  // x - conv1 - leaky1 - pool - conv2 - leaky2 -+- conv3 - permute (output)
  //                                             +- up - conv4 - reshape - slice (output)
  const plain = { relu: false, reluLimit: -1 }
  const conv = {
    type: 'Conv',
    kernel: [1, 1],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [0, 0, 0, 0],
    group: 1,
    ...plain,
  } as const
  const rows: [string, Op, string][] = [
    ['conv1', conv, 'x'],
    ['leaky1', { type: 'LeakyRelu', alpha: 0.1 }, 'conv1'],
    ['pool', { type: 'MaxPool', kernel: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] }, 'leaky1'],
    ['conv2', conv, 'pool'],
    ['leaky2', { type: 'LeakyRelu', alpha: 0.1 }, 'conv2'],
    ['conv3', conv, 'leaky2'],
    ['permute', { type: 'Permute', order: [0] }, 'conv3'],
    ['up', { type: 'Upsample', scaleH: 2, scaleW: 2 }, 'leaky2'],
    ['conv4', conv, 'up'],
    ['reshape', { type: 'Reshape' }, 'conv4'],
    ['slice', { type: 'Slice', offsets: [0], steps: [1], ends: [1] }, 'reshape'],
  ]
  const graph: Graph = {
    name: 'net',
    nodes: [
      { name: 'x', op: { type: 'Input' }, inputs: [], shape: [1] },
      ...rows.map(([name, op, from]) => ({ name, op, inputs: [from], shape: [1] })),
    ],
    weights: new Map(),
    outputs: ['permute', 'slice'],
  }

  it('are runs of two to four along edges that nobody else reads, and single layers that reach an output', () => {
    expect(runs(graph).map((run) => run.join(' '))).toEqual([
      'conv1 leaky1',
      'conv1 leaky1 conv2',
      'conv1 leaky1 conv2 leaky2',
      'leaky1 conv2',
      'leaky1 conv2 leaky2',
      'conv2 leaky2',
      'conv3',
      'conv4',
    ])
  })

  it('take along what moves data between their layers, or from them to an output, and nothing else', () => {
    expect(withMoves(graph, ['conv1', 'leaky1'])).toEqual(['conv1', 'leaky1'])
    expect(withMoves(graph, ['conv2', 'leaky1'])).toEqual(['leaky1', 'pool', 'conv2'])
    expect(withMoves(graph, ['conv4'])).toEqual(['conv4', 'reshape', 'slice'])
    expect(withMoves(graph, ['leaky2', 'conv4'])).toEqual(['leaky2', 'up', 'conv4', 'reshape', 'slice'])
    expect(withMoves(graph, ['leaky2', 'conv3'])).toEqual(['leaky2', 'conv3', 'permute'])
    // A move without its neighbours has nothing to do in float.
    expect(withMoves(graph, ['pool', 'conv2', 'up'])).toEqual(['conv2'])
  })
})
