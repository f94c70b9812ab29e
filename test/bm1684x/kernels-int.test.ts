/** 8-bit kernels give what the executor gives, byte for byte. */
import { describe, expect, test } from 'vitest'
import type { QOp, QType, QWeight } from '../../src/quantize/qgraph.js'
import { i8, u8 } from '../quantize/build.js'
import { int, integers, random } from '../quantize/reference.js'
import { cmodelChip, hasCModel, machineChip } from './chips.js'
import { type Chip, computed, executed, feedsOf, type Rows, rowsOf, type Spec } from './kernel-rig.js'

type Case = [story: string, spec: Spec, rows?: Rows]

let seed = 0
const next = random(7)

interface ConvOptions {
  readonly kernel?: readonly [number, number]
  readonly strides?: readonly [number, number]
  readonly dilations?: readonly [number, number]
  readonly pads?: readonly [number, number, number, number]
  readonly group?: number
  readonly relu?: boolean
  readonly bias?: boolean
  readonly from?: QType
  readonly to?: QType
  readonly filter?: 'i8' | 'u8'
  /** Real factors from sums to results are about this. */
  readonly factor?: number
  readonly shifts?: readonly number[]
}

function convCase([n, ic, h, w]: readonly number[], oc: number, options: ConvOptions = {}): Spec {
  const { kernel = [3, 3], strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1], group = 1 } = options
  const { relu = false, bias = true, from = i8, to = i8, filter = 'i8' } = options
  const depth = ic! / group
  const size = oc * depth * kernel[0] * kernel[1]
  const range = filter === 'i8' ? [-127, 127] : [0, 255]
  const data = integers(next, [size], range[0]!, range[1]!).data
  const shift = (): number => int(next, 28, 30)
  const shifts = options.shifts ?? Array.from({ length: oc }, shift)
  const factor = options.factor ?? 1 / Math.sqrt(depth * kernel[0] * kernel[1]) / 60
  const multipliers = shifts.map((s) => (s <= 0 ? 1 : Math.round(factor * (0.5 + next()) * 2 ** s)))
  const out = (size_: number, axis: 0 | 1): number =>
    Math.floor((size_ + pads[axis] + pads[axis + 2]! - dilations[axis] * (kernel[axis] - 1) - 1) / strides[axis]) + 1
  return {
    op: { type: 'ConvInt', kernel, strides, dilations, pads, group, relu, multipliers, shifts } as QOp,
    inputs: { x: { shape: [n!, ic!, h!, w!], type: from } },
    weights: {
      filter: {
        shape: [oc, depth, ...kernel],
        kind: filter,
        data: filter === 'i8' ? Int8Array.from(data) : Uint8Array.from(data),
      },
      ...(bias && {
        bias: { shape: [1, oc, 1, 1], kind: 'i32', data: Int32Array.from(integers(next, [oc], -9000, 9000).data) },
      }),
    },
    shape: [n!, oc, out(h!, 0), out(w!, 1)],
    type: to,
  }
}

const conv: Case[] = [
  ['three channels of a picture', convCase([1, 3, 17, 31], 16)],
  ['one channel in, one out', convCase([1, 1, 5, 5], 1)],
  ['63 channels in, 65 out', convCase([1, 63, 9, 7], 65)],
  ['64 in, 64 out, stride 2', convCase([1, 64, 12, 13], 64, { strides: [2, 2] })],
  ['65 in, 255 out, a point', convCase([1, 65, 7, 6], 255, { kernel: [1, 1], pads: [0, 0, 0, 0] })],
  ['512 in, 130 out', convCase([1, 512, 4, 5], 130)],
  ['a batch of four', convCase([4, 65, 5, 6], 70)],
  ['a batch of four that does not fit a bank', convCase([4, 20, 30, 40], 130)],
  ['a large plane', convCase([1, 8, 120, 125], 65)],
  ['dilation and uneven padding', convCase([1, 10, 15, 16], 12, { dilations: [2, 3], pads: [0, 3, 2, 1] })],
  [
    'a long kernel, long strides',
    convCase([1, 5, 40, 33], 9, { kernel: [1, 7], strides: [15, 3], pads: [0, 3, 0, 3] }),
  ],
  ['padding beyond what a command can do', convCase([1, 3, 9, 10], 4, { kernel: [21, 3], pads: [20, 16, 20, 0] })],
  ['unsigned in and out, relu', convCase([1, 20, 9, 9], 33, { from: u8, to: u8, relu: true })],
  ['relu with a signed result', convCase([1, 20, 9, 9], 33, { relu: true })],
  ['unsigned filter, no bias', convCase([1, 20, 9, 9], 33, { filter: 'u8', bias: false, factor: 0.0004 })],
  [
    'shifts to the left',
    convCase([1, 2, 6, 6], 5, { kernel: [1, 1], pads: [0, 0, 0, 0], shifts: [0, -1, -5, 3, -30] }),
  ],
  ['depthwise', convCase([1, 70, 11, 12], 70, { group: 70 })],
  ['depthwise, stride 2, a batch of four', convCase([4, 130, 11, 12], 130, { group: 130, strides: [2, 2] })],
  ['depthwise over a large plane', convCase([1, 200, 60, 66], 200, { group: 200 })],
  [
    'depthwise, no bias, unsigned',
    convCase([1, 9, 8, 8], 9, { group: 9, filter: 'u8', bias: false, from: u8, to: u8 }),
  ],
  ['two channels out for each one in', convCase([2, 40, 7, 8], 80, { group: 40 })],
  ['groups of 16', convCase([1, 96, 9, 8], 96, { group: 6 })],
  ['groups of 48 into 40', convCase([2, 192, 6, 7], 160, { group: 4 })],
  ['groups of 3 into 5', convCase([1, 45, 6, 7], 75, { group: 15 })],
  [
    'rows in the middle',
    convCase([1, 20, 16, 9], 24, { strides: [2, 1] }),
    { output: [3, 6], inputs: [[5, 12]], padTop: 0, padBottom: 0 },
  ],
  ['rows at the top', convCase([1, 20, 16, 9], 24), { output: [0, 4], inputs: [[0, 5]], padTop: 1, padBottom: 0 }],
]

const plain = (op: QOp, shape: readonly number[], from: QType, to: QType = from): Spec => ({
  op,
  inputs: { x: { shape, type: from } },
  shape,
  type: to,
})

const shapes = [
  [1, 1, 3, 5],
  [1, 65, 13, 11],
  [4, 130, 7, 9],
]

const each: Case[] = [
  ...shapes.flatMap((shape): Case[] => [
    [`leaky relu [${shape}]`, plain({ type: 'LeakyReluInt', requant: { multiplier: 102, shift: 10 } }, shape, i8)],
    [`rescale [${shape}]`, plain({ type: 'MulShift', requant: { multiplier: 93, shift: 7 } }, shape, i8)],
  ]),
  [
    'leaky relu of unsigned',
    plain({ type: 'LeakyReluInt', requant: { multiplier: 102, shift: 10 } }, [1, 5, 3, 3], u8),
  ],
  ['a steep leaky relu', plain({ type: 'LeakyReluInt', requant: { multiplier: 67, shift: 5 } }, [1, 5, 9, 9], i8)],
  ['a falling leaky relu', plain({ type: 'LeakyReluInt', requant: { multiplier: -67, shift: 6 } }, [1, 5, 9, 9], i8)],
  ['slope 1', plain({ type: 'LeakyReluInt', requant: { multiplier: 1, shift: 0 } }, [1, 5, 9, 9], i8)],
  ['relu', plain({ type: 'ReluInt' }, [1, 70, 9, 9], i8)],
  ['relu of unsigned', plain({ type: 'ReluInt' }, [1, 70, 9, 9], u8)],
  ['rescale unsigned', plain({ type: 'MulShift', requant: { multiplier: 126, shift: 5 } }, [1, 70, 9, 9], u8)],
  ['rescale to unsigned', plain({ type: 'MulShift', requant: { multiplier: 126, shift: 6 } }, [1, 70, 9, 9], i8, u8)],
  ['rescale to signed', plain({ type: 'MulShift', requant: { multiplier: 100, shift: 8 } }, [1, 70, 9, 9], u8, i8)],
  ['rescale up', plain({ type: 'MulShift', requant: { multiplier: 3, shift: -2 } }, [1, 7, 16, 16], i8)],
  [
    'rescale up to unsigned',
    plain({ type: 'MulShift', requant: { multiplier: 125, shift: -9 } }, [1, 7, 16, 16], i8, u8),
  ],
  ['rescale down to little', plain({ type: 'MulShift', requant: { multiplier: 3, shift: 9 } }, [1, 7, 5, 5], i8)],
]

function sum(
  a: readonly number[],
  b: readonly number[],
  shape: readonly number[],
  types: readonly QType[],
  more = {},
): Spec {
  const requants = [
    { multiplier: 67, shift: 7 },
    { multiplier: 101, shift: 6 },
  ]
  return {
    op: { type: 'AddInt', requants, relu: false, ...more },
    inputs: { a: { shape: a, type: types[0]! }, b: { shape: b, type: types[1]! } },
    shape,
    type: types[2]!,
  }
}

const constant = (shape: readonly number[], kind: 'i8' | 'u8'): QWeight => {
  const { data } = integers(next, shape, kind === 'i8' ? -128 : 0, kind === 'i8' ? 127 : 255)
  return { shape, kind, data: kind === 'i8' ? Int8Array.from(data) : Uint8Array.from(data) }
}

function withConstant(op: QOp, shape: readonly number[], weight: QWeight, from: QType, to: QType, first = false): Spec {
  return {
    op,
    inputs: { x: { shape, type: from } },
    weights: { c: weight },
    operands: first ? ['c', 'x'] : ['x', 'c'],
    shape,
    type: to,
  }
}

const identity = { multiplier: 1, shift: 0 }
const add = (relu = false): QOp => ({ type: 'AddInt', requants: [{ multiplier: 67, shift: 6 }, identity], relu })
const addFirst: QOp = { type: 'AddInt', requants: [identity, { multiplier: 67, shift: 6 }], relu: false }
const mul = (relu = false, shift = 12): QOp => ({ type: 'MulInt', requant: { multiplier: 97, shift }, relu })

const binary: Case[] = [
  ['add', sum([1, 65, 9, 11], [1, 65, 9, 11], [1, 65, 9, 11], [i8, i8, i8])],
  ['add, relu', sum([2, 65, 9, 11], [2, 65, 9, 11], [2, 65, 9, 11], [i8, i8, i8], { relu: true })],
  ['add to unsigned', sum([2, 65, 9, 11], [2, 65, 9, 11], [2, 65, 9, 11], [i8, u8, u8], { relu: true })],
  ['add unsigned to signed', sum([2, 65, 9, 11], [2, 65, 9, 11], [2, 65, 9, 11], [u8, u8, i8])],
  [
    'add at equal scales',
    sum([1, 65, 9, 11], [1, 65, 9, 11], [1, 65, 9, 11], [i8, i8, i8], { requants: [identity, identity] }),
  ],
  [
    'equal scales, unsigned',
    sum([1, 65, 9, 11], [1, 65, 9, 11], [1, 65, 9, 11], [i8, i8, u8], { requants: [identity, identity] }),
  ],
  ['add one per channel', sum([2, 130, 9, 11], [2, 130, 1, 1], [2, 130, 9, 11], [i8, i8, i8])],
  ['add one plane', sum([2, 130, 9, 11], [1, 1, 9, 11], [2, 130, 9, 11], [i8, i8, i8])],
  ['add one row', sum([2, 130, 9, 11], [2, 130, 1, 11], [2, 130, 9, 11], [i8, u8, i8])],
  ['outer sum', sum([1, 130, 9, 1], [2, 1, 1, 11], [2, 130, 9, 11], [i8, u8, i8])],
  ['add a constant per channel', withConstant(add(), [2, 70, 5, 6], constant([1, 70, 1, 1], 'i8'), i8, i8)],
  ['add to a constant', withConstant(addFirst, [2, 70, 5, 6], constant([70, 1, 1], 'u8'), i8, i8, true)],
  ['add a constant plane', withConstant(add(true), [2, 70, 5, 6], constant([5, 6], 'i8'), i8, i8)],
  ['add a number', withConstant(add(), [2, 70, 5, 6], constant([], 'u8'), i8, i8)],
  ['add a whole constant', withConstant(add(), [2, 70, 5, 6], constant([2, 70, 5, 6], 'i8'), i8, u8)],
  [
    'rows of a constant',
    withConstant(add(), [2, 70, 9, 6], constant([1, 70, 9, 6], 'i8'), i8, i8),
    { output: [4, 7], inputs: [[4, 7]], padTop: 0, padBottom: 0 },
  ],
  [
    'three operands',
    {
      op: {
        type: 'AddInt',
        requants: [{ multiplier: 126, shift: 0 }, { multiplier: 125, shift: 0 }, identity],
        relu: false,
      },
      inputs: {
        a: { shape: [1, 65, 3, 4], type: i8 },
        b: { shape: [1, 65, 3, 4], type: u8 },
        c: { shape: [1, 65, 3, 4], type: i8 },
      },
      shape: [1, 65, 3, 4],
      type: i8,
    },
  ],
  ['three dimensions', withConstant(add(), [2, 70, 30], constant([70, 1], 'i8'), i8, i8)],
  ['two dimensions', withConstant(add(), [4, 70], constant([70], 'i8'), i8, i8)],
  ['five dimensions', withConstant(mul(), [1, 3, 4, 5, 6], constant([1, 3, 1, 1, 6], 'i8'), i8, i8)],
  ['five dimensions, merged', withConstant(mul(), [2, 3, 4, 5, 6], constant([2, 3, 1, 5, 1], 'i8'), i8, i8)],
  ['mul', { ...sum([1, 65, 9, 11], [1, 65, 9, 11], [1, 65, 9, 11], [i8, i8, i8]), op: mul() }],
  ['mul, relu', { ...sum([1, 65, 9, 11], [1, 65, 9, 11], [1, 65, 9, 11], [i8, i8, i8]), op: mul(true) }],
  ['mul of unsigned', { ...sum([1, 65, 9, 11], [1, 65, 9, 11], [1, 65, 9, 11], [u8, u8, u8]), op: mul(false, 15) }],
  ['mul to unsigned', { ...sum([1, 65, 9, 11], [1, 65, 9, 11], [1, 65, 9, 11], [u8, i8, u8]), op: mul() }],
  ['mul by one per channel', { ...sum([2, 130, 9, 11], [2, 130, 1, 1], [2, 130, 9, 11], [u8, i8, i8]), op: mul() }],
  ['mul to the left', { ...sum([1, 9, 9, 11], [1, 9, 9, 11], [1, 9, 9, 11], [i8, i8, i8]), op: mul(false, -1) }],
  [
    'product of three unsigned',
    {
      op: { type: 'MulInt', requant: { multiplier: 126, shift: 24 }, relu: false },
      inputs: {
        a: { shape: [1, 5, 9, 9], type: u8 },
        b: { shape: [1, 5, 9, 9], type: u8 },
        c: { shape: [1, 5, 9, 9], type: u8 },
      },
      shape: [1, 5, 9, 9],
      type: u8,
    },
  ],
]

const table = (kind: 'i8' | 'u8'): Record<string, QWeight> => ({ table: constant([1, 1, 1, 256], kind) })
const lookups: Case[] = [
  ...shapes.map((shape): Case => [`table [${shape}]`, { ...plain({ type: 'Lut' }, shape, i8), weights: table('i8') }]),
  ['table of unsigned', { ...plain({ type: 'Lut' }, [1, 9, 30, 31], u8, i8), weights: table('i8') }],
  ['table to unsigned', { ...plain({ type: 'Lut' }, [1, 9, 30, 31], i8, u8), weights: table('u8') }],
  [
    'table over a plane that no command can index',
    { ...plain({ type: 'Lut' }, [1, 2, 260, 270], i8), weights: table('i8') },
  ],
]

function pooled(
  op: 'MaxPool' | 'AvgPoolInt',
  shape: readonly number[],
  to: readonly number[],
  from: QType,
  more = {},
): Spec {
  const window = { kernel: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] }
  const average = op === 'AvgPoolInt' ? { keepDims: true, requant: { multiplier: 103, shift: 9 } } : {}
  return {
    op: { type: op, ...window, ...average, ...more } as unknown as QOp,
    inputs: { x: { shape, type: from } },
    shape: to,
    type: from,
  }
}

const pools: Case[] = [
  ['max pool', pooled('MaxPool', [1, 65, 10, 12], [1, 65, 5, 6], i8)],
  ['max pool of unsigned', pooled('MaxPool', [4, 130, 10, 12], [4, 130, 5, 6], u8)],
  [
    'max pool, stride 1, padded right and below',
    pooled('MaxPool', [1, 65, 13, 13], [1, 65, 13, 13], i8, { strides: [1, 1], pads: [0, 0, 1, 1] }),
  ],
  [
    'max pool 13',
    pooled('MaxPool', [1, 70, 13, 13], [1, 70, 13, 13], i8, { kernel: [13, 13], strides: [1, 1], pads: [6, 6, 6, 6] }),
  ],
  [
    'rows of a max pool',
    pooled('MaxPool', [1, 5, 16, 9], [1, 5, 8, 5], i8, { kernel: [3, 3], pads: [1, 1, 1, 1] }),
    { output: [6, 8], inputs: [[11, 16]], padTop: 0, padBottom: 1 },
  ],
  ['average', pooled('AvgPoolInt', [1, 65, 10, 12], [1, 65, 5, 6], i8)],
  ['average of unsigned', pooled('AvgPoolInt', [4, 130, 10, 12], [4, 130, 5, 6], u8)],
  [
    'average, padded',
    pooled('AvgPoolInt', [1, 5, 9, 9], [1, 5, 9, 9], i8, { kernel: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1] }),
  ],
  [
    'average of the plane',
    pooled('AvgPoolInt', [1, 65, 20, 19], [1, 65, 1, 1], i8, {
      kernel: [20, 19],
      strides: [1, 1],
      requant: { multiplier: 69, shift: 13 },
    }),
  ],
  [
    'average of the plane, steps of its size',
    pooled('AvgPoolInt', [2, 65, 20, 19], [2, 65, 1, 1], i8, {
      kernel: [20, 19],
      strides: [20, 19],
      requant: { multiplier: 69, shift: 13 },
    }),
  ],
  [
    'average without its dimensions',
    pooled('AvgPoolInt', [2, 65, 7, 7], [2, 65], i8, {
      kernel: [7, 7],
      strides: [7, 7],
      keepDims: false,
      requant: { multiplier: 83, shift: 12 },
    }),
  ],
  ['average to unsigned', { ...pooled('AvgPoolInt', [1, 5, 10, 12], [1, 5, 5, 6], i8), type: u8 }],
  [
    'average, to the left',
    pooled('AvgPoolInt', [1, 5, 10, 12], [1, 5, 5, 6], i8, { requant: { multiplier: 3, shift: -2 } }),
  ],
]

const moves: Case[] = [
  ['upsample', { ...plain({ type: 'Upsample', scaleH: 2, scaleW: 2 }, [1, 65, 13, 11], i8), shape: [1, 65, 26, 22] }],
  [
    'upsample from the middle of a row',
    { ...plain({ type: 'Upsample', scaleH: 3, scaleW: 2 }, [2, 65, 7, 5], i8), shape: [2, 65, 21, 10] },
    { output: [4, 11], inputs: [[1, 4]], padTop: 0, padBottom: 0 },
  ],
  [
    'upsample a batch',
    { ...plain({ type: 'Upsample', scaleH: 2, scaleW: 3 }, [4, 65, 5, 6], u8), shape: [4, 65, 10, 18] },
  ],
]

function dense(
  m: number,
  k: number,
  n: number,
  more: { relu?: boolean; rightTranspose?: boolean; bias?: boolean } = {},
): Spec {
  const { relu = false, rightTranspose = false, bias = true } = more
  return {
    op: {
      type: 'MatMulInt',
      relu,
      rightTranspose,
      requant: { multiplier: Math.round(2 ** 30 / Math.sqrt(k) / 60), shift: 30 },
    },
    inputs: { x: { shape: [m, k], type: i8 } },
    weights: {
      filter: constant(rightTranspose ? [n, k] : [k, n], 'i8'),
      ...(bias && { bias: { shape: [n], kind: 'i32', data: Int32Array.from(integers(next, [n], -9000, 9000).data) } }),
    },
    shape: [m, n],
    type: i8,
  }
}

const products: Case[] = [
  ['fully connected', dense(1, 512, 10)],
  ['fully connected, batch', dense(4, 65, 130, { relu: true })],
  ['fully connected, transposed', dense(4, 63, 65, { rightTranspose: true, bias: false })],
]

const low: QType = { kind: 'i8', scale: 0.5, zero: -101 }
const high: QType = { kind: 'i8', scale: 2, zero: 93 }
const lowest: QType = { kind: 'i8', scale: 1, zero: -128 }
const f32: QType = { kind: 'f32' }
const f16: QType = { kind: 'f16' }
const bf16: QType = { kind: 'bf16' }

const plane = [1, 65, 9, 11]
const total = (factors: readonly number[], relu = false): QOp => ({
  type: 'SumInt',
  requants: factors.map((factor) => ({ multiplier: Math.round(factor * 2 ** 24), shift: 24 })),
  relu,
})

const zeroPoints: Case[] = [
  ['conv', convCase([1, 20, 9, 9], 33, { from: low, to: high })],
  ['conv of many channels', convCase([1, 130, 8, 9], 130, { from: high, to: low })],
  ['conv, relu', convCase([1, 20, 9, 9], 33, { from: low, to: high, relu: true })],
  [
    'conv, padded beyond what a command can do',
    convCase([1, 3, 9, 10], 4, { kernel: [21, 3], pads: [20, 16, 20, 0], from: low, to: lowest }),
  ],
  ['conv, unsigned filter', convCase([1, 20, 9, 9], 33, { from: low, to: low, filter: 'u8', factor: 0.0004 })],
  ['conv from zero point to none', convCase([2, 20, 9, 9], 33, { from: lowest, to: u8 })],
  ['conv from none to a zero point', convCase([2, 3, 19, 9], 33, { from: u8, to: low, strides: [2, 2] })],
  ['depthwise', convCase([1, 70, 11, 12], 70, { group: 70, from: low, to: high })],
  ['groups', convCase([1, 96, 9, 8], 96, { group: 6, from: high, to: low })],
  [
    'rows at the top',
    convCase([1, 20, 16, 9], 24, { from: low, to: high }),
    { output: [0, 4], inputs: [[0, 5]], padTop: 1, padBottom: 0 },
  ],
  ['fully connected', { ...dense(4, 65, 130, { relu: true }), type: low }],
  ['rescale', plain(total([0.7]), [1, 65, 9, 9], low, high)],
  ['rescale far', plain(total([100]), [1, 7, 9, 9], high, low)],
  ['rescale to unsigned', plain(total([1.4]), [1, 7, 9, 9], low, u8)],
  ['rescale unsigned', plain(total([0.9]), [1, 7, 9, 9], u8, lowest)],
  ['sum', { ...sum(plane, plane, plane, [low, high, low]), op: total([0.37, 0.52]) }],
  ['sum, relu', { ...sum(plane, plane, plane, [low, high, high]), op: total([0.37, 0.52], true) }],
  ['sum to unsigned', { ...sum(plane, plane, plane, [low, u8, u8]), op: total([0.77, 0.51]) }],
  ['sum at equal scales', { ...sum(plane, plane, plane, [low, low, low]), op: total([1, 1]) }],
  ['difference', { ...sum(plane, plane, plane, [low, high, low]), op: total([0.37, -0.52]) }],
  ['difference, relu', { ...sum(plane, plane, plane, [low, high, low]), op: total([31, -47], true) }],
  [
    'sum of three',
    {
      op: total([0.3, -2.5, 0.01]),
      inputs: { a: { shape: plane, type: low }, b: { shape: plane, type: u8 }, c: { shape: plane, type: high } },
      shape: plane,
      type: low,
    },
  ],
  ...[f32, f16, bf16].flatMap((kind): Case[] => [
    [`from ${kind.kind}`, plain({ type: 'Cast' }, [1, 65, 9, 11], kind, high)],
    [`from ${kind.kind}, clamped`, plain({ type: 'Cast' }, [2, 5, 9, 11], kind, low)],
    [`to ${kind.kind}`, plain({ type: 'Cast' }, [1, 65, 9, 11], low, kind)],
  ]),
]

async function agree(chip: Chip, spec: Spec, rows: Rows | undefined): Promise<void> {
  const feeds = feedsOf(spec, random(++seed))
  const want = await executed(spec, feeds)
  const { data } = computed(chip, spec, feeds, rows)
  const expected = rows === undefined ? want.data : rowsOf(want, rows.output).data
  expect(data.length).toBe(expected.length)
  const different = Array.from(expected.keys()).filter((i) => data[i] !== expected[i])
  expect(different.slice(0, 5).map((i) => ({ i, got: data[i], want: expected[i] }))).toEqual([])
  expect(new Set(expected).size, 'a result that says something').toBeGreaterThan(1)
}

const all = [
  ...conv,
  ...each,
  ...binary,
  ...lookups,
  ...pools,
  ...moves,
  ...products,
  ...zeroPoints.map(([story, ...rest]): Case => [`zero points: ${story}`, ...rest]),
]

describe('on the machine', () => {
  const chip = machineChip()
  for (const [story, spec, rows] of all) test(story, () => agree(chip, spec, rows))
})

describe.skipIf(!hasCModel)('on the C-model', () => {
  for (const [story, spec, rows] of all) test(story, async () => agree(await cmodelChip(), spec, rows))
})
