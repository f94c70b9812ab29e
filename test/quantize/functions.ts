/** Functions of single elements once more, by other formulas than the program's where there are others. Shares no code with it. */
import type { FunctionOp } from '../../src/ir/graph.js'

/** The error function: the integral of 2 / sqrt(pi) e^(-t^2), by Simpson's rule in 400 steps. */
function erf(x: number): number {
  const to = Math.min(Math.abs(x), 7)
  const n = 400
  const f = (t: number): number => Math.exp(-t * t)
  let sum = f(0) + f(to)
  for (let i = 1; i < n; i++) sum += (i % 2 === 0 ? 2 : 4) * f((i * to) / n)
  return (Math.sign(x) * (2 / Math.sqrt(Math.PI)) * sum * to) / n / 3
}

const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))
const clamp = (x: number, low: number, high: number): number => (x < low ? low : x > high ? high : x)
const log1pExp = (x: number): number => (x > 40 ? x : Math.log1p(Math.exp(x)))

export function truthOf(op: FunctionOp): (x: number) => number {
  switch (op.type) {
    case 'Abs':
      return (x) => (x < 0 ? -x : x)
    case 'Ceil':
      return (x) => -Math.floor(-x)
    case 'Clip':
      return (x) => clamp(x, op.min, op.max)
    case 'Elu':
      return (x) => (x >= 0 ? x : op.alpha * Math.expm1(x))
    case 'Erf':
      return erf
    case 'Exp':
      return Math.exp
    case 'Floor':
      return Math.floor
    case 'GELU':
      if (op.approximation === 'none')
        return (x) => (Math.abs(x) > 9 ? Math.max(x, 0) : (x * (1 + erf(x / Math.sqrt(2)))) / 2)
      return (x) => 0.5 * x * (1 + Math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    case 'HardSigmoid':
      return (x) => clamp(Math.fround(op.alpha) * x + Math.fround(op.beta), 0, 1)
    case 'HardSwish':
      return (x) => (x * clamp(x + 3, 0, 6)) / 6
    case 'Log':
      return Math.log
    case 'Mish':
      return (x) => x * Math.tanh(log1pExp(x))
    case 'Pow':
      return (x) => x ** op.exponent
    case 'Reciprocal':
      return (x) => 1 / x
    case 'Round': {
      return (x) => {
        const down = Math.floor(x)
        if (x - down !== 0.5) return Math.round(x)
        return down % 2 === 0 ? down : down + 1
      }
    }
    case 'SiLU':
      return (x) => x * sigmoid(x)
    case 'Sigmoid':
      return sigmoid
    case 'Softplus':
      return log1pExp
    case 'Softsign':
      return (x) => x / (1 + Math.abs(x))
    case 'Sqrt':
      return Math.sqrt
    case 'Tanh':
      return (x) => 1 - 2 / (Math.exp(2 * x) + 1)
  }
}
