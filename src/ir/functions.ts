/** Functions of every element by itself: what they compute. The 8-bit tables are made of these, in double. */
import type { FunctionOp } from './graph.js'

type Table = { readonly [T in FunctionOp['type']]: (op: Extract<FunctionOp, { type: T }>) => (x: number) => number }

const plain = (f: (x: number) => number) => (): ((x: number) => number) => f

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const limited = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x))
/** log(1 + e^x) without overflow. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

/** e^(-x^2) * 2 / sqrt(pi) * (x + 2 x^3 / 3 + 4 x^5 / 15 + ...): all terms have one sign. From 6 on it is 1 in double. */
function erf(x: number): number {
  const size = Math.abs(x)
  if (!(size < 6)) return Math.sign(x)
  let term = size
  let sum = size
  for (let n = 1; term > sum * 2 ** -60; n++) {
    term *= (2 * size * size) / (2 * n + 1)
    sum += term
  }
  return (Math.sign(x) * sum * 2 * Math.exp(-size * size)) / Math.sqrt(Math.PI)
}

/** To the nearest, ties to even, as ONNX rounds. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}

/** tanh form of GELU, as x * sigmoid(2 z). */
export const tanhGelu = { cubic: 0.044715, factor: Math.sqrt(2 / Math.PI) } as const

const functions: Table = {
  Abs: plain(Math.abs),
  Ceil: plain(Math.ceil),
  Clip:
    ({ min, max }) =>
    (x) =>
      limited(x, min, max),
  Elu:
    ({ alpha }) =>
    (x) =>
      x < 0 ? alpha * Math.expm1(x) : x,
  Erf: plain(erf),
  Exp: plain(Math.exp),
  Floor: plain(Math.floor),
  GELU: ({ approximation }) =>
    approximation === 'none'
      ? (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2))
      : (x) => x * sigmoid(2 * tanhGelu.factor * (x + tanhGelu.cubic * x ** 3)),
  HardSigmoid:
    ({ alpha, beta }) =>
    (x) =>
      limited(alpha * x + beta, 0, 1),
  HardSwish: plain((x) => x * limited(x / 6 + 0.5, 0, 1)),
  Log: plain((x) => (x > 0 ? Math.log(x) : Number.NEGATIVE_INFINITY)),
  Mish: plain((x) => x * Math.tanh(softplus(x))),
  Pow:
    ({ exponent }) =>
    (x) =>
      x ** exponent || 0,
  Reciprocal: plain((x) => 1 / x),
  Round: plain(roundHalfEven),
  SiLU: plain((x) => x * sigmoid(x)),
  Sigmoid: plain(sigmoid),
  Softplus: plain(softplus),
  Softsign: plain((x) => x / (1 + Math.abs(x))),
  Sqrt: plain((x) => Math.sqrt(Math.max(x, 0))),
  Tanh: plain(Math.tanh),
}

/** Every type of function. */
export const functionTypes = Object.keys(functions) as readonly FunctionOp['type'][]

export const isFunction = <O extends { readonly type: string }>(op: O): op is O & FunctionOp =>
  Object.hasOwn(functions, op.type)

/**
 * The function, in double. Where it has no value, the nearest sensible one: a logarithm of what is not positive is -infinity, a root
 * of what is negative 0.
 */
export const functionOf = (op: FunctionOp): ((x: number) => number) =>
  (functions[op.type] as (op: FunctionOp) => (x: number) => number)(op)
