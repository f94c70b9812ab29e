/**
 * The ops of the Tpu dialect and their attributes, both ways. Integer and float ops share a name; which one is meant shows in the
 * result's type: 8 bit is integer. What Tpu shares with Top is written as in Top (`ir/top/ops.ts`).
 *
 * `tpu.Conv2D` carries multiplier and rshift per output channel, `tpu.MatMul` lists of one, `tpu.Add` and `tpu.Sub` lists of one per
 * operand, `tpu.PRelu` one rshift for its int8 slopes, the others a pair (`multiplier = 51 : si32, rshift = 9 : i64`). Functions of
 * single elements are `tpu.Active` with a mode, and `coeffs` where they have parameters; in 8 bit they are all `tpu.Lut`. Attributes
 * that the chip's tools want but that never vary here (weight layouts) have fixed values. `tpu.Spread` and `tpu.Sum` are ours: the vendor's
 * tools compute sums with zero points in float.
 */
import type { FunctionOp, OpOf } from '../../ir/graph.js'
import type { Attributes } from '../../ir/mlir/attributes.js'
import type { TensorType } from '../../ir/mlir/parse.js'
import { doubles, i64, integers, si32 } from '../../ir/mlir/print.js'
import { argMax, isOpType, OPERANDS, type Printed, pool, READ, relu, writeAttributes } from '../../ir/top/ops.js'
import type { QOp, Requant } from '../qgraph.js'

const MULTIPLIER_SHIFT = '#tpu<rq_mode MultiplierShift>'

/** An op's name and its attributes as they are printed. */
export function writeTpuOp(op: QOp, shape: readonly number[], operands: number): [name: string, attributes: Printed] {
  const mode = activeMode(op)
  if (mode !== undefined) return ['tpu.Active', { mode: `#tpu<active_mode ${mode}>`, ...coefficients(op) }]
  switch (op.type) {
    case 'Input':
      return ['top.Input', writeAttributes(op, shape)]
    case 'Cast':
    case 'Lut':
      return [`tpu.${op.type}`, {}]
    case 'Conv':
      return ['tpu.Conv2D', { ...writeAttributes(op, shape), ...convolution(operands) }]
    case 'ConvInt': {
      const plain: OpOf<'Conv'> = { ...op, type: 'Conv', reluLimit: -1 }
      const requant = { multiplier: integers(op.multipliers), rshift: integers(op.shifts) }
      return ['tpu.Conv2D', { ...writeAttributes(plain, shape), ...convolution(operands), ...requant }]
    }
    case 'MatMul':
      return ['tpu.MatMul', { ...writeAttributes(op, shape), ...product }]
    case 'MatMulInt': {
      const { rightTranspose, requant } = op
      return ['tpu.MatMul', { right_transpose: `${rightTranspose}`, ...reluOf(op), ...product, ...listsOf([requant]) }]
    }
    case 'LeakyReluInt':
      return ['tpu.LeakyRelu', pairOf(op.requant)]
    case 'ReluInt':
      return ['tpu.Relu', writeAttributes({ type: 'Relu', limit: -1 }, shape)]
    case 'AddInt':
      return ['tpu.Add', { ...reluOf(op), ...listsOf(op.requants) }]
    case 'MulInt':
      return ['tpu.Mul', { ...reluOf(op), ...pairOf(op.requant) }]
    case 'MulShift':
      return ['tpu.MulShift', pairOf(op.requant)]
    case 'SumInt':
      return ['tpu.Sum', { ...reluOf(op), ...listsOf(op.requants) }]
    case 'Spread':
      return ['tpu.Spread', { scale_h: i64(op.scaleH), scale_w: i64(op.scaleW) }]
    case 'ArgMax':
      return ['tpu.Arg', argMax(op.axis, true)]
    case 'MaxPool':
      return ['tpu.Pool2D', { ...writeAttributes(op, shape), pool_mode: '#tpu<pool_mode Max>' }]
    case 'AvgPool':
      return ['tpu.Pool2D', { ...writeAttributes(op, shape), pool_mode: '#tpu<pool_mode Avg>' }]
    case 'AvgPoolInt':
      return ['tpu.Pool2D', { ...pool(op, true), ...pairOf(op.requant), pool_mode: '#tpu<pool_mode Avg>' }]
    case 'SubInt':
      return ['tpu.Sub', { is_reverse: 'false', ...reluOf(op), ...listsOf(op.requants) }]
    case 'PReluInt':
      return ['tpu.PRelu', { rshift: i64(op.shift) }]
    case 'Concat':
      return ['tpu.Concat', { ...writeAttributes(op, shape), only_merge: 'false' }]
    default:
      return [`tpu.${op.type}`, writeAttributes(op, shape)]
  }
}

const reluOf = (op: { readonly relu: boolean }): Printed => relu({ relu: op.relu, reluLimit: -1 })
const pairOf = ({ multiplier, shift }: Requant): Printed => ({ multiplier: si32(multiplier), rshift: i64(shift) })

const listsOf = (requants: readonly Requant[]): Printed => ({
  multipliers: integers(requants.map(({ multiplier }) => multiplier)),
  rshifts: integers(requants.map(({ shift }) => shift)),
})

const product: Printed = { input_zp: i64(0), right_zp: i64(0), quant_mode: MULTIPLIER_SHIFT }
const convolution = (operands: number): Printed => ({
  coeff_merged: 'false',
  kernel_zp: i64(0),
  quant_mode: MULTIPLIER_SHIFT,
  use_3ic_optimize: i64(0),
  with_bias: `${operands > 2}`,
})

/** How many operands an op takes. */
export function operandsOf(type: QOp['type']): readonly [least: number, most: number] {
  if (type === 'Lut') return [2, 2]
  if (type === 'SumInt') return [1, OPERANDS.Add[1]]
  const float = type.replace(/Int$/, '')
  return isOpType(float) ? OPERANDS[float] : [1, 1]
}

/**
 * The op that a line describes, undefined for a name that is not known. `type` is the result's: 8 bit makes it an integer op.
 */
export function readTpuOp(
  name: string,
  a: Attributes,
  type: TensorType,
  inputs: readonly TensorType[],
): QOp | undefined {
  const int = type.quant !== undefined
  const [input] = inputs
  switch (name) {
    case 'top.Input':
      return READ.Input(a, type, input)
    case 'tpu.Cast':
      return { type: 'Cast' }
    case 'tpu.Lut':
      return { type: 'Lut' }
    case 'tpu.Conv2D': {
      const conv = READ.Conv(a, type, input)
      if (!int) return conv
      a.only('kernel_zp', 0)
      const { reluLimit: _, ...rest } = conv
      const channels = type.shape[1] ?? 0
      const requants = { multipliers: a.integers('multiplier', channels), shifts: a.integers('rshift', channels) }
      return { ...rest, type: 'ConvInt', ...requants }
    }
    case 'tpu.MatMul': {
      const product = READ.MatMul(a, type, input)
      if (!int) return product
      a.only('input_zp', 0)
      a.only('right_zp', 0)
      const { relu, rightTranspose } = product
      return { type: 'MatMulInt', relu, rightTranspose, requant: readRequants(a, 1)[0]! }
    }
    case 'tpu.LeakyRelu':
      return int ? { type: 'LeakyReluInt', requant: readPair(a) } : READ.LeakyRelu(a, type, input)
    case 'tpu.Relu':
      return int ? { type: 'ReluInt' } : READ.Relu(a, type, input)
    case 'tpu.Add':
      if (!int) return READ.Add(a, type, input)
      return { type: 'AddInt', requants: readRequants(a, inputs.length), relu: a.relu().relu }
    case 'tpu.Mul':
      if (!int) return READ.Mul(a, type, input)
      return { type: 'MulInt', requant: readPair(a), relu: a.relu().relu }
    case 'tpu.MulShift':
      return { type: 'MulShift', requant: readPair(a) }
    case 'tpu.Pool2D': {
      if (a.oneOf('pool_mode', ['Max', 'Avg']) === 'Max') return READ.MaxPool(a, type, input)
      const average = READ.AvgPool(a, type, input)
      if (!int) return average
      const { countIncludePad: _, ...rest } = average
      return { ...rest, type: 'AvgPoolInt', requant: readPair(a) }
    }
    case 'tpu.Active':
      return readActive(a)
    case 'tpu.Clip':
      return READ.Clip(a, type, input)
    case 'tpu.Pow':
      return READ.Pow(a, type, input)
    case 'tpu.Reciprocal':
      return READ.Reciprocal(a, type, input)
    case 'tpu.PRelu':
      return int ? { type: 'PReluInt', shift: a.integer('rshift') } : READ.PRelu(a, type, input)
    case 'tpu.Sub': {
      if (!int) return READ.Sub(a, type, input)
      a.only('is_reverse', false)
      const [left, right] = readRequants(a, 2) as [Requant, Requant]
      return { type: 'SubInt', requants: [left, right], relu: a.relu().relu }
    }
    case 'tpu.Div':
      return READ.Div(a, type, input)
    case 'tpu.Min':
      return READ.Min(a, type, input)
    case 'tpu.Max':
      return READ.Max(a, type, input)
    case 'tpu.Scale':
      return READ.Scale(a, type, input)
    case 'tpu.Softmax':
      return READ.Softmax(a, type, input)
    case 'tpu.Arg': {
      a.only('keepdims', true)
      const { axis } = READ.ArgMax(a, type, input)
      return { type: 'ArgMax', axis, length: input?.shape[axis] ?? 0 }
    }
    case 'tpu.Concat':
      return READ.Concat(a, type, input)
    case 'tpu.Upsample':
      return READ.Upsample(a, type, input)
    case 'tpu.Sum':
      return { type: 'SumInt', requants: readRequants(a, inputs.length), relu: a.relu().relu }
    case 'tpu.Spread':
      return { type: 'Spread', scaleH: a.integer('scale_h'), scaleW: a.integer('scale_w') }
    case 'tpu.Permute':
      return READ.Permute(a, type, input)
    case 'tpu.Reshape':
      return READ.Reshape(a, type, input)
    case 'tpu.Slice':
      return READ.Slice(a, type, input)
    case 'tpu.Pad':
      return READ.Pad(a, type, input)
    default:
      return undefined
  }
}

/** Functions without parameters, and what the vendor calls them. */
const MODES = {
  Abs: 'ABSVAL',
  Ceil: 'CEIL',
  Erf: 'ERF',
  Exp: 'EXP',
  Floor: 'FLOOR',
  HardSwish: 'HSWISH',
  Log: 'LN',
  Mish: 'MISH',
  Round: 'ROUND',
  SiLU: 'SILU',
  Sigmoid: 'SIGMOID',
  Softplus: 'SOFT_PLUS',
  Softsign: 'SOFT_SIGN',
  Sqrt: 'SQRT',
  Tanh: 'TANH',
} as const

const isMode = (type: string): type is keyof typeof MODES => Object.hasOwn(MODES, type)

function activeMode(op: QOp): string | undefined {
  if (op.type === 'Elu') return 'ELU'
  if (op.type === 'HardSigmoid') return 'HSIGMOID'
  if (op.type === 'GELU') return op.approximation === 'none' ? 'GELU' : 'TGELU'
  return isMode(op.type) ? MODES[op.type] : undefined
}

function coefficients(op: QOp): Printed {
  if (op.type === 'Elu') return { coeffs: doubles([op.alpha]) }
  return op.type === 'HardSigmoid' ? { coeffs: doubles([op.beta, op.alpha]) } : {}
}

function readActive(a: Attributes): FunctionOp {
  const plain = Object.keys(MODES) as (keyof typeof MODES)[]
  const mode = a.oneOf('mode', ['ELU', 'HSIGMOID', 'GELU', 'TGELU', ...plain.map((type) => MODES[type])])
  const coefficient = (i: number): number => a.numbers('coeffs')[i] ?? Number.NaN
  switch (mode) {
    case 'ELU':
      return { type: 'Elu', alpha: coefficient(0) }
    case 'HSIGMOID':
      return { type: 'HardSigmoid', beta: coefficient(0), alpha: coefficient(1) }
    case 'GELU':
    case 'TGELU':
      return { type: 'GELU', approximation: mode === 'GELU' ? 'none' : 'tanh' }
    default:
      return { type: plain.find((type) => MODES[type] === mode)! }
  }
}

const readPair = (a: Attributes): Requant => ({ multiplier: a.integer('multiplier'), shift: a.integer('rshift') })

function readRequants(a: Attributes, count: number): Requant[] {
  const shifts = a.integers('rshifts', count)
  return a.integers('multipliers', count).map((multiplier, i) => ({ multiplier, shift: shifts[i]! }))
}
