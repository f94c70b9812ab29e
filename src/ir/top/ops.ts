/**
 * The ops of the Top dialect and their attributes, both ways. Integers are i64; numbers f64, those that come from float32 with the
 * float32's own value. Attribute names are the vendor's.
 */
import type { Op, OpOf, OpType, Preprocess, Relu } from '../graph.js'
import type { Attributes } from '../mlir/attributes.js'
import type { TensorType } from '../mlir/parse.js'
import { doubles, f64, i64, integers, quoted } from '../mlir/print.js'

export type Printed = Record<string, string>

const NO_RELU = { relu: false, reluLimit: -1 }

export const relu = ({ relu, reluLimit }: Relu): Printed => ({ do_relu: `${relu}`, relu_limit: f64(reluLimit) })

/** The attributes of an op as they are printed. Mean and scale are written as float32, for that is how they are applied. */
export function writeAttributes(op: Op, shape: readonly number[]): Printed {
  switch (op.type) {
    case 'Input':
      return op.preprocess === undefined ? {} : preprocess(op.preprocess, shape)
    case 'Conv':
      return {
        kernel_shape: integers(op.kernel),
        strides: integers(op.strides),
        dilations: integers(op.dilations),
        pads: integers(op.pads),
        group: i64(op.group),
        ...relu(op),
      }
    case 'Deconv':
      return {
        kernel_shape: integers(op.kernel),
        strides: integers(op.strides),
        dilations: integers(op.dilations),
        pads: integers(op.pads),
        output_padding: integers(op.outputPadding),
        group: i64(op.group),
        ...relu(op),
      }
    case 'MatMul':
      return { right_transpose: `${op.rightTranspose}`, ...relu(op) }
    case 'Scale':
    case 'Add':
    case 'Mul':
      return relu(op)
    case 'Sub':
    case 'Div':
      return { is_reverse: 'false', ...relu(op) }
    case 'Min':
    case 'Max':
    case 'PRelu':
    case 'Abs':
    case 'Ceil':
    case 'Erf':
    case 'Exp':
    case 'Floor':
    case 'HardSwish':
    case 'Log':
    case 'Mish':
    case 'Round':
    case 'Softplus':
    case 'Softsign':
    case 'Sqrt':
    case 'Tanh':
      return {}
    case 'Clip':
      return { min: f64(op.min), max: f64(op.max) }
    case 'Elu':
      return { alpha: f64(op.alpha) }
    case 'GELU':
      return { approx_mode: quoted(op.approximation === 'none' ? 'normal' : 'tanh') }
    case 'HardSigmoid':
      return { alpha: f64(op.alpha), beta: f64(op.beta) }
    case 'Pow':
      return { exponent: f64(op.exponent) }
    case 'Reciprocal':
      return { const_val: f64(1) }
    case 'Relu':
      return { relu_limit: f64(op.limit) }
    case 'LeakyRelu':
      return { alpha: f64(op.alpha) }
    case 'Sigmoid':
      return { bias: f64(0), scale: f64(1) }
    case 'SiLU':
    case 'Reshape':
      return {}
    case 'Softmax':
      return { axis: i64(op.axis) }
    case 'ArgMax':
      return argMax(op.axis, op.keepDims)
    case 'MaxPool':
      return pool(op, false)
    case 'AvgPool':
      return pool(op, op.countIncludePad)
    case 'Concat':
      return { axis: i64(op.axis), ...relu(op) }
    case 'Upsample':
      return { scale_h: i64(op.scaleH), scale_w: i64(op.scaleW), ...relu(NO_RELU) }
    case 'Permute':
      return { order: integers(op.order) }
    case 'Slice':
      return { offset: integers(op.offsets), steps: integers(op.steps), ends: integers(op.ends) }
    case 'Pad':
      return { paddings: integers(op.paddings), val: f64(op.value), mode: i64(0) }
  }
}

/** Of `Arg`, the vendor's op for ArgMax and ArgMin. */
export const argMax = (axis: number, keepDims: boolean): Printed => ({
  axis: i64(axis),
  keepdims: `${keepDims}`,
  mode: quoted('ArgMax'),
  select_last_index: 'false',
})

/** A pool's `keepDims` has no attribute: it shows in the result's rank. */
export function pool(op: Pick<OpOf<'AvgPool'>, 'kernel' | 'strides' | 'pads'>, countIncludePad: boolean): Printed {
  return {
    kernel_shape: integers(op.kernel),
    strides: integers(op.strides),
    pads: integers(op.pads),
    pad_value: i64(0),
    count_include_pad: `${countIncludePad}`,
    ...relu(NO_RELU),
  }
}

function preprocess(p: Preprocess, shape: readonly number[]): Printed {
  return {
    channel_format: quoted('nchw'),
    model_format: quoted('image'),
    pixel_format: quoted(p.pixelFormat),
    resize_dims: integers(shape.slice(2)),
    keep_aspect_ratio: `${p.keepAspectRatio}`,
    pad_type: quoted(p.padType),
    pad_value: i64(p.padValue),
    mean: doubles(p.mean.map(Math.fround)),
    scale: doubles(p.scale.map(Math.fround)),
  }
}

/** How many operands each op takes, absent ones not counted. */
export const OPERANDS: Readonly<Record<OpType, readonly [least: number, most: number]>> = {
  Input: [0, 0],
  Conv: [2, 3],
  Deconv: [2, 3],
  MatMul: [2, 3],
  Scale: [3, 3],
  Relu: [1, 1],
  LeakyRelu: [1, 1],
  Abs: [1, 1],
  Ceil: [1, 1],
  Clip: [1, 1],
  Elu: [1, 1],
  Erf: [1, 1],
  Exp: [1, 1],
  Floor: [1, 1],
  GELU: [1, 1],
  HardSigmoid: [1, 1],
  HardSwish: [1, 1],
  Log: [1, 1],
  Mish: [1, 1],
  Pow: [1, 1],
  Reciprocal: [1, 1],
  Round: [1, 1],
  Sigmoid: [1, 1],
  SiLU: [1, 1],
  Softplus: [1, 1],
  Softsign: [1, 1],
  Sqrt: [1, 1],
  Tanh: [1, 1],
  PRelu: [2, 2],
  Sub: [2, 2],
  Div: [2, 2],
  Min: [2, Infinity],
  Max: [2, Infinity],
  Softmax: [1, 1],
  ArgMax: [1, 1],
  MaxPool: [1, 1],
  AvgPool: [1, 1],
  Add: [2, Infinity],
  Mul: [2, Infinity],
  Concat: [1, Infinity],
  Upsample: [1, 1],
  Permute: [1, 1],
  Reshape: [1, 1],
  Slice: [1, 1],
  Pad: [1, 1],
}

export const isOpType = (text: string): text is OpType => Object.hasOwn(OPERANDS, text)

/** What an op is called in text, `top.` left out. */
export const textName = (type: OpType): string => (type === 'ArgMax' ? 'Arg' : type)

/** The op that text calls so; undefined for a name that is not known. */
export function opTypeOf(text: string): OpType | undefined {
  if (text === 'Arg') return 'ArgMax'
  return isOpType(text) && textName(text) === text ? text : undefined
}

type ReadOp<T extends OpType> = (a: Attributes, type: TensorType, input: TensorType | undefined) => OpOf<T>

/** The op that attributes describe. `type` is the result's, `input` the first operand's (absent for an Input). */
export const READ: { readonly [T in OpType]: ReadOp<T> } = {
  // Vendor files give every input a pixel format; `model_format` says whether it is meant.
  Input: (a) =>
    a.has('pixel_format') && a.oneOf('model_format', ['image', 'none'], 'image') === 'image'
      ? { type: 'Input', preprocess: readPreprocess(a) }
      : { type: 'Input' },
  Conv: (a) => ({
    type: 'Conv',
    kernel: a.pair('kernel_shape'),
    strides: a.pair('strides'),
    dilations: a.has('dilations') ? a.pair('dilations') : [1, 1],
    pads: a.pads('pads'),
    group: a.integer('group', 1),
    ...a.relu(),
  }),
  Deconv: (a) => ({
    type: 'Deconv',
    kernel: a.pair('kernel_shape'),
    strides: a.pair('strides'),
    dilations: a.has('dilations') ? a.pair('dilations') : [1, 1],
    pads: a.pads('pads'),
    outputPadding: a.has('output_padding') ? a.pair('output_padding') : [0, 0],
    group: a.integer('group', 1),
    ...a.relu(),
  }),
  MatMul: (a) => ({ type: 'MatMul', rightTranspose: a.flag('right_transpose', false), ...a.relu() }),
  Scale: (a) => ({ type: 'Scale', ...a.relu() }),
  Relu: (a) => ({ type: 'Relu', limit: a.number('relu_limit', -1) }),
  LeakyRelu: (a) => ({ type: 'LeakyRelu', alpha: a.number('alpha') }),
  Sigmoid(a) {
    a.only('bias', 0)
    a.only('scale', 1)
    a.only('log', false)
    return { type: 'Sigmoid' }
  },
  SiLU: () => ({ type: 'SiLU' }),
  Abs: () => ({ type: 'Abs' }),
  Ceil: () => ({ type: 'Ceil' }),
  Clip: (a) => ({ type: 'Clip', min: a.number('min'), max: a.number('max') }),
  Elu: (a) => ({ type: 'Elu', alpha: a.number('alpha') }),
  Erf: () => ({ type: 'Erf' }),
  Exp: () => ({ type: 'Exp' }),
  Floor: () => ({ type: 'Floor' }),
  GELU: (a) => ({
    type: 'GELU',
    approximation: a.oneOf('approx_mode', ['normal', 'tanh'], 'normal') === 'tanh' ? 'tanh' : 'none',
  }),
  HardSigmoid: (a) => ({ type: 'HardSigmoid', alpha: a.number('alpha'), beta: a.number('beta') }),
  HardSwish: () => ({ type: 'HardSwish' }),
  Log: () => ({ type: 'Log' }),
  Mish: () => ({ type: 'Mish' }),
  Pow: (a) => ({ type: 'Pow', exponent: a.number('exponent') }),
  Reciprocal(a) {
    a.only('const_val', 1)
    return { type: 'Reciprocal' }
  },
  Round: () => ({ type: 'Round' }),
  Softplus: () => ({ type: 'Softplus' }),
  Softsign: () => ({ type: 'Softsign' }),
  Sqrt: () => ({ type: 'Sqrt' }),
  Tanh: () => ({ type: 'Tanh' }),
  PRelu: () => ({ type: 'PRelu' }),
  Min: () => ({ type: 'Min' }),
  Max: () => ({ type: 'Max' }),
  Sub(a) {
    a.only('is_reverse', false)
    a.only('coeff', 1)
    return { type: 'Sub', ...a.relu() }
  },
  Div(a) {
    a.only('is_reverse', false)
    return { type: 'Div', ...a.relu() }
  },
  Softmax(a) {
    a.only('log', false)
    return { type: 'Softmax', axis: a.integer('axis') }
  },
  ArgMax(a) {
    a.only('mode', 'ArgMax')
    a.only('select_last_index', false)
    return { type: 'ArgMax', axis: a.integer('axis'), keepDims: a.flag('keepdims') }
  },
  MaxPool: (a) => ({ type: 'MaxPool', ...readPool(a) }),
  AvgPool: (a, type, input) => ({
    type: 'AvgPool',
    ...readPool(a),
    countIncludePad: a.flag('count_include_pad', false),
    keepDims: type.shape.length === input?.shape.length,
  }),
  Add(a) {
    a.only('coeff', 1)
    return { type: 'Add', ...a.relu() }
  },
  Mul: (a) => ({ type: 'Mul', ...a.relu() }),
  Concat: (a) => ({ type: 'Concat', axis: a.integer('axis', 1), ...a.relu() }),
  Upsample(a) {
    a.only('do_relu', false)
    return { type: 'Upsample', scaleH: a.integer('scale_h'), scaleW: a.integer('scale_w') }
  },
  Permute: (a, type) => ({ type: 'Permute', order: a.integers('order', type.shape.length) }),
  Reshape: () => ({ type: 'Reshape' }),
  Slice: (a, type, input) => ({ type: 'Slice', ...readSlice(a, type.shape, input?.shape ?? []) }),
  Pad(a, type) {
    a.only('mode', 0, 'constant')
    return { type: 'Pad', paddings: a.integers('paddings', 2 * type.shape.length), value: a.number('val', 0) }
  },
}

function readPool(a: Attributes): Pick<OpOf<'MaxPool'>, 'kernel' | 'strides' | 'pads'> {
  a.only('do_relu', false)
  return { kernel: a.pair('kernel_shape'), strides: a.pair('strides'), pads: a.pads('pads') }
}

/** Older vendor files have no `ends`, the result's shape tells them; newer ones count ends from the back or far beyond. */
function readSlice(
  a: Attributes,
  shape: readonly number[],
  inputShape: readonly number[],
): Pick<OpOf<'Slice'>, 'offsets' | 'steps' | 'ends'> {
  const rank = shape.length
  const offsets = a.integers('offset', rank)
  const steps = a.integers('steps', rank)
  if (!a.has('ends')) return { offsets, steps, ends: offsets.map((at, i) => at + (shape[i]! - 1) * steps[i]! + 1) }
  const ends = a.integers('ends', rank).map((end, i) => {
    const size = inputShape[i] ?? 0
    return end < 0 ? end + size : Math.min(end, size)
  })
  return { offsets, steps, ends }
}

function readPreprocess(a: Attributes): Preprocess {
  return {
    pixelFormat: a.oneOf('pixel_format', ['rgb', 'bgr', 'gray']),
    mean: a.numbers('mean'),
    scale: a.numbers('scale'),
    keepAspectRatio: a.flag('keep_aspect_ratio', false),
    padValue: a.integer('pad_value', 0),
    padType: a.oneOf('pad_type', ['center', 'normal']),
  }
}
