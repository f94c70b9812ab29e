/**
 * Float kernels stay within a stated distance of the executor: fp32 sums differ in their order, 16-bit layers round once more than
 * it does, quotients and exponentials are approximations.
 */
import { describe, expect, test } from 'vitest'
import type { Tensor } from '../../src/ir/graph.js'
import type { QOp, QType, QWeight } from '../../src/quantize/qgraph.js'
import { type FloatKind, roundTo } from '../../src/quantize/rounding.js'
import { i8, u8 } from '../quantize/build.js'
import { int, random } from '../quantize/reference.js'
import { cmodelChip, hasCModel, machineChip } from './chips.js'
import { type Chip, computed, executed, feedsOf, type Rows, rowsOf, type Spec } from './kernel-rig.js'

/** How far a result may be off: a part of itself, and where sums cancel a part of the largest result. */
interface Bound {
  readonly relative: number
  readonly ofLargest?: number
  /** The truth, where the executor itself is an approximation. */
  readonly exactly?: (x: number) => number
}

type Case = [story: string, spec: Spec, bound: Bound, rows?: Rows]

const next = random(11)
const f32: QType = { kind: 'f32' }
const f16: QType = { kind: 'f16' }
const bf16: QType = { kind: 'bf16' }

const exact: Bound = { relative: 0 }
/** One unit in the last place of each type, relative. */
const unit = { f32: 2 ** -23, f16: 2 ** -10, bf16: 2 ** -7, i8: 0, u8: 0 } as const
/** Sums of some hundred products. */
const sums = (type: QType): Bound => ({ relative: unit[type.kind], ofLargest: 1e-5 })

const real = (): number => (next() + next() + next() - 1.5) * 2

function weight(shape: readonly number[], { kind }: QType): QWeight {
  const size = shape.reduce((a, b) => a * b, 1)
  const data = Float32Array.from({ length: size }, () => roundTo(kind as FloatKind, real()))
  return { shape, kind: kind as FloatKind, data }
}

function conv([n, ic, h, w]: readonly number[], oc: number, type: QType, more: Record<string, unknown> = {}): Spec {
  const options = {
    kernel: [3, 3],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [1, 1, 1, 1],
    group: 1,
    relu: false,
    reluLimit: -1,
    ...more,
  }
  const { kernel, strides, dilations, pads, group } = options as {
    [key in 'kernel' | 'strides' | 'dilations' | 'pads']: number[]
  } & { group: number }
  const out = (size: number, axis: number): number =>
    Math.floor((size + pads[axis]! + pads[axis + 2]! - dilations[axis]! * (kernel[axis]! - 1) - 1) / strides[axis]!) + 1
  return {
    op: { type: 'Conv', ...options } as unknown as QOp,
    inputs: { x: { shape: [n!, ic!, h!, w!], type } },
    weights: { filter: weight([oc, ic! / group, kernel[0]!, kernel[1]!], type), bias: weight([oc], f32) },
    shape: [n!, oc, out(h!, 0), out(w!, 1)],
    type,
  }
}

const plain = (op: unknown, shape: readonly number[], type: QType, to: QType = type, out = shape): Spec => ({
  op: op as QOp,
  inputs: { x: { shape, type } },
  shape: out,
  type: to,
})

const convs: Case[] = [f32, f16, bf16].flatMap((type): Case[] => {
  const { kind } = type
  return [
    [`${kind} conv of a picture`, conv([1, 3, 17, 31], 16, type), sums(type)],
    [`${kind} 63 in, 65 out`, conv([1, 63, 9, 7], 65, type, { relu: true }), sums(type)],
    [`${kind} 255 out, a point`, conv([1, 65, 7, 6], 255, type, { kernel: [1, 1], pads: [0, 0, 0, 0] }), sums(type)],
    [`${kind} a batch of four, stride 2`, conv([4, 130, 8, 9], 70, type, { strides: [2, 2] }), sums(type)],
    [`${kind} relu 6`, conv([1, 20, 8, 9], 70, type, { relu: true, reluLimit: 6 }), sums(type)],
    [`${kind} depthwise`, conv([2, 130, 11, 12], 130, type, { group: 130 }), sums(type)],
    [`${kind} groups`, conv([2, 96, 8, 9], 160, type, { group: 4 }), sums(type)],
    [
      `${kind} rows`,
      conv([1, 20, 16, 9], 24, type, { strides: [2, 1] }),
      sums(type),
      { output: [3, 6], inputs: [[5, 12]], padTop: 0, padBottom: 0 },
    ],
    [
      `${kind} average`,
      plain(
        {
          type: 'AvgPool',
          kernel: [3, 3],
          strides: [2, 2],
          pads: [0, 0, 0, 0],
          countIncludePad: false,
          keepDims: true,
        },
        [2, 70, 9, 11],
        type,
        type,
        [2, 70, 4, 5],
      ),
      sums(type),
    ],
    [
      `${kind} average, padded`,
      plain(
        { type: 'AvgPool', kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], countIncludePad: true, keepDims: true },
        [1, 70, 9, 11],
        type,
      ),
      sums(type),
    ],
    [
      `${kind} average without padding`,
      plain(
        {
          type: 'AvgPool',
          kernel: [3, 3],
          strides: [2, 2],
          pads: [1, 1, 1, 1],
          countIncludePad: false,
          keepDims: true,
        },
        [1, 70, 9, 12],
        type,
        type,
        [1, 70, 5, 6],
      ),
      sums(type),
    ],
    [
      `${kind} average of the plane`,
      plain(
        {
          type: 'AvgPool',
          kernel: [20, 20],
          strides: [20, 20],
          pads: [0, 0, 0, 0],
          countIncludePad: true,
          keepDims: false,
        },
        [1, 70, 20, 20],
        type,
        type,
        [1, 70],
      ),
      sums(type),
    ],
    [
      `${kind} max pool`,
      plain(
        { type: 'MaxPool', kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
        [1, 70, 9, 12],
        type,
        type,
        [1, 70, 5, 6],
      ),
      exact,
    ],
    [
      `${kind} upsample`,
      plain({ type: 'Upsample', scaleH: 2, scaleW: 2 }, [1, 70, 9, 12], type, type, [1, 70, 18, 24]),
      exact,
    ],
    [`${kind} relu`, plain({ type: 'Relu', limit: -1 }, [1, 70, 9, 12], type), exact],
    [`${kind} relu 2`, plain({ type: 'Relu', limit: 2 }, [1, 70, 9, 12], type), exact],
    [`${kind} leaky relu`, plain({ type: 'LeakyRelu', alpha: 0.1 }, [1, 70, 9, 12], type), { relative: unit[kind] }],
    [
      `${kind} steep leaky relu`,
      plain({ type: 'LeakyRelu', alpha: 1.5 }, [1, 70, 9, 12], type),
      { relative: unit[kind] },
    ],
    [
      `${kind} scale`,
      {
        ...plain({ type: 'Scale', relu: true, reluLimit: -1 }, [2, 70, 9, 12], type),
        weights: { s: weight([70], type), b: weight([70], type) },
      },
      { relative: unit[kind], ofLargest: unit[kind] / 2 },
    ],
    [
      `${kind} add`,
      {
        op: { type: 'Add', relu: false, reluLimit: -1 },
        inputs: { a: { shape: [2, 70, 5, 6], type }, b: { shape: [1, 1, 5, 1], type } },
        shape: [2, 70, 5, 6],
        type,
      },
      exact,
    ],
    [
      `${kind} mul by a constant`,
      {
        ...plain({ type: 'Mul', relu: false, reluLimit: -1 }, [1, 3, 40, 2], type),
        weights: { c: weight([3, 1, 2], type) },
      },
      exact,
    ],
    [
      `${kind} fully connected`,
      {
        ...plain({ type: 'MatMul', rightTranspose: false, relu: true, reluLimit: -1 }, [3, 130], type, type, [3, 65]),
        weights: { f: weight([130, 65], type), b: weight([65], type) },
      },
      sums(type),
    ],
    [
      `${kind} fully connected, three dimensions`,
      {
        ...plain(
          { type: 'MatMul', rightTranspose: true, relu: false, reluLimit: -1 },
          [2, 70, 96],
          type,
          type,
          [2, 70, 33],
        ),
        weights: { f: weight([33, 96], type) },
      },
      sums(type),
    ],
    [
      `${kind} concat, relu`,
      {
        op: { type: 'Concat', axis: 1, relu: true, reluLimit: -1 },
        inputs: {
          a: { shape: [2, 70, 5, 6], type },
          b: { shape: [2, 64, 5, 6], type },
          c: { shape: [2, 130, 5, 6], type },
        },
        shape: [2, 264, 5, 6],
        type,
      },
      exact,
    ],
  ]
})

const smooth: Case[] = [
  [
    'sigmoid',
    plain({ type: 'Sigmoid' }, [2, 70, 30, 41], f32),
    { relative: 1e-5, exactly: (x) => 1 / (1 + Math.exp(-x)) },
  ],
  ['sigmoid, as the executor has it', plain({ type: 'Sigmoid' }, [2, 70, 9, 9], f32), { relative: 0, ofLargest: 1e-6 }],
  ['silu', plain({ type: 'SiLU' }, [1, 130, 30, 80], f32), { relative: 1e-5, exactly: (x) => x / (1 + Math.exp(-x)) }],
  ['silu, as the executor has it', plain({ type: 'SiLU' }, [2, 70, 9, 9], f32), { relative: 1e-6, ofLargest: 1e-6 }],
  ['softmax of a vector', plain({ type: 'Softmax', axis: 1 }, [2, 300], f32), { relative: 1e-5 }],
  ['softmax along channels', plain({ type: 'Softmax', axis: 1 }, [1, 16, 4, 84], f32), { relative: 1e-5 }],
  ['softmax along columns', plain({ type: 'Softmax', axis: -1 }, [1, 70, 5, 33], f32), { relative: 1e-5 }],
  ['softmax along rows', plain({ type: 'Softmax', axis: 2 }, [1, 70, 21, 3], f32), { relative: 1e-5 }],
  ['softmax of three dimensions', plain({ type: 'Softmax', axis: 2 }, [1, 70, 21], f32), { relative: 1e-5 }],
]

const small = (scale: number): QType => ({ kind: 'i8', scale })
const casts: Case[] = [
  ...[f32, f16, bf16].flatMap((type): Case[] => [
    [`${type.kind} to i8`, plain({ type: 'Cast' }, [2, 70, 9, 11], type, small(0.013)), exact],
    [`${type.kind} to u8`, plain({ type: 'Cast' }, [2, 70, 9, 11], type, { kind: 'u8', scale: 0.007 }), exact],
    [`i8 to ${type.kind}`, plain({ type: 'Cast' }, [2, 70, 9, 11], small(0.0137), type), exact],
    [`u8 to ${type.kind}`, plain({ type: 'Cast' }, [2, 70, 9, 11], { kind: 'u8', scale: 0.0137 }, type), exact],
    ...[f32, f16, bf16].map(
      (to): Case => [`${type.kind} to ${to.kind}`, plain({ type: 'Cast' }, [1, 70, 9, 11], type, to), exact],
    ),
  ]),
  ['f16 to i8 at a tiny scale', plain({ type: 'Cast' }, [2, 70, 9, 11], f16, small(1e-6)), exact],
  ['a picture to i8', plain({ type: 'Cast' }, [1, 3, 110, 130], f32, small(0.02)), exact],
  ['a large u8 plane to f16', plain({ type: 'Cast' }, [2, 70, 90, 110], { kind: 'u8', scale: 0.0137 }, f16), exact],
  ['halves go away from zero', plain({ type: 'Cast' }, [2, 70, 9, 11], f32, small(2)), exact],
  [
    'i8 concat, relu',
    {
      op: { type: 'Concat', axis: 1, relu: true, reluLimit: -1 },
      inputs: { a: { shape: [1, 70, 3, 3], type: i8 }, b: { shape: [1, 5, 3, 3], type: i8 } },
      shape: [1, 75, 3, 3],
      type: i8,
    },
    exact,
  ],
  [
    'u8 concat along rows',
    {
      op: { type: 'Concat', axis: 2, relu: true, reluLimit: -1 },
      inputs: { a: { shape: [2, 70, 3, 3], type: u8 }, b: { shape: [2, 70, 4, 3], type: u8 } },
      shape: [2, 70, 7, 3],
      type: u8,
    },
    exact,
  ],
  [
    'i8 concat along columns',
    {
      op: { type: 'Concat', axis: 3, relu: true, reluLimit: -1 },
      inputs: { a: { shape: [2, 70, 3, 3], type: i8 }, b: { shape: [2, 70, 3, 4], type: i8 } },
      shape: [2, 70, 3, 7],
      type: i8,
    },
    exact,
  ],
  [
    'i8 concat of a batch',
    {
      op: { type: 'Concat', axis: 0, relu: true, reluLimit: -1 },
      inputs: { a: { shape: [2, 70, 3, 3], type: i8 }, b: { shape: [1, 70, 3, 3], type: i8 } },
      shape: [3, 70, 3, 3],
      type: i8,
    },
    exact,
  ],
]

function feeds(spec: Spec): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(spec.inputs).map(([name, { shape, type }]) => {
      if (type.kind === 'i8' || type.kind === 'u8') return [name, feedsOf(spec, next)[name]!]
      const size = shape.reduce((a, b) => a * b, 1)
      // Some whole numbers and halves for ties, some large ones.
      const one = (): number => (next() < 0.2 ? int(next, -12, 12) / 2 : next() < 0.05 ? real() * 15 : real())
      return [name, { shape, data: Float32Array.from({ length: size }, () => roundTo(type.kind as FloatKind, one())) }]
    }),
  )
}

async function near(chip: Chip, spec: Spec, { relative, ofLargest = 0, exactly }: Bound, rows?: Rows): Promise<void> {
  const fed = feeds(spec)
  const want = exactly === undefined ? await executed(spec, fed) : { ...fed.x!, data: fed.x!.data.map(exactly) }
  const { data } = computed(chip, spec, fed, rows)
  const expected = rows === undefined ? want.data : rowsOf(want, rows.output).data
  expect(data.length).toBe(expected.length)
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const subnormal = spec.type.kind === 'f16' && relative > 0 ? 2 ** -24 : 0
  const wrong: unknown[] = []
  for (const [i, value] of expected.entries()) {
    const got = data[i]!
    if (!(Math.abs(got - value) <= relative * Math.abs(value) + ofLargest * largest + subnormal))
      wrong.push({ i, got, want: value })
  }
  expect(wrong.slice(0, 4), `${wrong.length} of ${expected.length}`).toEqual([])
  expect(new Set(expected).size, 'a result that says something').toBeGreaterThan(4)
}

const all = [...convs, ...smooth, ...casts]

describe('on the machine', () => {
  const chip = machineChip()
  for (const [story, spec, bound, rows] of all) test(story, () => near(chip, spec, bound, rows))
})

describe.skipIf(!hasCModel)('on the C-model', () => {
  for (const [story, spec, bound, rows] of all) test(story, async () => near(await cmodelChip(), spec, bound, rows))
})
