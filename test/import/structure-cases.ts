/** Operators of structure: what moves, resizes, joins and reduces, as exporters of all opsets write it. */
import { model } from './helper.js'

export type Case = readonly [what: string, ops: readonly string[] | undefined, onnx: Uint8Array]

const image = [1, 4, 7, 6]

const one = (type: string, attributes = {}, shape: readonly number[] = image, opset = 13): Uint8Array =>
  model(shape, (b) => b.node(type, ['x'], 'y', attributes), { opset })

const withInts = (
  type: string,
  values: readonly number[],
  { shape = image as readonly number[], opset = 13, attributes = {}, of = [values.length] as readonly number[] } = {},
): Uint8Array => model(shape, (b) => b.node(type, ['x', b.integers('i', values, of)], 'y', attributes), { opset })

const deconv = (
  weight: readonly number[],
  attributes: Record<string, number | string | readonly number[]>,
  shape: readonly number[] = image,
  bias = true,
): Uint8Array =>
  model(shape, (b) => {
    const channels = weight[1]! * ((attributes.group as number | undefined) ?? 1)
    b.node('ConvTranspose', ['x', b.random('w', weight), ...(bias ? [b.random('b', [channels])] : [])], 'y', attributes)
  })

const deconvs: readonly Case[] = [
  ['ConvTranspose of 2x2 by 2', ['Deconv'], deconv([4, 5, 2, 2], { strides: [2, 2] })],
  ['ConvTranspose without attributes', ['Deconv'], deconv([4, 5, 3, 3], {}, image, false)],
  ['ConvTranspose with pads that differ', ['Deconv'], deconv([4, 5, 4, 3], { strides: [2, 3], pads: [2, 0, 1, 1] })],
  [
    'ConvTranspose with output padding and dilations',
    ['Deconv'],
    deconv([4, 5, 3, 3], { strides: [2, 3], dilations: [2, 1], output_padding: [1, 2], pads: [1, 1, 1, 1] }),
  ],
  ['ConvTranspose in groups', ['Deconv'], deconv([4, 3, 3, 3], { group: 2, strides: [2, 2], pads: [1, 1, 1, 1] })],
  ['ConvTranspose by channel', ['Deconv'], deconv([4, 1, 4, 4], { group: 4, strides: [2, 2], pads: [1, 1, 1, 1] })],
  ['ConvTranspose SAME_UPPER', ['Deconv'], deconv([4, 5, 4, 3], { auto_pad: 'SAME_UPPER', strides: [2, 2] })],
  ['ConvTranspose SAME_LOWER', ['Deconv'], deconv([4, 5, 3, 3], { auto_pad: 'SAME_LOWER', strides: [2, 2] })],
  ['ConvTranspose to a shape', ['Deconv'], deconv([4, 5, 3, 3], { output_shape: [14, 12], strides: [2, 2] })],
  [
    'ConvTranspose along a row',
    ['Reshape', 'Deconv', 'Reshape'],
    deconv([4, 5, 3], { strides: [2], pads: [1, 0], output_padding: [1] }, [2, 4, 9]),
  ],
]

const rows: readonly Case[] = [
  [
    'Conv along a row',
    ['Reshape', 'Conv', 'Reshape'],
    model([2, 4, 9], (b) =>
      b.node('Conv', ['x', b.random('w', [6, 2, 3]), b.random('b', [6])], 'y', {
        pads: [2, 1],
        strides: [2],
        dilations: [2],
        group: 2,
      }),
    ),
  ],
  [
    'MaxPool along a row',
    ['Reshape', 'MaxPool', 'Reshape'],
    one('MaxPool', { kernel_shape: [3], strides: [2], pads: [1, 0] }, [2, 4, 9]),
  ],
  [
    'AveragePool along a row',
    ['Reshape', 'AvgPool', 'Reshape'],
    one('AveragePool', { kernel_shape: [3], auto_pad: 'SAME_UPPER' }, [2, 4, 9]),
  ],
  ['GlobalMaxPool', ['MaxPool'], one('GlobalMaxPool')],
  ['GlobalMaxPool along a row', undefined, one('GlobalMaxPool', {}, [2, 4, 9])],
  ['GlobalAveragePool along a row', undefined, one('GlobalAveragePool', {}, [2, 4, 9])],
  [
    'AveragePool rounded up, pads counted',
    ['Pad', 'AvgPool'],
    one(
      'AveragePool',
      { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1, count_include_pad: 1 },
      [1, 4, 8, 6],
      19,
    ),
  ],
]

const reductions: readonly Case[] = [
  ['ReduceMean of channels', ['Conv'], one('ReduceMean', { axes: [1] })],
  ['ReduceMean of rows', undefined, one('ReduceMean', { axes: [2] })],
  ['ReduceMean of the batch and columns', undefined, one('ReduceMean', { axes: [0, -1], keepdims: 0 }, [3, 4, 7, 6])],
  ['ReduceMean of a table', undefined, one('ReduceMean', { axes: [-1] }, [2, 5, 300])],
  ['ReduceMax of a whole picture', undefined, one('ReduceMax', { keepdims: 0 }, [1, 3, 60, 70])],
  ['ReduceMean of all', undefined, one('ReduceMean', { keepdims: 0 })],
  ['ReduceMax of channels', undefined, one('ReduceMax', { axes: [1], keepdims: 0 })],
  ['ReduceMax of the image', ['MaxPool'], one('ReduceMax', { axes: [2, 3] })],
  ['ReduceMax of the image without kept axes', ['MaxPool', 'Reshape'], one('ReduceMax', { axes: [2, 3], keepdims: 0 })],
  ['ReduceMax of opset 18', undefined, withInts('ReduceMax', [-1], { opset: 18 })],
  ['ReduceSum of channels', ['Conv', 'Reshape'], withInts('ReduceSum', [1], { attributes: { keepdims: 0 } })],
  ['ReduceSum of all', undefined, withInts('ReduceSum', [0, 1, 2, 3], { attributes: { keepdims: 0 } })],
  ['ReduceSum of columns', undefined, withInts('ReduceSum', [3])],
  ['ReduceSum of opset 11', undefined, one('ReduceSum', { axes: [2, 3] }, image, 11)],
  ['ReduceMin of five axes', undefined, one('ReduceMin', { axes: [1, 3] }, [2, 3, 4, 5, 2])],
  ['ReduceMin of channels', undefined, one('ReduceMin', { axes: [1] })],
]

const products: readonly Case[] = [
  [
    'MatMul of two values',
    undefined,
    model([2, 3, 5], (b) => {
      b.node('MatMul', ['x', b.node('Transpose', ['x'], 't', { perm: [0, 2, 1] })], 'y')
    }),
  ],
  [
    'MatMul of heads',
    undefined,
    model([2, 4, 6, 5], (b) => {
      b.node('MatMul', [b.node('Relu', ['x'], 'r'), b.node('Transpose', ['x'], 't', { perm: [0, 1, 3, 2] })], 'y')
    }),
  ],
  [
    'MatMul by two matrices',
    ['Slice', 'MatMul', 'Slice', 'MatMul', 'Concat', 'Reshape'],
    model([2, 3, 5], (b) => b.node('MatMul', ['x', b.random('w', [2, 5, 4])], 'y')),
  ],
  [
    'MatMul by matrices of two axes',
    undefined,
    model([2, 3, 4, 5], (b) => b.node('MatMul', ['x', b.random('w', [2, 3, 5, 6])], 'y')),
  ],
  [
    'MatMul by a vector',
    ['MatMul', 'Reshape'],
    model([2, 3, 5], (b) => b.node('MatMul', ['x', b.random('w', [5])], 'y')),
  ],
  [
    'MatMul by a constant on the left',
    ['Permute', 'MatMul', 'Permute'],
    model([2, 3, 5], (b) => b.node('MatMul', [b.random('w', [4, 3]), 'x'], 'y')),
  ],
  [
    'Gemm with a turned left side',
    ['Permute', 'MatMul'],
    model([5, 3], (b) => b.node('Gemm', ['x', b.random('w', [5, 4]), b.random('c', [4])], 'y', { transA: 1 })),
  ],
  [
    'Gemm with a whole matrix added',
    ['MatMul', 'Add'],
    model([3, 5], (b) => b.node('Gemm', ['x', b.random('w', [5, 4]), b.random('c', [3, 4])], 'y', { beta: 0.5 })),
  ],
  [
    'Gemm with a value added',
    ['Relu', 'MatMul', 'Add'],
    model([3, 3], (b) => b.node('Gemm', ['x', b.random('w', [3, 3]), b.node('Relu', ['x'], 'r')], 'y')),
  ],
  [
    'Gemm with one column added',
    ['MatMul', 'Add'],
    model([3, 5], (b) => b.node('Gemm', ['x', b.random('w', [5, 4]), b.random('c', [3, 1])], 'y')),
  ],
]

const softmaxes: readonly Case[] = [
  ['Softmax of opset 11 over the image', ['Reshape', 'Softmax', 'Reshape'], one('Softmax', { axis: 1 }, image, 11)],
  ['Softmax of opset 11 over rows and columns', undefined, one('Softmax', { axis: 2 }, image, 11)],
  ['Softmax over the batch', ['Softmax'], one('Softmax', { axis: 0 }, [3, 4, 5])],
  ['Softmax over the second of five axes', ['Softmax'], one('Softmax', { axis: 1 }, [2, 3, 4, 5, 2])],
]

const movements: readonly Case[] = [
  ['Gather of one element', ['Slice', 'Reshape'], withInts('Gather', [-2], { of: [], attributes: { axis: 1 } })],
  ['Gather of a run', ['Slice'], withInts('Gather', [1, 2, 3], { attributes: { axis: 2 } })],
  ['Gather in any order', undefined, withInts('Gather', [3, 0, 0, 2, -1], { attributes: { axis: 1 } })],
  ['Gather by a table', undefined, withInts('Gather', [5, 1, 0, 2, 4, 6], { of: [2, 3], attributes: { axis: 2 } })],
  ['Gather every second', ['Slice'], withInts('Gather', [1, 3, 5], { attributes: { axis: -1 } })],
  ['Expand of ones', undefined, withInts('Expand', [3, 4, 7, 6], { shape: [1, 4, 1, 6] })],
  ['Expand to more axes', undefined, withInts('Expand', [2, 3, 4], { shape: [3, 1] })],
  ['Expand of a pixel', ['Upsample', 'Upsample'], withInts('Expand', [1, 4, 5, 3], { shape: [1, 4, 1, 1] })],
  ['Tile', undefined, withInts('Tile', [2, 1, 3, 1])],
  ['Tile of rows', undefined, withInts('Tile', [1, 3], { shape: [2, 5] })],
  [
    'Pad that reflects',
    undefined,
    model(image, (b) => b.node('Pad', ['x', b.integers('p', [0, 0, 2, 1, 0, 0, 1, 3])], 'y', { mode: 'reflect' })),
  ],
  [
    'Pad that repeats the edge',
    undefined,
    model(image, (b) => b.node('Pad', ['x', b.integers('p', [0, 0, 2, 1, 0, 0, 1, 3])], 'y', { mode: 'edge' })),
  ],
  [
    'Pad that wraps',
    undefined,
    model(image, (b) => b.node('Pad', ['x', b.integers('p', [0, 1, 2, 0, 0, 0, 0, 1])], 'y', { mode: 'wrap' }), {
      opset: 19,
    }),
  ],
  [
    'Pad with a value',
    ['Pad'],
    model(image, (b) => b.node('Pad', ['x', b.integers('p', [0, 1, 0, 2, 0, 0, 3, 0]), b.floats('v', [0.3], [])], 'y')),
  ],
  [
    'Pad that cuts off',
    ['Slice', 'Pad'],
    model(image, (b) => b.node('Pad', ['x', b.integers('p', [0, -1, 2, 0, 0, 0, -3, 1])], 'y')),
  ],
  ['DepthToSpace DCR', ['Reshape', 'Permute', 'Reshape'], one('DepthToSpace', { blocksize: 2 }, [1, 12, 3, 5])],
  [
    'DepthToSpace CRD',
    ['Reshape', 'Permute', 'Reshape'],
    one('DepthToSpace', { blocksize: 2, mode: 'CRD' }, [2, 12, 3, 5]),
  ],
  ['SpaceToDepth', ['Reshape', 'Permute', 'Reshape'], one('SpaceToDepth', { blocksize: 2 }, [2, 3, 6, 4])],
  [
    'Reshape, Transpose, Reshape: a channel shuffle',
    ['Reshape', 'Permute', 'Reshape'],
    model([1, 12, 3, 4], (b) => {
      const apart = b.node('Reshape', ['x', b.integers('s', [1, 3, 4, 3, 4])], 'a')
      const turned = b.node('Transpose', [apart], 't', { perm: [0, 2, 1, 3, 4] })
      b.node('Reshape', [turned, b.integers('r', [1, -1, 3, 4])], 'y')
    }),
  ],
]

/** Behind a Relu, as zeros are alike in every precision. As float, since that is what onnxruntime's result is compared with. */
const argMax = (attributes: Record<string, number>, shape: readonly number[] = image, opset = 13): Uint8Array =>
  model(
    shape,
    (b) => b.node('Cast', [b.node('ArgMax', [b.node('Relu', ['x'], 'r')], 'i', attributes)], 'y', { to: 1 }),
    { opset },
  )

const places: readonly Case[] = [
  ['ArgMax by default', undefined, argMax({}, [7, 4, 5, 6])],
  ['ArgMax of channels', ['Relu', 'ArgMax'], argMax({ axis: 1 })],
  ['ArgMax of channels, a map', ['Relu', 'ArgMax'], argMax({ axis: 1, keepdims: 0 }, [1, 21, 9, 70])],
  ['ArgMax of rows', undefined, argMax({ axis: 2, keepdims: 0 }, [2, 70, 9, 5])],
  ['ArgMax of columns of opset 9', undefined, argMax({ axis: 3 }, [2, 70, 3, 90], 9)],
  ['ArgMax of columns of opset 11', undefined, argMax({ axis: -1, keepdims: 0 }, image, 11)],
  ['ArgMax of classes', undefined, argMax({ axis: 1, keepdims: 0 }, [3, 1000])],
  ['ArgMax of three axes', undefined, argMax({ axis: 1 }, [2, 84, 33])],
  ['ArgMax of the second of five axes', undefined, argMax({ axis: 1, keepdims: 0 }, [2, 5, 4, 3, 6])],
  ['ArgMax, the first of equals', undefined, argMax({ axis: -1, select_last_index: 0 }, [4, 300], 21)],
]

const resize = (
  given: { readonly scales: readonly number[] } | { readonly sizes: readonly number[] },
  attributes: Record<string, string>,
  { shape = image as readonly number[], opset = 13 } = {},
): Uint8Array =>
  model(
    shape,
    (b) => {
      if ('scales' in given) {
        const scales = b.floats('s', given.scales)
        b.node('Resize', opset === 10 ? ['x', scales] : ['x', '', scales], 'y', attributes)
      } else b.node('Resize', ['x', '', '', b.integers('s', given.sizes)], 'y', attributes)
    },
    { opset },
  )

const coordinates = ['half_pixel', 'pytorch_half_pixel', 'asymmetric', 'align_corners']
const factors = { half: [1, 1, 0.5, 0.5], more: [1, 1, 1.5, 2], much: [1, 1, 2.3, 3.7], double: [1, 1, 2, 2] }

const resizes: readonly Case[] = [
  ...coordinates.flatMap((coordinate) =>
    Object.entries(factors).flatMap(([name, scales]): Case[] => [
      ...['floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil'].map(
        (rounding): Case => [
          `Resize nearest, ${coordinate}, ${rounding}, ${name}`,
          undefined,
          resize({ scales }, { mode: 'nearest', coordinate_transformation_mode: coordinate, nearest_mode: rounding }),
        ],
      ),
      [
        `Resize linear, ${coordinate}, ${name}`,
        ['Permute', 'Conv', 'Permute', 'Conv', 'Permute'],
        resize({ scales }, { mode: 'linear', coordinate_transformation_mode: coordinate }),
      ],
    ]),
  ),
  [
    'Resize nearest to sizes',
    undefined,
    resize({ sizes: [1, 4, 13, 19] }, { mode: 'nearest' }, { shape: [1, 4, 7, 10] }),
  ],
  [
    'Resize nearest to sizes, as exported by TensorFlow',
    undefined,
    resize(
      { sizes: [1, 4, 13, 19] },
      { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
      { shape: [1, 4, 7, 10] },
    ),
  ],
  ['Resize linear to sizes', undefined, resize({ sizes: [1, 4, 13, 4] }, { mode: 'linear' })],
  [
    'Resize linear to one pixel',
    undefined,
    resize({ sizes: [1, 4, 1, 1] }, { mode: 'linear', coordinate_transformation_mode: 'pytorch_half_pixel' }),
  ],
  ['Resize nearest of a table', undefined, resize({ scales: [1, 2, 1.5] }, { mode: 'nearest' }, { shape: [2, 3, 4] })],
  ['Resize linear of opset 10', undefined, resize({ scales: [1, 1, 2, 2] }, { mode: 'linear' }, { opset: 10 })],
  [
    'Upsample linear of opset 9',
    undefined,
    model(image, (b) => b.node('Upsample', ['x', b.floats('s', [1, 1, 2, 3])], 'y', { mode: 'linear' }), { opset: 9 }),
  ],
]

export const structureCases: readonly Case[] = [
  ...deconvs,
  ...rows,
  ...reductions,
  ...products,
  ...softmaxes,
  ...places,
  ...movements,
  ...resizes,
]
