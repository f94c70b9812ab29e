/** Functions of single elements as opset 13 writes them: some have no operator of their own there. */
import { tanhGelu } from '../functions.js'
import type { FunctionOp } from '../graph.js'
import { type AttributeValue, float } from './builder.js'

type Step = (type: string, operands: readonly string[], attributes?: Record<string, AttributeValue>) => string

export interface FunctionSteps {
  /** A node on the way; returns its result. */
  readonly node: Step
  /** The node whose result is the function's. */
  readonly last: Step
  /** A float32 scalar. */
  readonly number: (value: number) => string
}

/** @returns the name of f(x) */
export function writeFunction(op: FunctionOp, x: string, { node, last, number }: FunctionSteps): string {
  switch (op.type) {
    case 'Abs':
    case 'Ceil':
    case 'Erf':
    case 'Exp':
    case 'Floor':
    case 'Log':
    case 'Reciprocal':
    case 'Round':
    case 'Sigmoid':
    case 'Softplus':
    case 'Softsign':
    case 'Sqrt':
    case 'Tanh':
      return last(op.type, [x])
    case 'Clip':
      return last('Clip', [x, number(op.min), number(op.max)])
    case 'Elu':
      return last('Elu', [x], { alpha: float(op.alpha) })
    case 'GELU': {
      const half = node('Mul', [x, number(0.5)])
      return last('Mul', [half, node('Add', [gate(op.approximation), number(1)])])
    }
    case 'HardSigmoid':
      return last('HardSigmoid', [x], { alpha: float(op.alpha), beta: float(op.beta) })
    case 'HardSwish':
      return last('Mul', [x, node('HardSigmoid', [x], { alpha: float(1 / 6), beta: float(0.5) })])
    case 'Mish':
      return last('Mul', [x, node('Tanh', [node('Softplus', [x])])])
    case 'Pow':
      return last('Pow', [x, number(op.exponent)])
    case 'SiLU':
      return last('Mul', [x, node('Sigmoid', [x])])
  }

  function gate(approximation: 'none' | 'tanh'): string {
    if (approximation === 'none') return node('Erf', [node('Mul', [x, number(Math.SQRT1_2)])])
    const cube = node('Mul', [node('Mul', [x, x]), x])
    const inner = node('Add', [x, node('Mul', [cube, number(tanhGelu.cubic)])])
    return node('Tanh', [node('Mul', [inner, number(tanhGelu.factor)])])
  }
}
