/** One float and one quantized graph with every op of the dialects, small and with numbers that are hard to print. */
import type { FunctionOp, Graph, Node, Op, Weight } from '../../src/ir/graph.js'
import type { QGraph, QNode, QOp, QType, QWeight } from '../../src/quantize/qgraph.js'

const NO_RELU = { relu: false, reluLimit: -1 }
const WHOLE = { strides: [1, 1], pads: [0, 0, 0, 0] } as const
const WINDOW = { kernel: [2, 2], strides: [2, 2], pads: [0, 0, 1, 1] } as const
const CONV = { kernel: [3, 1], strides: [2, 1], dilations: [1, 2], pads: [1, 0, 1, 0], group: 1 } as const

const weight = (...shape: number[]): Weight => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.fround(i / 7 - 1)),
})

const node = (name: string, op: Op, inputs: string[], ...shape: number[]): Node => ({ name, op, inputs, shape })

/** Every function of single elements. */
const FUNCTIONS: readonly FunctionOp[] = [
  ...(['Abs', 'Ceil', 'Erf', 'Exp', 'Floor', 'HardSwish', 'Log', 'Mish', 'Reciprocal', 'Round'] as const).map(
    (type) => ({ type }),
  ),
  ...(['Softplus', 'Softsign', 'Sqrt', 'Tanh'] as const).map((type) => ({ type })),
  { type: 'Clip', min: -3.4028234663852886e38, max: 0.1 },
  { type: 'Elu', alpha: Math.fround(0.7) },
  { type: 'GELU', approximation: 'none' },
  { type: 'GELU', approximation: 'tanh' },
  { type: 'HardSigmoid', alpha: Math.fround(1 / 6), beta: 0.5 },
  { type: 'Pow', exponent: -1.75 },
]

/** One behind the other, on a value of [1, 4, 4, 8]. */
const elementwise = (from: string): Node[] => [
  ...FUNCTIONS.map((op, i) => node(`f${i}`, op, [i === 0 ? from : `f${i - 1}`], 1, 4, 4, 8)),
  node('prelu', { type: 'PRelu' }, [`f${FUNCTIONS.length - 1}`, 'factor'], 1, 4, 4, 8),
  node('sub', { type: 'Sub', relu: true, reluLimit: 6 }, ['factor', 'prelu'], 1, 4, 4, 8),
  node('div', { type: 'Div', ...NO_RELU }, ['sub', 'prelu'], 1, 4, 4, 8),
  node('min', { type: 'Min' }, ['div', 'sub', 'factor'], 1, 4, 4, 8),
  node('maximum', { type: 'Max' }, ['min', 'sub'], 1, 4, 4, 8),
]

export const everyFloatOp: Graph = {
  name: 'every "op"',
  nodes: [
    node(
      'images:0',
      {
        type: 'Input',
        preprocess: {
          pixelFormat: 'bgr',
          mean: [0, 123.675, 1e-9].map(Math.fround),
          scale: [0.0039216, 1 / 255, 1e12].map(Math.fround),
          keepAspectRatio: true,
          padValue: 114,
          padType: 'normal',
        },
      },
      [],
      ...[1, 3, 8, 8],
    ),
    node('side', { type: 'Input' }, [], 1, 4, 4, 8),
    node('a/conv_Conv', { type: 'Conv', ...CONV, relu: true, reluLimit: 6 }, ['images:0', 'w', 'b'], 1, 4, 4, 8),
    node('bare_Conv', { type: 'Conv', ...CONV, ...NO_RELU }, ['images:0', 'w'], 1, 4, 4, 8),
    node('add', { type: 'Add', relu: true, reluLimit: -1 }, ['a/conv_Conv', 'side', 'bare_Conv'], 1, 4, 4, 8),
    node('mul', { type: 'Mul', ...NO_RELU }, ['add', 'factor'], 1, 4, 4, 8),
    node('scale', { type: 'Scale', ...NO_RELU }, ['mul', 'b', 'b'], 1, 4, 4, 8),
    node('relu', { type: 'Relu', limit: 6 }, ['scale'], 1, 4, 4, 8),
    node('leaky', { type: 'LeakyRelu', alpha: Math.fround(0.1) }, ['relu'], 1, 4, 4, 8),
    node('sigmoid', { type: 'Sigmoid' }, ['leaky'], 1, 4, 4, 8),
    node('silu', { type: 'SiLU' }, ['sigmoid'], 1, 4, 4, 8),
    ...elementwise('silu'),
    node('max', { type: 'MaxPool', ...WINDOW }, ['maximum'], 1, 4, 2, 4),
    node('up', { type: 'Upsample', scaleH: 2, scaleW: 1 }, ['max'], 1, 4, 4, 4),
    node('cut', { type: 'Slice', offsets: [0, 1, 0, 0], steps: [1, 1, 3, 1], ends: [1, 4, 4, 4] }, ['up'], 1, 3, 2, 4),
    node('pad', { type: 'Pad', paddings: [0, 0, 1, 0, 0, 1, 1, 0], value: -Infinity }, ['cut'], 1, 4, 4, 4),
    node('concat', { type: 'Concat', axis: 1, ...NO_RELU }, ['pad', 'up'], 1, 8, 4, 4),
    node('nhwc', { type: 'Permute', order: [0, 2, 3, 1] }, ['concat'], 1, 4, 4, 8),
    node('mean', { type: 'AvgPool', ...WINDOW, countIncludePad: true, keepDims: true }, ['nhwc'], 1, 4, 2, 4),
    node(
      'flat mean',
      { type: 'AvgPool', ...WHOLE, kernel: [2, 4], countIncludePad: false, keepDims: false },
      ['mean'],
      1,
      4,
    ),
    node('größe', { type: 'Reshape' }, ['flat mean'], 2, 2),
    node('gemm', { type: 'MatMul', rightTranspose: true, ...NO_RELU }, ['größe', 'right', 'bias'], 2, 3),
    node('matmul', { type: 'MatMul', rightTranspose: false, relu: true, reluLimit: -1 }, ['gemm', 'square'], 2, 3),
    node('softmax', { type: 'Softmax', axis: 1 }, ['matmul'], 2, 3),
    node('class', { type: 'ArgMax', axis: 1, keepDims: false }, ['softmax'], 2),
    node('row', { type: 'ArgMax', axis: 2, keepDims: true }, ['nhwc'], 1, 4, 1, 8),
    node('deconv', { type: 'Deconv', ...CONV, outputPadding: [1, 0], ...NO_RELU }, ['up', 'turned'], 1, 2, 8, 4),
  ],
  weights: new Map([
    ['w', weight(4, 3, 3, 1)],
    ['b', weight(4)],
    ['factor', weight(1, 4, 1, 1)],
    ['right', weight(3, 2)],
    ['bias', weight(3)],
    ['square', weight(3, 3)],
    ['turned', weight(2, 4, 3, 1)],
  ]),
  outputs: ['softmax', 'nhwc'],
}

const i8 = (scale: number): QType => ({ kind: 'i8', scale })
const f32: QType = { kind: 'f32' }
const S = i8(0.0721234567891)
const SHAPE = [1, 4, 4, 8] as const
const ROUND = { multiplier: 51, shift: 9 }

function qnode(name: string, op: QOp, inputs: string[], type: QType, ...shape: number[]): QNode {
  return {
    name,
    op,
    inputs,
    shape,
    type,
    layer: name === 'moved' || op.type === 'Cast' || op.type === 'MulShift' ? undefined : name,
  }
}

const ints = (kind: 'i8' | 'u8' | 'i32', ...shape: number[]): QWeight => {
  const size = shape.reduce((a, b) => a * b, 1)
  const Kind = { i8: Int8Array, u8: Uint8Array, i32: Int32Array }[kind]
  return { shape, kind, data: new Kind(size).map((_, i) => 37 * i - 100) }
}
/** Values that the 16-bit types hold exactly: subnormal, largest, infinite. */
const halves = new Float32Array([1, -0.5, 2 ** -24, -3 * 2 ** -20, 65504, -0, Infinity, 1 + 2 ** -10, 2 ** -14])
const bfloats = new Float32Array([1, -0.5, 2 ** -126, -1.5, 3.3895313892515355e38, -0, Infinity, 1 + 2 ** -7, 5])

export const everyIntOp: QGraph = {
  name: 'every_q',
  nodes: [
    qnode('x', { type: 'Input' }, [], f32, 1, 3, 8, 8),
    qnode('x_ui8', { type: 'Cast' }, ['x'], { kind: 'u8', scale: 0.0039216 }, 1, 3, 8, 8),
    qnode(
      'conv',
      { type: 'ConvInt', ...CONV, relu: true, multipliers: [2 ** 30 + 1, 1, 7, 9], shifts: [30, -1, 0, 31] },
      ['x_ui8', 'conv_filter', 'conv_bias'],
      S,
      ...[1, 4, 4, 8],
    ),
    qnode(
      'bare',
      { type: 'ConvInt', ...CONV, relu: false, multipliers: [1, 2, 3, 4], shifts: [5, 6, 7, 8] },
      ['x_ui8', 'bare_filter'],
      S,
      ...[1, 4, 4, 8],
    ),
    qnode('leaky', { type: 'LeakyReluInt', requant: ROUND }, ['conv'], S, 1, 4, 4, 8),
    qnode('relu', { type: 'ReluInt' }, ['bare'], S, 1, 4, 4, 8),
    qnode(
      'add',
      { type: 'AddInt', requants: [ROUND, { multiplier: 3, shift: -2 }, ROUND], relu: true },
      ['leaky', 'relu', 'offset'],
      S,
      ...[1, 4, 4, 8],
    ),
    qnode('mul', { type: 'MulInt', requant: ROUND, relu: false }, ['add', 'relu'], S, 1, 4, 4, 8),
    qnode(
      'difference',
      { type: 'SubInt', requants: [ROUND, { multiplier: 1, shift: 0 }], relu: true },
      ['mul', 'offset'],
      S,
      ...SHAPE,
    ),
    qnode('sloped', { type: 'PReluInt', shift: 7 }, ['difference', 'offset'], S, ...SHAPE),
    qnode('smaller', { type: 'Min' }, ['sloped', 'offset'], S, ...SHAPE),
    qnode('larger', { type: 'Max' }, ['smaller', 'relu', 'mul'], S, ...SHAPE),
    qnode('lut', { type: 'Lut' }, ['mul', 'table'], i8(1e-5), 1, 4, 4, 8),
    qnode('shifted', { type: 'MulShift', requant: ROUND }, ['mul'], i8(1e-5), 1, 4, 4, 8),
    qnode(
      'summed',
      { type: 'SumInt', requants: [ROUND, { multiplier: -1073741823, shift: 30 }], relu: true },
      ['shifted', 'mul'],
      { kind: 'i8', scale: 1e-5, zero: -128 },
      ...[1, 4, 4, 8],
    ),
    qnode(
      'moved',
      { type: 'SumInt', requants: [ROUND], relu: false },
      ['summed'],
      { kind: 'i8', scale: 1e-5, zero: 127 },
      ...[1, 4, 4, 8],
    ),
    qnode('cat', { type: 'Concat', axis: 1, ...NO_RELU }, ['lut', 'shifted'], i8(1e-5), 1, 8, 4, 8),
    qnode('max', { type: 'MaxPool', ...WINDOW }, ['cat'], i8(1e-5), 1, 8, 2, 4),
    qnode('up', { type: 'Upsample', scaleH: 2, scaleW: 2 }, ['max'], i8(1e-5), 1, 8, 4, 8),
    qnode('spread', { type: 'Spread', scaleH: 2, scaleW: 3 }, ['max'], i8(1e-5), 1, 8, 4, 12),
    qnode(
      'cut',
      { type: 'Slice', offsets: [0, 0, 0, 0], steps: [1, 1, 1, 2], ends: [1, 4, 4, 8] },
      ['up'],
      i8(1e-5),
      1,
      4,
      4,
      4,
    ),
    qnode('pad', { type: 'Pad', paddings: [0, 0, 0, 0, 0, 0, 0, 0], value: 0 }, ['cut'], i8(1e-5), 1, 4, 4, 4),
    qnode('nhwc', { type: 'Permute', order: [0, 2, 3, 1] }, ['pad'], i8(1e-5), 1, 4, 4, 4),
    qnode('row', { type: 'ArgMax', axis: 2, length: 4 }, ['nhwc'], f32, 1, 4, 1, 4),
    qnode(
      'mean',
      { type: 'AvgPoolInt', ...WHOLE, kernel: [4, 4], keepDims: false, requant: ROUND },
      ['nhwc'],
      i8(12345678.9),
      1,
      4,
    ),
    qnode('flat', { type: 'Reshape' }, ['mean'], i8(12345678.9), 2, 2),
    qnode(
      'gemm',
      { type: 'MatMulInt', relu: false, rightTranspose: true, requant: { multiplier: 560977, shift: 29 } },
      ['flat', 'gemm_filter', 'gemm_bias'],
      i8(2),
      ...[2, 3],
    ),
    qnode('gemm_f16', { type: 'Cast' }, ['gemm'], { kind: 'f16' }, 2, 3),
    qnode('half', { type: 'MatMul', rightTranspose: false, ...NO_RELU }, ['gemm_f16', 'h'], { kind: 'f16' }, 2, 3),
    qnode('brain', { type: 'MatMul', rightTranspose: false, ...NO_RELU }, ['half', 'bf'], { kind: 'bf16' }, 2, 3),
    qnode('softmax', { type: 'Softmax', axis: 1 }, ['brain'], { kind: 'bf16' }, 2, 3),
    qnode('softmax_f32', { type: 'Cast' }, ['softmax'], f32, 2, 3),
    qnode('x_Conv', { type: 'Conv', ...CONV, relu: true, reluLimit: 6 }, ['x', 'fw', 'fb'], f32, 1, 4, 4, 8),
    qnode('frelu', { type: 'Relu', limit: 6 }, ['x_Conv'], f32, 1, 4, 4, 8),
    qnode('fleaky', { type: 'LeakyRelu', alpha: 0.1 }, ['frelu'], f32, 1, 4, 4, 8),
    qnode('fsigmoid', { type: 'Sigmoid' }, ['fleaky'], f32, 1, 4, 4, 8),
    qnode('fsilu', { type: 'SiLU' }, ['fsigmoid'], f32, 1, 4, 4, 8),
    ...elementwise('fsilu').map(({ name, op, inputs, shape }) =>
      qnode(
        name,
        op as QOp,
        inputs.map((input) => (input === 'factor' ? 'ff' : input)),
        f32,
        ...shape,
      ),
    ),
    qnode('fscale', { type: 'Scale', ...NO_RELU }, ['fsilu', 'fb', 'fb'], f32, 1, 4, 4, 8),
    qnode('fadd', { type: 'Add', relu: true, reluLimit: 6 }, ['fscale', 'fsilu'], f32, 1, 4, 4, 8),
    qnode('fmul', { type: 'Mul', ...NO_RELU }, ['fadd', 'fsilu'], f32, 1, 4, 4, 8),
    qnode('favg', { type: 'AvgPool', ...WINDOW, countIncludePad: false, keepDims: true }, ['fmul'], f32, 1, 4, 2, 4),
  ],
  weights: new Map<string, QWeight>([
    ['conv_filter', ints('i8', 4, 3, 3, 1)],
    ['conv_bias', ints('i32', 1, 4, 1, 1)],
    ['bare_filter', ints('u8', 4, 3, 3, 1)],
    ['offset', ints('i8', 1, 4, 1, 1)],
    ['table', ints('i8', 1, 1, 1, 256)],
    ['gemm_filter', ints('i8', 3, 2)],
    ['gemm_bias', ints('i32', 3)],
    ['h', { shape: [3, 3], data: halves, kind: 'f16' }],
    ['bf', { shape: [3, 3], data: bfloats, kind: 'bf16' }],
    ['fw', { ...weight(4, 3, 3, 1), kind: 'f32' }],
    ['fb', { ...weight(4), kind: 'f32' }],
    ['ff', { ...weight(1, 4, 1, 1), kind: 'f32' }],
  ]),
  outputs: ['softmax_f32', 'favg'],
}
