/** Operators that are a function of every element by itself. */
import type { FunctionOp } from '../../graph.js'
import type { Convert, OnnxNode } from '../node.js'

const plain =
  (op: FunctionOp): Convert =>
  (node) =>
    node.add(op, [node.value(0)])

/** The greatest float32 is what exporters write for "no limit". */
const largest = 3.4028234663852886e38

/** Limits are attributes before opset 11, operands since. Clip(0, limit) is a Relu. */
const clip: Convert = (node) => {
  const bound = (name: string, operand: number): number | undefined =>
    node.has(operand) ? node.known(operand, name).data[0] : node.attributes.float(name)
  const min = Math.max(bound('min', 1) ?? -largest, -largest)
  const max = Math.min(bound('max', 2) ?? largest, largest)
  if (!(min <= max)) node.refuse(`clips to ${min}..${max}`)
  if (min === 0 && max > 0) node.add({ type: 'Relu', limit: max < largest ? max : -1 }, [node.value(0)])
  else if (min === -largest && max === largest) node.alias(node.value(0))
  else node.add({ type: 'Clip', min, max }, [node.value(0)])
}

/** x^p with one known p, or b^x with one known b: e^(x ln b). Of two values e^(p ln x), where x is positive by what makes it. */
const pow: Convert = (node) => {
  const base = node.constant(0)
  if (base) {
    const [b = Number.NaN] = base.data
    if (base.data.length !== 1 || !(b > 0)) node.refuse('has a constant base that is not one positive number')
    const factor = node.weight(`${node.outputs[0]}_log_base`, [], Float32Array.of(Math.log(b)))
    const scaled = node.layer('scaled', { type: 'Mul', relu: false, reluLimit: -1 }, [node.value(1), factor])
    return node.add({ type: 'Exp' }, [scaled])
  }
  if (node.constant(1) === undefined && node.has(1)) return powOfValues(node)
  const { data } = node.known(1, 'its exponent')
  const [exponent = Number.NaN] = data
  if (!data.every((p) => p === exponent) || !Number.isFinite(exponent)) node.refuse('has several exponents')
  if (exponent === 1) node.alias(node.value(0))
  else if (exponent === 0.5) node.add({ type: 'Sqrt' }, [node.value(0)])
  else if (exponent === -1) node.add({ type: 'Reciprocal' }, [node.value(0)])
  else node.add({ type: 'Pow', exponent }, [node.value(0)])
}

/** What gives no negative numbers. Of 0 the logarithm is -infinity, and e^ of that 0 again: only 0^0 is lost. */
const neverNegative = new Set(['Abs', 'Exp', 'Relu', 'Sigmoid', 'Softmax', 'Softplus', 'Sqrt'])

function powOfValues(node: OnnxNode): void {
  if (!neverNegative.has(node.opOf(node.value(0)).type))
    node.refuse('raises a value that may be negative to a computed power')
  const log = node.layer('log', { type: 'Log' }, [node.value(0)])
  const product = node.layer('product', { type: 'Mul', relu: false, reluLimit: -1 }, [log, node.value(1)])
  node.add({ type: 'Exp' }, [product])
}

export const functionConverters: Readonly<Record<string, Convert>> = {
  Abs: plain({ type: 'Abs' }),
  Ceil: plain({ type: 'Ceil' }),
  Clip: clip,
  Elu: (node) => node.add({ type: 'Elu', alpha: node.attributes.float('alpha') ?? 1 }, [node.value(0)]),
  Erf: plain({ type: 'Erf' }),
  Exp: plain({ type: 'Exp' }),
  Floor: plain({ type: 'Floor' }),
  Gelu(node) {
    const approximation = node.attributes.string('approximate') || 'none'
    if (approximation !== 'none' && approximation !== 'tanh') return node.refuse(`approximate ${approximation}`)
    node.add({ type: 'GELU', approximation }, [node.value(0)])
  },
  HardSigmoid(node) {
    const alpha = node.attributes.float('alpha') ?? Math.fround(0.2)
    const beta = node.attributes.float('beta') ?? 0.5
    node.add({ type: 'HardSigmoid', alpha, beta }, [node.value(0)])
  },
  HardSwish: plain({ type: 'HardSwish' }),
  Log: plain({ type: 'Log' }),
  Mish: plain({ type: 'Mish' }),
  Pow: pow,
  Reciprocal: plain({ type: 'Reciprocal' }),
  Round: plain({ type: 'Round' }),
  Sigmoid: plain({ type: 'Sigmoid' }),
  Softplus: plain({ type: 'Softplus' }),
  Softsign: plain({ type: 'Softsign' }),
  Sqrt: plain({ type: 'Sqrt' }),
  Tanh: plain({ type: 'Tanh' }),
}
