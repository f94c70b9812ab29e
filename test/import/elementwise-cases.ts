/** Functions of single elements, and Sub, Div, Min, Max, PRelu, as exporters of all opsets write them. */
import { model } from './helper.js'
import type { Case } from './structure-cases.js'

const image = [1, 4, 7, 6]
type Build = Parameters<Parameters<typeof model>[1]>[0]

const one = (type: string, attributes = {}, opset = 13, shape: readonly number[] = image): Uint8Array =>
  model(shape, (b) => b.node(type, ['x'], 'y', attributes), { opset })

/** `x` made positive first. */
const positive = (type: string, ...more: number[]): Uint8Array =>
  model(image, (b) => b.node(type, [b.node('Sigmoid', ['x'], 'p'), ...more.map((n) => b.floats('n', [n], []))], 'y'))

const scalar = (b: Build, value: number): string => b.floats(`c${value}`, [value], [])

/** A chain of nodes that end in y; every step names its result. */
const spelled = (build: (b: Build, c: (value: number) => string) => void, opset = 13): Uint8Array =>
  model(image, (b) => build(b, (value) => (b.has(`c${value}`) ? `c${value}` : scalar(b, value))), { opset })

const two = (type: string, shape: readonly number[], more: readonly number[] = [4, 1, 1]): Uint8Array =>
  model(shape, (b) => b.node(type, [b.node('Sigmoid', ['x'], 's'), b.random('c', more)], 'y'))

const functions: readonly Case[] = [
  ['Abs', ['Abs'], one('Abs')],
  ['Ceil', ['Ceil'], one('Ceil')],
  ['Floor', ['Floor'], one('Floor')],
  ['Round', ['Mul', 'Round'], spelled((b, c) => b.node('Round', [b.node('Mul', ['x', c(9)], 'm')], 'y'))],
  ['Elu', ['Elu'], one('Elu', { alpha: 0.7 })],
  ['Elu by default', ['Elu'], one('Elu', {}, 9)],
  ['Erf', ['Erf'], one('Erf')],
  ['Exp', ['Exp'], one('Exp')],
  ['Gelu', ['GELU'], one('Gelu', {}, 20)],
  ['Gelu by tanh', ['GELU'], one('Gelu', { approximate: 'tanh' }, 20)],
  ['HardSigmoid', ['HardSigmoid'], one('HardSigmoid', { alpha: 0.3, beta: 0.25 })],
  ['HardSigmoid by default', ['HardSigmoid'], one('HardSigmoid', {}, 9)],
  ['HardSwish', ['HardSwish'], one('HardSwish', {}, 14)],
  ['Log', ['Sigmoid', 'Log'], positive('Log')],
  ['Mish', ['Mish'], one('Mish', {}, 18)],
  ['Neg', ['Mul'], one('Neg')],
  ['Pow 2', ['Pow'], spelled((b, c) => b.node('Pow', ['x', c(2)], 'y'))],
  ['Pow 3, whole', ['Pow'], model(image, (b) => b.node('Pow', ['x', b.integers('p', [3], [])], 'y'))],
  ['Pow 1.5', ['Sigmoid', 'Pow'], positive('Pow', 1.5)],
  ['Pow 0.5', ['Sigmoid', 'Sqrt'], positive('Pow', 0.5)],
  ['Pow -1', ['Sigmoid', 'Reciprocal'], positive('Pow', -1)],
  ['Pow 1', ['Relu'], spelled((b, c) => b.node('Relu', [b.node('Pow', ['x', c(1)], 'p')], 'y'))],
  ['Pow of 2', ['Mul', 'Exp'], spelled((b, c) => b.node('Pow', [c(2), 'x'], 'y'))],
  ['Reciprocal', ['Sigmoid', 'Reciprocal'], positive('Reciprocal')],
  ['Softplus', ['Softplus'], one('Softplus')],
  ['Softsign', ['Softsign'], one('Softsign')],
  ['Sqrt', ['Sigmoid', 'Sqrt'], positive('Sqrt')],
  ['Tanh', ['Tanh'], one('Tanh')],
  ['Tanh of a vector', ['Tanh'], one('Tanh', {}, 13, [3, 5])],
  ['Clip(-0.5, 0.25) by attributes', ['Clip'], one('Clip', { min: -0.5, max: 0.25 }, 9)],
  ['Clip(-0.5, 0.25) by operands', ['Clip'], spelled((b, c) => b.node('Clip', ['x', c(-0.5), c(0.25)], 'y'))],
  ['Clip(, 0.25)', ['Clip'], spelled((b, c) => b.node('Clip', ['x', '', c(0.25)], 'y'))],
  ['Clip without limits', ['Relu'], spelled((b) => b.node('Relu', [b.node('Clip', ['x'], 'k')], 'y'))],
]

const operands: readonly Case[] = [
  [
    'Pow of two values',
    ['Sigmoid', 'Log', 'Mul', 'Exp'],
    spelled((b) => b.node('Pow', [b.node('Sigmoid', ['x'], 's'), 'x'], 'y')),
  ],
  ['Sub of a constant', ['Sub'], spelled((b, c) => b.node('Sub', ['x', c(0.5)], 'y'))],
  ['Sub from a constant', ['Sub'], spelled((b, c) => b.node('Sub', [c(1), 'x'], 'y'))],
  ['Sub of two', ['Sigmoid', 'Sub'], spelled((b) => b.node('Sub', ['x', b.node('Sigmoid', ['x'], 's')], 'y'))],
  ['Sub per channel', ['Sigmoid', 'Sub'], two('Sub', image)],
  ['Sub and relu', ['Sub'], spelled((b, c) => b.node('Relu', [b.node('Sub', ['x', c(0.5)], 's')], 'y'))],
  ['Div by a constant', ['Mul'], spelled((b, c) => b.node('Div', ['x', c(3)], 'y'))],
  ['Div of one', ['Exp', 'Reciprocal'], spelled((b, c) => b.node('Div', [c(1), b.node('Exp', ['x'], 'e')], 'y'))],
  ['Div of a constant', ['Exp', 'Div'], spelled((b, c) => b.node('Div', [c(3), b.node('Exp', ['x'], 'e')], 'y'))],
  ['Div of two', ['Exp', 'Div'], spelled((b) => b.node('Div', ['x', b.node('Exp', ['x'], 'e')], 'y'))],
  ['Min of two', ['Sigmoid', 'Min'], spelled((b) => b.node('Min', ['x', b.node('Sigmoid', ['x'], 's')], 'y'))],
  ['Min with a number', ['Clip'], spelled((b, c) => b.node('Min', ['x', c(0.25)], 'y'))],
  ['Min of one', ['Relu'], spelled((b) => b.node('Relu', [b.node('Min', ['x'], 'm')], 'y'))],
  ['Max per channel', ['Sigmoid', 'Max'], two('Max', image)],
  [
    'Max of three, one of them constant',
    ['Sigmoid', 'Max'],
    model(image, (b) => b.node('Max', ['x', b.random('c', [4, 1, 1]), b.node('Sigmoid', ['x'], 's')], 'y')),
  ],
  ['Max with 0', ['Relu'], spelled((b, c) => b.node('Max', ['x', c(0)], 'y'))],
  ['Max with a number', ['Clip'], spelled((b, c) => b.node('Max', [c(-0.25), 'x'], 'y'))],
  [
    'Max with a number of more dimensions',
    ['Max'],
    model([3, 5], (b) => b.node('Max', ['x', b.random('c', [1, 1, 1])], 'y')),
  ],
  ['PRelu', ['PRelu'], model(image, (b) => b.node('PRelu', ['x', b.random('s', [4, 1, 1])], 'y'))],
  [
    'PRelu of opset 9',
    ['PRelu'],
    model(image, (b) => b.node('PRelu', ['x', b.random('s', [1, 4, 1, 1])], 'y'), { opset: 9 }),
  ],
  ['PRelu of vectors', ['PRelu'], model([3, 5], (b) => b.node('PRelu', ['x', b.random('s', [5])], 'y'))],
  ['PRelu with one slope', ['LeakyRelu'], model(image, (b) => b.node('PRelu', ['x', b.floats('s', [0.3])], 'y'))],
]

/** Activations that exporters spell out. */
const composed: readonly Case[] = [
  [
    'Mish as x * tanh(softplus(x))',
    ['Mish'],
    spelled((b) => b.node('Mul', ['x', b.node('Tanh', [b.node('Softplus', ['x'], 'p')], 't')], 'y')),
  ],
  [
    'Mish down to log(1 + exp(x)), other way round',
    ['Mish'],
    spelled((b, c) => {
      const plus = b.node('Log', [b.node('Add', [c(1), b.node('Exp', ['x'], 'e')], 'a')], 'p')
      b.node('Mul', [b.node('Tanh', [plus], 't'), 'x'], 'y')
    }),
  ],
  [
    'HardSwish as x * clip(x + 3) / 6',
    ['HardSwish'],
    spelled((b, c) => {
      const clip = b.node('Clip', [b.node('Add', ['x', c(3)], 'a'), c(0), c(6)], 'k')
      b.node('Div', [b.node('Mul', ['x', clip], 'm'), c(6)], 'y')
    }),
  ],
  [
    'HardSwish as x * (clip(x + 3) / 6)',
    ['HardSwish'],
    spelled((b, c) => {
      const clip = b.node('Clip', [b.node('Add', ['x', c(3)], 'a'), c(0), c(6)], 'k')
      b.node('Mul', [b.node('Div', [clip, c(6)], 'd'), 'x'], 'y')
    }),
  ],
  [
    'HardSwish as x * HardSigmoid(x)',
    ['HardSwish'],
    spelled((b) => b.node('Mul', ['x', b.node('HardSigmoid', ['x'], 'h', { alpha: 1 / 6 })], 'y')),
  ],
  [
    'HardSigmoid as clip(x + 3) / 6',
    ['HardSigmoid'],
    spelled((b, c) => b.node('Div', [b.node('Clip', [b.node('Add', [c(3), 'x'], 'a'), c(0), c(6)], 'k'), c(6)], 'y')),
  ],
  [
    'GELU by erf',
    ['GELU'],
    spelled((b, c) => {
      const erf = b.node('Erf', [b.node('Div', ['x', c(Math.SQRT2)], 'd')], 'e')
      b.node('Mul', [b.node('Mul', ['x', b.node('Add', [erf, c(1)], 'a')], 'm'), c(0.5)], 'y')
    }),
  ],
  [
    'GELU by erf, halved first',
    ['GELU'],
    spelled((b, c) => {
      const erf = b.node('Erf', [b.node('Mul', ['x', c(Math.SQRT1_2)], 'd')], 'e')
      b.node('Mul', [b.node('Mul', [c(0.5), 'x'], 'm'), b.node('Add', [c(1), erf], 'a')], 'y')
    }),
  ],
  [
    'GELU by tanh',
    ['GELU'],
    spelled((b, c) => {
      const cube = b.node('Mul', [b.node('Pow', ['x', c(3)], 'p'), c(0.044715)], 'q')
      const z = b.node('Mul', [b.node('Add', ['x', cube], 'a'), c(0.7978845608)], 'z')
      const open = b.node('Add', [b.node('Tanh', [z], 't'), c(1)], 'o')
      b.node('Mul', [b.node('Mul', ['x', c(0.5)], 'h'), open], 'y')
    }),
  ],
  [
    'another x * clip(x + 2) / 6 stays as it is',
    ['Add', 'Mul', 'Mul'],
    spelled((b, c) => {
      const clip = b.node('Clip', [b.node('Add', ['x', c(2)], 'a'), c(0), c(6)], 'k')
      b.node('Div', [b.node('Mul', ['x', clip], 'm'), c(6)], 'y')
    }),
  ],
  [
    'another tanh(softplus(x)) times something else stays as it is',
    ['Sigmoid', 'Softplus', 'Tanh', 'Mul'],
    spelled((b) => {
      const gate = b.node('Tanh', [b.node('Softplus', ['x'], 'p')], 't')
      b.node('Mul', [b.node('Sigmoid', ['x'], 's'), gate], 'y')
    }),
  ],
]

export const functionCases = functions
export const elementwiseCases: readonly Case[] = [...functions, ...operands, ...composed]
