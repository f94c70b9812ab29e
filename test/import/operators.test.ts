/** Every supported operator, as every opset writes it, against onnxruntime on the original file. */
import { describe, expect, it } from 'vitest'
import { float } from '../../src/ir/onnx/builder.js'
import { converters } from '../../src/ir/onnx/convert/index.js'
import { elementwiseCases } from './elementwise-cases.js'
import { expectSame, imported, model, opTypes } from './helper.js'
import { structureCases } from './structure-cases.js'

const image = [1, 4, 7, 6]
type Case = readonly [what: string, ops: readonly string[], onnx: Uint8Array]

const one = (type: string, attributes = {}, shape = image, opset = 13) =>
  model(shape, (b) => b.node(type, ['x'], 'y', attributes), { opset })

const conv = (attributes: object, weight = [8, 4, 3, 3], bias = true) =>
  model(image, (b) => {
    const operands = ['x', b.random('w', weight), ...(bias ? [b.random('b', [weight[0]!])] : [])]
    b.node('Conv', operands, 'y', { ...attributes })
  })

const unaryShape = (type: string, axes: readonly number[], shape: readonly number[]): Case[] => [
  [`${type} by attribute`, ['Reshape'], model(shape, (b) => b.node(type, ['x'], 'y', { axes }), { opset: 11 })],
  [`${type} by operand`, ['Reshape'], model(shape, (b) => b.node(type, ['x', b.integers('a', axes)], 'y'))],
]

const resize = (opset: number, scales: readonly number[], attributes: object) =>
  model(
    image,
    (b) => {
      const given = b.floats('s', scales)
      b.node('Resize', opset === 10 ? ['x', given] : ['x', '', given], 'y', { mode: 'nearest', ...attributes })
    },
    { opset },
  )

const split = (opset: number, sizes: readonly number[] | undefined, attributes: object = {}) =>
  model(
    image,
    (b) => {
      const operands = sizes && opset >= 13 ? ['x', b.integers('sizes', sizes)] : ['x']
      b.node('Split', operands, 'p', { axis: 1, ...(sizes && opset < 13 ? { split: sizes } : {}), ...attributes })
    },
    { opset, outputs: ['p', 'q'], edit: ({ graph }) => void graph!.node[0]!.output.push('q') },
  )

const cases: readonly Case[] = [
  ['Conv with pads, strides and dilations', ['Conv'], conv({ pads: [2, 1, 0, 3], strides: [2, 1], dilations: [1, 2] })],
  ['Conv without any attribute', ['Conv'], conv({}, [8, 4, 3, 3], false)],
  ['Conv in groups', ['Conv'], conv({ group: 4, kernel_shape: [3, 3] }, [8, 1, 3, 3])],
  ['Conv SAME_UPPER', ['Conv'], conv({ auto_pad: 'SAME_UPPER', strides: [2, 2] }, [8, 4, 4, 3])],
  ['Conv SAME_LOWER', ['Conv'], conv({ auto_pad: 'SAME_LOWER', strides: [2, 2] }, [8, 4, 4, 3])],
  ['Conv VALID', ['Conv'], conv({ auto_pad: 'VALID' })],
  [
    'BatchNormalization without a convolution',
    ['Scale'],
    model(image, (b) => {
      const variance = b.floats('var', [0.5, 1, 2, 3])
      b.node('BatchNormalization', ['x', b.random('g', [4]), b.random('b', [4]), b.random('m', [4]), variance], 'y')
    }),
  ],
  ['Relu', ['Relu'], one('Relu')],
  ['Clip(0, 0.5) by attributes', ['Relu'], one('Clip', { min: float(0), max: 0.5 }, image, 9)],
  [
    'Clip(0, 0.5) by operands',
    ['Relu'],
    model(image, (b) => b.node('Clip', ['x', b.floats('lo', [0], []), b.floats('hi', [0.5], [])], 'y')),
  ],
  ['Clip(0, ) without a limit', ['Relu'], model(image, (b) => b.node('Clip', ['x', b.floats('lo', [0], [])], 'y'))],
  ['LeakyRelu', ['LeakyRelu'], one('LeakyRelu', { alpha: 0.1 })],
  ['LeakyRelu by default', ['LeakyRelu'], one('LeakyRelu')],
  ['Sigmoid', ['Sigmoid'], one('Sigmoid')],
  ['Softmax on the last axis', ['Softmax'], one('Softmax')],
  ['Softmax on the channels', ['Softmax'], one('Softmax', { axis: 1 })],
  ['Softmax of opset 11', ['Softmax'], one('Softmax', {}, [2, 5], 11)],
  ['Add of a constant per channel', ['Add'], model(image, (b) => b.node('Add', ['x', b.random('c', [4, 1, 1])], 'y'))],
  ['Mul by a scalar, constant first', ['Mul'], model(image, (b) => b.node('Mul', [b.floats('c', [3], []), 'x'], 'y'))],
  ['Add to itself', ['Add'], model(image, (b) => b.node('Add', ['x', 'x'], 'y'))],
  ['MaxPool', ['MaxPool'], one('MaxPool', { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] })],
  ['MaxPool SAME_UPPER', ['MaxPool'], one('MaxPool', { kernel_shape: [2, 2], auto_pad: 'SAME_UPPER' })],
  ['MaxPool rounded up', ['MaxPool'], one('MaxPool', { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 })],
  [
    'MaxPool rounded up, whose last window would begin in the pad',
    ['MaxPool'],
    one('MaxPool', { kernel_shape: [2, 2], strides: [3, 3], pads: [1, 1, 1, 1], ceil_mode: 1 }, [1, 4, 7, 4]),
  ],
  [
    'AveragePool, pads not counted',
    ['AvgPool'],
    one('AveragePool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] }),
  ],
  [
    'AveragePool, pads counted',
    ['AvgPool'],
    one('AveragePool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 }),
  ],
  ['AveragePool rounded up', ['AvgPool'], one('AveragePool', { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 })],
  ['GlobalAveragePool', ['AvgPool'], one('GlobalAveragePool')],
  ['ReduceMean without kept axes', ['AvgPool'], one('ReduceMean', { axes: [-1, -2], keepdims: 0 })],
  [
    'ReduceMean of opset 18',
    ['AvgPool'],
    model(image, (b) => b.node('ReduceMean', ['x', b.integers('a', [2, 3])], 'y'), { opset: 18 }),
  ],
  [
    'Gemm with everything',
    ['MatMul'],
    model([3, 5], (b) =>
      b.node('Gemm', ['x', b.random('w', [4, 5]), b.random('c', [1, 4])], 'y', {
        transB: 1,
        alpha: 0.5,
        beta: float(2),
      }),
    ),
  ],
  [
    'Gemm with a scalar C',
    ['MatMul'],
    model([3, 5], (b) => b.node('Gemm', ['x', b.random('w', [5, 4]), b.floats('c', [2], [1])], 'y')),
  ],
  [
    'Gemm of two values',
    ['Relu', 'MatMul'],
    model([3, 5], (b) => b.node('Gemm', ['x', b.node('Relu', ['x'], 'r')], 'y', { transB: 1 })),
  ],
  ['MatMul on the last axis', ['MatMul'], model([2, 3, 5], (b) => b.node('MatMul', ['x', b.random('w', [5, 4])], 'y'))],
  [
    'Concat',
    ['Relu', 'Concat'],
    model(image, (b) => b.node('Concat', [b.node('Relu', ['x'], 'r'), 'x'], 'y', { axis: -2 })),
  ],
  [
    'Concat with constants, all alike',
    ['Pad'],
    model(image, (b) => {
      const ones = (name: string, n: number) => b.floats(name, new Array<number>(n * 42).fill(1), [1, n, 7, 6])
      b.node('Concat', [ones('c', 2), 'x', ones('d', 1)], 'y', { axis: 1 })
    }),
  ],
  [
    'Concat with constants of several values',
    ['Relu', 'Pad', 'Pad', 'Concat', 'Add'],
    model(image, (b) =>
      b.node(
        'Concat',
        ['x', b.random('c', [1, 4, 2, 6]), b.node('Relu', ['x'], 'r'), b.random('d', [1, 4, 1, 6])],
        'y',
        {
          axis: -2,
        },
      ),
    ),
  ],
  ['Transpose', ['Permute'], one('Transpose', { perm: [0, 2, 3, 1] })],
  ['Transpose by default', ['Permute'], one('Transpose', {}, [2, 3, 4])],
  ['Reshape', ['Reshape'], model(image, (b) => b.node('Reshape', ['x', b.integers('s', [0, -1, 6])], 'y'))],
  ['Flatten', ['Reshape'], one('Flatten')],
  ['Flatten from the end', ['Reshape'], one('Flatten', { axis: -1 })],
  ...unaryShape('Squeeze', [0, -2], [1, 4, 1, 6]),
  ['Squeeze of all', ['Reshape'], one('Squeeze', {}, [1, 4, 1, 6])],
  ...unaryShape('Unsqueeze', [0, -1], [4, 6]),
  ['Slice by attributes', ['Slice'], one('Slice', { starts: [1, -3], ends: [99, -1], axes: [1, 2] }, image, 9)],
  [
    'Slice by operands with steps',
    ['Slice'],
    model(image, (b) => {
      const end = 2n ** 63n - 1n
      const ends = b.weight('e', [2], BigInt64Array.of(end, 5n))
      b.node('Slice', ['x', b.integers('s', [1, 0]), ends, b.integers('a', [-2, 3]), b.integers('t', [2, 3])], 'y')
    }),
  ],
  ['Split by attribute', ['Slice', 'Slice'], split(11, [1, 3])],
  ['Split by operand', ['Slice', 'Slice'], split(13, [3, 1])],
  ['Split in equal parts', ['Slice', 'Slice'], split(13, undefined)],
  ['Split with num_outputs', ['Slice', 'Slice'], split(18, undefined, { num_outputs: 2, axis: 2 })],
  ['Pad by attributes', ['Pad'], one('Pad', { pads: [0, 1, 0, 1, 0, 0, 2, 0], value: 0.5 }, image, 9)],
  [
    'Pad by operands',
    ['Pad'],
    model(image, (b) => b.node('Pad', ['x', b.integers('p', [0, 1, 0, 1, 0, 0, 2, 0]), b.floats('v', [0.5], [])], 'y')),
  ],
  [
    'Pad of opset 18 along two axes',
    ['Pad'],
    model(image, (b) => b.node('Pad', ['x', b.integers('p', [1, 2, 3, 4]), '', b.integers('a', [-1, 2])], 'y'), {
      opset: 18,
    }),
  ],
  [
    'Upsample of opset 9',
    ['Upsample'],
    model(image, (b) => b.node('Upsample', ['x', b.floats('s', [1, 1, 2, 3])], 'y', { mode: 'nearest' }), { opset: 9 }),
  ],
  ['Resize of opset 10', ['Upsample'], resize(10, [1, 1, 3, 2], {})],
  [
    'Resize asymmetric, rounded down',
    ['Upsample'],
    resize(13, [1, 1, 4, 3], { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }),
  ],
  ['Resize by default settings', ['Upsample'], resize(13, [1, 1, 4, 3], {})],
  [
    'Resize to sizes',
    ['Upsample'],
    model(image, (b) => b.node('Resize', ['x', '', '', b.integers('s', [1, 4, 14, 18])], 'y', { mode: 'nearest' })),
  ],
  [
    'Resize of opset 18 along two axes',
    ['Upsample'],
    model(image, (b) => b.node('Resize', ['x', '', b.floats('s', [3, 2])], 'y', { mode: 'nearest', axes: [3, 2] }), {
      opset: 18,
    }),
  ],
]

describe('an operator gives what onnxruntime gives', () => {
  it.each(cases)('%s', async (_, ops, onnx) => {
    expect(opTypes(await expectSame(onnx))).toEqual(ops)
  })

  it('no converter goes without a case', () => {
    const tested = [...cases, ...structureCases, ...elementwiseCases].map(([what]) => what.split(/[^A-Za-z]/)[0])
    // These leave no layer behind: import.test.ts.
    const elsewhere = ['Cast', 'Dropout', 'Identity']
    expect(Object.keys(converters).filter((type) => !tested.includes(type))).toEqual(elsewhere)
  })
})

describe('other settings are refused in one line', () => {
  const refused: readonly (readonly [string, Uint8Array])[] = [
    ['Resize `y` of `m.onnx`: mode cubic is not supported', resize(13, [1, 1, 2, 2], { mode: 'cubic' })],
    [
      'Resize `y` of `m.onnx`: linear along other axes than height and width of [n, c, h, w] is not supported',
      resize(13, [1, 2, 2, 2], { mode: 'linear' }),
    ],
    [
      'MaxPool `y` of `m.onnx`: dilations [2,2] are not supported in pools',
      one('MaxPool', { kernel_shape: [2, 2], dilations: [2, 2] }),
    ],
    [
      'Slice `y` of `m.onnx`: steps [-1] must be positive',
      one('Slice', { starts: [-1], ends: [-9], axes: [1], steps: [-1] }, image, 11),
    ],
    [
      'Concat `y` of `m.onnx`: 1x4x7x6 does not fit 1x4x7x5',
      model([1, 4, 7, 5], (b) => b.node('Concat', ['x', b.random('c', image)], 'y', { axis: 0 })),
    ],
    ['layer `y_Conv` (Conv): takes 3 channels, but its operand has 4', conv({}, [8, 3, 3, 3], false)],
    ['layer `y_Conv` (Conv): kernel 9x3 is larger than its padded input 7x6', conv({}, [8, 4, 9, 3])],
    ['layer `y_Transpose` (Permute): order [0,1,1,3] does not fit 1x4x7x6', one('Transpose', { perm: [0, 1, 1, 3] })],
    [
      'Reshape `y` of `m.onnx`: cannot give 1x4x7x6 the shape [5,-1]',
      model(image, (b) => b.node('Reshape', ['x', b.integers('s', [5, -1])], 'y')),
    ],
  ]
  it.each(refused)('%s', (message, onnx) => {
    expect(() => imported(onnx)).toThrow(message)
  })
})
