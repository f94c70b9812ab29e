/** Arithmetic on shapes and constants is done at import: nothing of it is left, and the numbers are onnxruntime's. */
import { expect, it } from 'vitest'
import { expectSame, model, opTypes } from './helper.js'

type Build = Parameters<Parameters<typeof model>[1]>[0]
const image = [1, 4, 6, 5]

/** x + a constant of four numbers that `make` computes; float or int64. */
const added = (make: (b: Build) => string, whole = false): Uint8Array =>
  model(image, (b) => {
    const numbers = make(b)
    const floats = whole ? b.node('Cast', [numbers], 'cast', { to: 1 }) : numbers
    b.node('Add', ['x', b.node('Reshape', [floats, b.integers('four', [4, 1, 1])], 'r')], 'y')
  })
const ints = (make: (b: Build) => string): Uint8Array => added(make, true)
const someInts = (b: Build): string => b.integers('i', [3, -4, 5, 0])
const someFloats = (b: Build): string => b.floats('f', [0.5, -1.25, 2, 0])
const booleans = (b: Build, type: string, left: string, right: string): string =>
  b.node('Where', [b.node(type, [left, right], 'c'), b.integers('yes', [7]), b.integers('no', [1, 2, 3, 4])], 'w')

const constants: Readonly<Record<string, Uint8Array>> = {
  Equal: ints((b) => booleans(b, 'Equal', someInts(b), b.integers('j', [5]))),
  Less: ints((b) => booleans(b, 'Less', someFloats(b), b.floats('g', [0.5]))),
  LessOrEqual: ints((b) => booleans(b, 'LessOrEqual', someFloats(b), b.floats('g', [0.5]))),
  Greater: ints((b) => booleans(b, 'Greater', someInts(b), b.integers('j', [0]))),
  GreaterOrEqual: ints((b) => booleans(b, 'GreaterOrEqual', someInts(b), b.integers('j', [0]))),
  'And, Or, Not': ints((b) => {
    const big = b.node('Greater', [someInts(b), b.integers('zero', [0])], 'big')
    const odd = b.node('Equal', [b.node('Mod', ['i', b.integers('two', [2])], 'm'), b.integers('one', [1])], 'odd')
    const both = b.node('And', [big, odd], 'both')
    const any = b.node('Or', [both, b.node('Not', [big], 'small')], 'any')
    return b.node('Where', [any, b.integers('yes', [7]), 'i'], 'w')
  }),
  'Mod of negative numbers': ints((b) => b.node('Mod', [someInts(b), b.integers('d', [3])], 'm')),
  'Mod of floats': added((b) => b.node('Mod', [someFloats(b), b.floats('d', [0.75])], 'm', { fmod: 1 })),
  'Sin, Cos, Sign': added((b) => b.node('Sign', [b.node('Sin', [b.node('Cos', [someFloats(b)], 'c')], 's')], 'g')),
  Range: ints((b) =>
    b.node(
      'Range',
      ['a', 'e', 'd'].map((n, i) => b.integers(n, [[2, 13, 3][i]!], [])),
      'm',
    ),
  ),
  'Range of floats, backwards': added((b) =>
    b.node(
      'Range',
      ['a', 'e', 'd'].map((n, i) => b.floats(n, [[1, -0.9, -0.5][i]!], [])),
      'm',
    ),
  ),
  Expand: added((b) => b.node('Expand', [b.floats('f', [0.5, -1], [2, 1]), b.integers('to', [2, 2])], 'e')),
  Tile: added((b) => b.node('Tile', [b.floats('f', [0.5, -1], [1, 2]), b.integers('by', [2, 1])], 'e')),
  'ReduceProd, ReduceMax': ints((b) =>
    b.node(
      'ReduceMax',
      [b.node('ReduceProd', [b.integers('t', [1, 2, 3, 4, 5, 6, 7, 8], [4, 2, 1])], 'p', { axes: [1], keepdims: 0 })],
      'm',
      { axes: [-1], keepdims: 0 },
    ),
  ),
  'ReduceMean, ReduceMin, ReduceSum': added((b) => {
    const table = b.random('t', [3, 4, 2, 2])
    const mean = b.node('ReduceMean', [table], 'mean', { axes: [3] })
    const least = b.node('ReduceMin', [mean], 'least', { axes: [0], keepdims: 0 })
    return b.node('ReduceSum', [least, b.integers('axes', [-1, -2])], 'sum', { keepdims: 0 })
  }),
}

it.each(Object.entries(constants))('%s', async (_, onnx) => {
  expect(opTypes(await expectSame(onnx))).toEqual(['Add'])
})

it('a target shape that is worked out from the picture as exporters do', async () => {
  const onnx = model(image, (b) => {
    const c = b.node('Conv', ['x', b.random('w', [6, 4, 1, 1])], 'c')
    const shape = b.node('Shape', [c], 'shape')
    const part = (i: number) => b.node('Gather', [shape, b.integers(`i${i}`, [i], [])], `n${i}`)
    const area = b.node('Mul', [part(2), part(3)], 'area')
    const both = [part(0), area].map((n, i) => b.node('Unsqueeze', [n, b.integers(`at${i}`, [0])], `u${i}`))
    const target = b.node('Concat', [both[0]!, b.integers('rest', [-1]), both[1]!], 'target', { axis: 0 })
    b.node('Reshape', [c, target], 'y')
  })
  expect(opTypes(await expectSame(onnx))).toEqual(['Conv', 'Reshape'])
})

it('a size that is twice the picture’s, and Expand to a shape chosen by Where, as PyTorch writes them', async () => {
  const resized = model(image, (b) => {
    const size = b.node('Slice', [b.node('Shape', ['x'], 'shape'), b.integers('s', [2]), b.integers('e', [4])], 'size')
    const floats = b.node('Cast', [size], 'floats', { to: 1 })
    const more = b.node(
      'Cast',
      [b.node('Floor', [b.node('Mul', [floats, b.floats('f', [2])], 'twice')], 'fl')],
      'more',
      { to: 7 },
    )
    const front = b.node('Slice', ['shape', b.integers('s0', [0]), b.integers('e0', [2])], 'front')
    b.node('Resize', ['x', '', '', b.node('Concat', [front, more], 'to', { axis: 0 })], 'y', { mode: 'nearest' })
  })
  expect(opTypes(await expectSame(resized))).toEqual(['Upsample'])
  const expanded = model([1, 4, 1, 1], (b) => {
    const asked = b.integers('asked', [-1, -1, 3, 5])
    const ones = b.node('ConstantOfShape', [b.node('Shape', [asked], 'rank')], 'ones', {})
    const filled = b.node('Add', [b.node('Cast', [ones], 'whole', { to: 7 }), b.integers('one', [1])], 'filled')
    const keep = b.node('Equal', [asked, b.node('Mul', [filled, b.integers('minus', [-1])], 'm')], 'keep')
    b.node('Expand', ['x', b.node('Where', [keep, filled, asked], 'to')], 'y')
  })
  expect(opTypes(await expectSame(expanded))).toEqual(['Upsample', 'Upsample'])
})
