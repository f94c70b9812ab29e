/** Products of matrices that do not fit local memory whole, all the way: what the machine makes of them is what the executor says. */
import { describe, expect, it } from 'vitest'
import { runOnCmodel } from '../../src/bm1684x/cmodel/run.js'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import { runProgram } from '../../src/bm1684x/machine/run.js'
import { lower } from '../../src/quantize/lower.js'
import type { Precision, QGraph } from '../../src/quantize/qgraph.js'
import { imported, model } from '../import/helper.js'
import { differences, distance, executed, feedsOf, onMachine } from './net.js'

type Build = Parameters<Parameters<typeof model>[1]>[0]

const quantized = (onnx: Uint8Array, precision: Precision): QGraph => {
  const graph = imported(onnx)
  const thresholds = new Map(graph.nodes.map(({ name }, i) => [name, { threshold: 1 + (i % 3), min: -1, max: 1 }]))
  return lower(graph, thresholds, () => precision)
}

/** softmax(q k / 4) v of [heads, tokens, size], cut out of one value as YOLO11 does it: keys and values have the tokens last. */
const attention = (heads: number, tokens: number, size: number) =>
  model([1, heads, 3 * size, tokens], (b) => {
    const cut = (name: string, from: number): string =>
      b.node(
        'Slice',
        ['x', b.integers(`s${name}`, [from]), b.integers(`e${name}`, [from + size]), b.integers(`a${name}`, [2])],
        name,
      )
    const [q, k, v] = [cut('q', 0), cut('k', size), cut('v', 2 * size)]
    const scores = b.node('MatMul', [b.node('Transpose', [q], 'qt', { perm: [0, 1, 3, 2] }), k], 'scores')
    const scaled = b.node('Mul', [scores, b.floats('quarter', [0.25])], 'scaled')
    const soft = b.node('Softmax', [scaled], 'soft', { axis: -1 })
    b.node('MatMul', [v, b.node('Transpose', [soft], 'st', { perm: [0, 1, 3, 2] })], 'y')
  })

/** The same as transformers have it: tokens first, heads cut out by a transposition; then a layer of every token by itself. */
const block = (heads: number, tokens: number, size: number) =>
  model([1, tokens, heads * size], (b) => {
    const width = heads * size
    const linear = (x: string, k: number, n: number, name: string): string =>
      b.node('Add', [b.node('MatMul', [x, b.random(`w${name}`, [k, n])], `m${name}`), b.random(`b${name}`, [n])], name)
    const head = (name: string, perm: readonly number[]): string => {
      const split = b.integers(`to${name}`, [1, tokens, heads, size])
      return b.node(
        'Transpose',
        [b.node('Reshape', [linear('x', width, width, name), split], `r${name}`)],
        `t${name}`,
        {
          perm: [...perm],
        },
      )
    }
    const scores = b.node('MatMul', [head('q', [0, 2, 1, 3]), head('k', [0, 2, 3, 1])], 'scores')
    const soft = b.node('Softmax', [b.node('Mul', [scores, b.floats('f', [0.1])], 'scaled')], 'soft', { axis: -1 })
    const mixed = b.node('MatMul', [soft, head('v', [0, 2, 1, 3])], 'mixed')
    const back = b.node('Transpose', [mixed], 'back', { perm: [0, 2, 1, 3] })
    const joined = b.node('Reshape', [back, b.integers('joined', [1, tokens, width])], 'all')
    const sum = b.node('Add', ['x', linear(joined, width, width, 'o')], 'sum')
    linear(b.node('Relu', [linear(sum, width, 2 * width, 'up')], 'act'), 2 * width, width, 'y')
  })

const gemm = (m: number, k: number, n: number, transB = 1) =>
  model([m, k], (b) =>
    b.node('Gemm', ['x', b.random('w', transB ? [n, k] : [k, n]), b.random('b', [n])], 'y', { transB }),
  )

/** The second layer's constants are called as the parts of the first one's would be, had they the names of what they are parts of. */
const numbered = model([6, 1500], (b) => {
  const x = b.node('Gemm', ['x', b.random('w', [700, 1500]), b.random('b', [700])], 'x1', { transB: 1 })
  b.node('Gemm', [x, b.random('w_fix_0', [384, 700]), b.random('b_0', [384])], 'y', { transB: 1 })
})

const softmax = (shape: readonly number[], axis = -1) => model(shape, (b) => b.node('Softmax', ['x'], 'y', { axis }))

const product = (left: readonly number[], right: readonly number[]) =>
  model([1, left[0]! * left[1]! * left[2]! + right[0]! * right[1]! * right[2]!], (b: Build) => {
    const size = left[0]! * left[1]! * left[2]!
    const cut = (name: string, from: number, to: number, shape: readonly number[]): string => {
      const [s, e, a] = [b.integers(`s${name}`, [from]), b.integers(`e${name}`, [to]), b.integers(`a${name}`, [1])]
      return b.node('Reshape', [b.node('Slice', ['x', s, e, a], name), b.integers(`to${name}`, [...shape])], `r${name}`)
    }
    const rest = right[0]! * right[1]! * right[2]!
    b.node('MatMul', [cut('left', 0, size, left), cut('right', size, size + rest, right)], 'y')
  })

const cases: readonly (readonly [story: string, onnx: Uint8Array])[] = [
  ['attention over places, rows in lanes and behind each other', attention(2, 128, 12)],
  ['attention over places whose number no lanes divide', attention(2, 134, 19)],
  ['attention over a prime number of places', attention(1, 67, 33)],
  [
    'attention of few places: a cast of what has its heads as channels stands beside matrices with heads as items',
    attention(2, 4, 10),
  ],
  ['attention of few places with three heads', attention(3, 16, 17)],
  ['a block of a transformer', block(3, 50, 16)],
  ['a block of a transformer with tokens that no lanes divide', block(2, 71, 33)],
  ['one row by a matrix in parts', gemm(1, 2000, 300)],
  ['one row by a matrix stored the other way', gemm(1, 130, 70, 0)],
  ['rows by a matrix in parts', gemm(6, 1500, 700)],
  ['rows by a matrix in parts, stored the other way', gemm(3, 1500, 700, 0)],
  ['a matrix in parts, beside constants that are numbered', numbered],
  ['Softmax along 1600 elements', softmax([1, 3, 20, 1600])],
  ['Softmax along the columns of a large matrix', softmax([1, 700, 1500], 1)],
  ['Softmax along pairs', softmax([1, 442, 2])],
  ['a product deep enough for one row of lanes to fill half of them', product([2, 96, 1500], [2, 1500, 17])],
  ['a product of a wide matrix', product([1, 5, 9], [1, 9, 3001])],
]

describe('on the machine', () => {
  it.each(cases)('%s', async (_, onnx) => {
    for (const precision of ['F32', 'INT8', 'F16'] as const) {
      const q = quantized(onnx, precision)
      const feeds = feedsOf(q)
      const expected = await executed(q, feeds)
      const made = onMachine(generate(q), new Map(Object.entries(feeds)))
      const exact = q.nodes.every(({ op }) => op.type !== 'MatMul' && op.type !== 'Softmax')
      if (precision === 'INT8' && exact) expect(differences(made, expected)).toBe(0)
      for (const [name, values] of expected) {
        expect(new Set(values).size).toBeGreaterThan(8)
        expect(distance(made.get(name)!, values)).toBeLessThan({ INT8: 2e-2, F16: 2 ** -9, F32: 1e-5 }[precision])
      }
    }
  })
})

it('the scores of attention never reach global memory', () => {
  const [tokens, size] = [512, 16]
  const program = generate(quantized(attention(1, tokens, size), 'F32'))
  const scores = 4 * tokens * tokens
  expect(program.neuronBytes).toBeLessThan(scores)
})

it('what does not fit in any way is named', () => {
  expect(() => generate(quantized(product([1, 2, 3], [1, 3, 70000]), 'F32'))).toThrow(/y_MatMul.* does not fit/)
})

const library = process.env.QUANT_CMODEL
it.skipIf(!library)(
  "the vendor's C-model agrees",
  async () => {
    for (const [story, onnx] of cases)
      for (const precision of ['F32', 'F16', 'INT8'] as const) {
        const q = quantized(onnx, precision)
        const program = generate(q)
        const inputs = new Map(Object.entries(feedsOf(q)))
        const some = await runOnCmodel(library!, program, inputs, { ahead: 'dma', fill: 0x5a })
        for (const [name, values] of runProgram(program, inputs))
          expect([story, distance(some.get(name)!, values) < 1e-6]).toEqual([story, true])
      }
  },
  240_000,
)
