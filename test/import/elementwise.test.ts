/** Functions of single elements and operators of two operands, against onnxruntime on the original file. */
import { describe, expect, it } from 'vitest'
import { inputsOf } from '../../src/ir/graph.js'
import { elementwiseCases, functionCases } from './elementwise-cases.js'
import { expectSame, imported, model, opTypes, tensor } from './helper.js'

describe('an operator on single elements gives what onnxruntime gives', () => {
  it.each(elementwiseCases)('%s', async (_, ops, onnx) => {
    const graph = await expectSame(onnx)
    const order = opTypes(graph)
    expect(order.toSorted()).toEqual(ops!.toSorted())
  })

  it('near to nothing and far out', async () => {
    for (const [story, , onnx] of functionCases)
      for (const scale of [1e-6, 15]) {
        const [input] = inputsOf(imported(onnx))
        const { shape, data } = tensor(input!.shape, 5)
        await expectSame(onnx, {}, { shape, data: data.map((x) => x * scale) }).catch((error: unknown) => {
          // All results may be 0 there.
          if (!`${error}`.includes('to be greater than 0')) throw new Error(`${story}, ${scale}: ${error}`)
        })
      }
  })
})

describe('constants are worked out at import', () => {
  it.each([
    ['Pow', [2, 3], 8],
    ['Min', [2, 3, 1], 1],
    ['Max', [2, 3, 5], 5],
    ['Sub', [2, 3], -1],
    ['Div', [6, 3], 2],
    ['Exp', [0], 1],
    ['Log', [1], 0],
    ['Abs', [-4], 4],
    ['Neg', [4], -4],
    ['Reciprocal', [4], 0.25],
    ['Sqrt', [9], 3],
  ] as const)('%s', (type, operands, want) => {
    const onnx = model([1, 2], (b) => {
      const known = b.node(
        type,
        operands.map((value, i) => b.floats(`c${i}`, [value], [])),
        'k',
      )
      b.node('Add', ['x', known], 'y')
    })
    expect([...imported(onnx).weights.values()].map(({ data }) => [...data])).toEqual([[want]])
  })
})

describe('what cannot be taken is told', () => {
  const image = [1, 4, 7, 6]
  it.each([
    [
      'PRelu `y` of `m.onnx`: slopes of shape [6] are not one per channel of [1,4,7,6]',
      model(image, (b) => b.node('PRelu', ['x', b.random('s', [6])], 'y')),
    ],
    [
      'Pow `y` of `m.onnx`: has several exponents',
      model(image, (b) => b.node('Pow', ['x', b.floats('p', [1, 2, 3, 4, 5, 6])], 'y')),
    ],
    [
      'Pow `y` of `m.onnx`: raises a value that may be negative to a computed power',
      model(image, (b) => b.node('Pow', ['x', b.node('Relu', ['x'], 'r')], 'y')),
    ],
    [
      'Clip `y` of `m.onnx`: clips to 2..-2',
      model(image, (b) => b.node('Clip', ['x', b.floats('lo', [2], []), b.floats('hi', [-2], [])], 'y')),
    ],
    [
      'weight `c_reciprocal` of `m.onnx` has a number that is NaN or infinite',
      model(image, (b) => b.node('Div', ['x', b.floats('c', [0], [])], 'y')),
    ],
    [
      'Gelu `y` of `m.onnx`: approximate quick',
      model(image, (b) => b.node('Gelu', ['x'], 'y', { approximate: 'quick' })),
    ],
  ])('%s', (message, onnx) => {
    expect(() => imported(onnx)).toThrow(message)
  })
})
