/**
 * Functions of single elements, PRelu, Sub, Div, Min and Max on the chip. 8 bit: what the executor gives, byte for byte. fp32
 * functions: within a stated distance of the truth. 16 bit: that, rounded once.
 */
import { describe, expect, test } from 'vitest'
import type { FunctionOp, Tensor } from '../../src/ir/graph.js'
import type { QOp, QType, QWeight } from '../../src/quantize/qgraph.js'
import { type FloatKind, roundTo } from '../../src/quantize/rounding.js'
import { i8, u8 } from '../quantize/build.js'
import { truthOf } from '../quantize/functions.js'
import { int, integers, random } from '../quantize/reference.js'
import { cmodelChip, hasCModel, machineChip } from './chips.js'
import { type Chip, computed, executed, feedsOf, type Rows, rowsOf, type Spec } from './kernel-rig.js'

const next = random(31)
const f32: QType = { kind: 'f32' }
const f16: QType = { kind: 'f16' }
const bf16: QType = { kind: 'bf16' }
const floats = [f32, f16, bf16] as const
/** One unit in the last place, relative. */
const unit = { f32: 2 ** -23, f16: 2 ** -10, bf16: 2 ** -7 } as const

const shapes = [
  [1, 1, 1, 1],
  [1, 65, 13, 11],
  [4, 130, 3, 5],
  [3, 7],
  [2, 67, 9],
]

const plain = (op: QOp, shape: readonly number[], type: QType): Spec => ({
  op,
  inputs: { x: { shape, type } },
  shape,
  type,
})

interface Measured {
  readonly op: FunctionOp
  /** Operands are drawn from here, and some from its ends. */
  readonly from: number
  readonly to: number
  /** fp32: error <= relative * |y| + absolute. */
  readonly relative: number
  readonly absolute: number
}

const measured: readonly Measured[] = [
  { op: { type: 'Abs' }, from: -1e30, to: 1e30, relative: 0, absolute: 0 },
  { op: { type: 'Ceil' }, from: -40, to: 40, relative: 0, absolute: 0 },
  { op: { type: 'Floor' }, from: -40, to: 40, relative: 0, absolute: 0 },
  { op: { type: 'Round' }, from: -40, to: 40, relative: 0, absolute: 0 },
  { op: { type: 'Clip', min: -1.5, max: 0.75 }, from: -4, to: 4, relative: 0, absolute: 0 },
  { op: { type: 'HardSigmoid', alpha: 0.2, beta: 0.5 }, from: -6, to: 6, relative: 2e-7, absolute: 1e-7 },
  { op: { type: 'HardSwish' }, from: -8, to: 8, relative: 4e-7, absolute: 3e-7 },
  { op: { type: 'Elu', alpha: 1.25 }, from: -30, to: 30, relative: 1e-6, absolute: 1e-6 },
  { op: { type: 'Elu', alpha: 1 }, from: -1000, to: 1000, relative: 1e-6, absolute: 1e-6 },
  { op: { type: 'Erf' }, from: -5, to: 5, relative: 0, absolute: 2e-6 },
  { op: { type: 'Exp' }, from: -8, to: 8, relative: 2e-6, absolute: 0 },
  { op: { type: 'Exp' }, from: -80, to: 80, relative: 1e-5, absolute: 0 },
  { op: { type: 'GELU', approximation: 'none' }, from: -8, to: 8, relative: 1e-6, absolute: 1e-6 },
  { op: { type: 'GELU', approximation: 'none' }, from: -1e4, to: 1e4, relative: 1e-6, absolute: 1e-6 },
  { op: { type: 'GELU', approximation: 'tanh' }, from: -8, to: 8, relative: 1e-5, absolute: 1e-6 },
  { op: { type: 'Log' }, from: 0.01, to: 4, relative: 1e-6, absolute: 3e-7 },
  { op: { type: 'Log' }, from: 1e-30, to: 1e30, relative: 1e-6, absolute: 0 },
  { op: { type: 'Mish' }, from: -12, to: 12, relative: 1e-5, absolute: 1e-6 },
  { op: { type: 'Mish' }, from: -1e4, to: 1e4, relative: 1e-5, absolute: 1e-6 },
  { op: { type: 'Pow', exponent: 2 }, from: -9, to: 9, relative: 2e-7, absolute: 0 },
  { op: { type: 'Pow', exponent: 3 }, from: -9, to: 9, relative: 4e-7, absolute: 0 },
  { op: { type: 'Pow', exponent: -2 }, from: 0.1, to: 9, relative: 2e-6, absolute: 0 },
  { op: { type: 'Pow', exponent: 0.75 }, from: 0.01, to: 90, relative: 1e-5, absolute: 0 },
  { op: { type: 'Reciprocal' }, from: 0.1, to: 90, relative: 1e-6, absolute: 0 },
  { op: { type: 'Reciprocal' }, from: -90, to: -0.1, relative: 1e-6, absolute: 0 },
  { op: { type: 'SiLU' }, from: -12, to: 12, relative: 1e-5, absolute: 0 },
  { op: { type: 'Sigmoid' }, from: -12, to: 12, relative: 1e-5, absolute: 0 },
  { op: { type: 'Softplus' }, from: -12, to: 12, relative: 1e-6, absolute: 1e-6 },
  { op: { type: 'Softplus' }, from: -1e4, to: 1e4, relative: 1e-6, absolute: 1e-6 },
  { op: { type: 'Softsign' }, from: -12, to: 12, relative: 1e-6, absolute: 0 },
  { op: { type: 'Sqrt' }, from: 0, to: 90, relative: 1e-6, absolute: 0 },
  { op: { type: 'Tanh' }, from: -4, to: 4, relative: 0, absolute: 1e-6 },
  { op: { type: 'Tanh' }, from: -1e4, to: 1e4, relative: 0, absolute: 1e-6 },
]

const story = ({ op, from, to }: Measured): string => `${JSON.stringify(op)} from ${from} to ${to}`

async function measure(chip: Chip, one: Measured, shape: readonly number[], type: QType): Promise<void> {
  const kind = type.kind as FloatKind
  const { op, from, to } = one
  const draw = (): number => {
    const pick = next()
    return pick < 0.05 ? from : pick < 0.1 ? to : from + next() * (to - from)
  }
  const size = shape.reduce((a, b) => a * b, 1)
  const data = Float32Array.from({ length: size }, () => roundTo(kind, draw()))
  const y = computed(chip, plain(op, shape, type), { x: { shape, data } })
  const truth = truthOf(op)
  const wrong = [...data].flatMap((x, i) => {
    const want = truth(x)
    const got = y.data[i]!
    // Beyond the type's range it is infinite, as the rounded truth.
    if (got === roundTo(kind, want)) return []
    const rounding = kind === 'f32' ? 0 : unit[kind] * Math.abs(want) + (kind === 'f16' ? 2 ** -24 : 0)
    return Math.abs(got - want) <= one.relative * Math.abs(want) + one.absolute + rounding ? [] : [{ x, got, want }]
  })
  expect(wrong.slice(0, 4), `${wrong.length} of ${size}`).toEqual([])
}

const noRelu = { relu: false, reluLimit: -1 } as const
const real = (): number => (next() + next() + next() - 1.5) * 2

function floatWeight(shape: readonly number[], { kind }: QType, positive = false): QWeight {
  const size = shape.reduce((a, b) => a * b, 1)
  const one = (): number => (positive ? Math.abs(real()) + 0.1 : real())
  return {
    shape,
    kind: kind as FloatKind,
    data: Float32Array.from({ length: size }, () => roundTo(kind as FloatKind, one())),
  }
}

const pair = (op: QOp, a: readonly number[], b: readonly number[], shape: readonly number[], type: QType): Spec => ({
  op,
  inputs: { a: { shape: a, type }, b: { shape: b, type } },
  shape,
  type,
})

const withConstant = (op: QOp, shape: readonly number[], c: QWeight, type: QType, first = false): Spec => ({
  ...plain(op, shape, type),
  weights: { c },
  operands: first ? ['c', 'x'] : ['x', 'c'],
})

type Case = [story: string, spec: Spec, relative?: number, rows?: Rows]

const wide = [2, 70, 5, 6]
const floatCases: Case[] = [
  ...floats.flatMap((type): Case[] => [
    [`${type.kind} sub`, pair({ type: 'Sub', ...noRelu }, wide, wide, wide, type)],
    [`${type.kind} sub, one row`, pair({ type: 'Sub', ...noRelu }, wide, [1, 1, 5, 1], wide, type)],
    [`${type.kind} sub from one per channel`, pair({ type: 'Sub', ...noRelu }, [2, 70, 1, 1], wide, wide, type)],
    [`${type.kind} sub, relu 1`, pair({ type: 'Sub', relu: true, reluLimit: 1 }, wide, wide, wide, type)],
    [
      `${type.kind} sub from a constant`,
      withConstant({ type: 'Sub', ...noRelu }, wide, floatWeight([70, 1, 1], type), type, true),
    ],
    [`${type.kind} min`, pair({ type: 'Min' }, wide, wide, wide, type)],
    [`${type.kind} max, spread`, pair({ type: 'Max' }, wide, [1, 1, 5, 1], wide, type)],
    [`${type.kind} max with a constant`, withConstant({ type: 'Max' }, [3, 70], floatWeight([70], type), type)],
    [`${type.kind} prelu`, withConstant({ type: 'PRelu' }, wide, floatWeight([1, 70, 1, 1], type), type)],
    [`${type.kind} prelu of rows`, withConstant({ type: 'PRelu' }, [2, 70, 9], floatWeight([1, 70, 1], type), type)],
    [`${type.kind} prelu of vectors`, withConstant({ type: 'PRelu' }, [5, 130], floatWeight([1, 130], type), type)],
  ]),
  [
    'prelu, rows in the middle',
    withConstant({ type: 'PRelu' }, wide, floatWeight([1, 70, 1, 1], f32), f32),
    0,
    { output: [1, 4], inputs: [[1, 4]], padTop: 0, padBottom: 0 },
  ],
  [
    'max of three',
    {
      op: { type: 'Max' },
      inputs: { a: { shape: wide, type: f32 }, b: { shape: wide, type: f32 }, c: { shape: [1], type: f32 } },
      shape: wide,
      type: f32,
    },
  ],
  ['div by a constant', withConstant({ type: 'Div', ...noRelu }, wide, floatWeight([70, 1, 1], f32, true), f32), 1e-6],
]

const intWeight = (shape: readonly number[], kind: 'i8' | 'u8'): QWeight => {
  const { data } = integers(next, shape, kind === 'i8' ? -128 : 0, kind === 'i8' ? 127 : 255)
  return { shape, kind, data: kind === 'i8' ? Int8Array.from(data) : Uint8Array.from(data) }
}

const requants = [
  { multiplier: 67, shift: 7 },
  { multiplier: 101, shift: 6 },
] as const
const same = { multiplier: 1, shift: 0 }

function difference(
  types: readonly [QType, QType, QType],
  more: Partial<Extract<QOp, { type: 'SubInt' }>> = {},
  b = [2, 65, 9, 11],
): Spec {
  const shape = [2, 65, 9, 11]
  return {
    op: { type: 'SubInt', requants, relu: false, ...more },
    inputs: { a: { shape, type: types[0] }, b: { shape: b, type: types[1] } },
    shape,
    type: types[2],
  }
}

const intCases: Case[] = [
  ['sub', difference([i8, i8, i8])],
  ['sub to unsigned', difference([i8, u8, u8])],
  ['sub of unsigned', difference([u8, u8, i8])],
  ['sub of unsigned to unsigned, relu', difference([u8, u8, u8], { relu: true })],
  ['sub, relu', difference([i8, i8, i8], { relu: true })],
  ['sub at equal scales', difference([i8, i8, i8], { requants: [same, same] })],
  ['sub at equal scales to unsigned', difference([u8, i8, u8], { requants: [same, same] })],
  ['sub at the largest factors', difference([u8, u8, i8], { requants: [{ multiplier: 126, shift: 0 }, same] })],
  ['sub one per channel', difference([i8, u8, i8], {}, [2, 65, 1, 1])],
  ['sub one plane', difference([i8, i8, i8], {}, [1, 1, 9, 11])],
  [
    'sub from a constant',
    withConstant({ type: 'SubInt', requants, relu: false }, wide, intWeight([70, 1, 1], 'u8'), i8, true),
  ],
  ['sub a constant', withConstant({ type: 'SubInt', requants, relu: false }, [3, 5], intWeight([5], 'i8'), u8)],
  ['min', pair({ type: 'Min' }, wide, wide, wide, i8)],
  ['max', pair({ type: 'Max' }, wide, wide, wide, u8)],
  ['max, spread', pair({ type: 'Max' }, wide, [1, 1, 5, 1], wide, i8)],
  ['min with a constant', withConstant({ type: 'Min' }, wide, intWeight([70, 1, 1], 'i8'), i8)],
  ['max with an unsigned constant', withConstant({ type: 'Max' }, [1, 3, 9], intWeight([9], 'u8'), u8)],
  ...[0, 3, 7, 12, 31].map(
    (shift): Case => [
      `prelu by 2^-${shift}`,
      withConstant({ type: 'PReluInt', shift }, [2, 130, 9, 7], intWeight([1, 130, 1, 1], 'i8'), i8),
    ],
  ),
  ['prelu of unsigned', withConstant({ type: 'PReluInt', shift: 7 }, wide, intWeight([1, 70, 1, 1], 'i8'), u8)],
  ['prelu of vectors', withConstant({ type: 'PReluInt', shift: 7 }, [5, 70], intWeight([1, 70], 'i8'), i8)],
]

async function near(chip: Chip, spec: Spec, relative = 0, rows?: Rows): Promise<void> {
  const fed = Object.fromEntries(
    Object.entries(spec.inputs).map(([name, { shape, type }]): [string, Tensor] => {
      if (type.kind === 'i8' || type.kind === 'u8') return [name, feedsOf(spec, next)[name]!]
      const size = shape.reduce((a, b) => a * b, 1)
      const one = (): number => (next() < 0.2 ? int(next, -12, 12) / 2 : real())
      return [name, { shape, data: Float32Array.from({ length: size }, () => roundTo(type.kind as FloatKind, one())) }]
    }),
  )
  const want = await executed(spec, fed)
  const { data } = computed(chip, spec, fed, rows)
  const expected = rows === undefined ? want.data : rowsOf(want, rows.output).data
  expect(data.length).toBe(expected.length)
  const wrong = [...expected].flatMap((value, i) =>
    Math.abs(data[i]! - value) <= relative * Math.abs(value) ? [] : [{ i, got: data[i], want: value }],
  )
  expect(wrong.slice(0, 4), `${wrong.length} of ${expected.length}`).toEqual([])
  expect(new Set(expected).size, 'a result that says something').toBeGreaterThan(4)
}

function all(chip: () => Chip | Promise<Chip>): void {
  for (const one of measured)
    test(story(one), async () => {
      for (const shape of shapes) await measure(await chip(), one, shape, f32)
      await measure(await chip(), one, [2, 67, 3, 5], f16)
      await measure(await chip(), one, [1, 3, 21, 5], bf16)
    })
  test('a plane that takes several pieces', async () => {
    for (const type of floats) await measure(await chip(), measured[18]!, [1, 3, 80, 80], type)
  })
  for (const [story, spec, relative, rows] of [...floatCases, ...intCases])
    test(story, async () => near(await chip(), spec, relative, rows))
}

describe('on the machine', () => {
  const chip = machineChip()
  all(() => chip)
})

describe.skipIf(!hasCModel)('on the C-model', () => all(cmodelChip))
