/**
 * Activations that exporters spell out become one op, called as the last of theirs:
 *   HardSigmoid  relu6(x + 3) / 6                     Softplus  log(1 + e^x)
 *   HardSwish    x * relu6(x + 3) / 6, x * HardSigmoid(x)      Mish  x * tanh(softplus(x))
 *   GELU         x / 2 * (1 + erf(x / sqrt 2)), x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
 * in whatever order the factors are multiplied. What nothing reads any more is left to `dropDead`.
 */
import { tanhGelu } from '../functions.js'
import { type FunctionOp, type Graph, type Node, nodesByName } from '../graph.js'
import { sameShape } from '../shapes.js'

/** A product, flattened: constant * factors. */
interface Product {
  readonly constant: number
  readonly factors: readonly string[]
}

/** What a node is, when it is that. */
interface Look {
  node(name: string): Node | undefined
  /** Scalars only. */
  constant(name: string): number | undefined
}

export function fuseFunctions(graph: Graph): Graph {
  const nodes = nodesByName(graph)
  const look: Look = {
    node: (name) => nodes.get(name),
    constant(name) {
      const weight = graph.weights.get(name)
      return weight?.data.length === 1 ? weight.data[0] : undefined
    },
  }
  for (const node of graph.nodes) {
    const found = logarithmOf(look, node) ?? functionOfProduct(look, node)
    if (found && sameShape(look.node(found.x)!.shape, node.shape))
      nodes.set(node.name, { ...node, op: found.op, inputs: [found.x] })
  }
  return { ...graph, nodes: graph.nodes.map(({ name }) => nodes.get(name)!) }
}

interface Found {
  readonly op: FunctionOp
  readonly x: string
}

function logarithmOf(look: Look, { op, inputs }: Node): Found | undefined {
  if (op.type !== 'Log') return undefined
  const e = plusConstant(look, inputs[0]!, 1)
  const x = e === undefined ? undefined : operandOf(look, e, 'Exp')
  return x === undefined ? undefined : { op: { type: 'Softplus' }, x }
}

function functionOfProduct(look: Look, node: Node): Found | undefined {
  if (node.op.type !== 'Mul' || node.op.relu) return undefined
  const { constant, factors } = productOf(look, node.name, 4)
  if (factors.length === 1) {
    const x = relu6Plus3(look, factors[0]!)
    const op = { type: 'HardSigmoid', alpha: Math.fround(1 / 6), beta: 0.5 } as const
    return x !== undefined && near(constant, 1 / 6) ? { op, x } : undefined
  }
  if (factors.length !== 2) return undefined
  const [a, b] = factors as [string, string]
  return gated(look, constant, a, b) ?? gated(look, constant, b, a)
}

/** constant * x * gate */
function gated(look: Look, constant: number, x: string, gate: string): Found | undefined {
  if (near(constant, 1)) {
    const tanh = operandOf(look, gate, 'Tanh')
    if (tanh !== undefined && operandOf(look, tanh, 'Softplus') === x) return { op: { type: 'Mish' }, x }
    const { op, inputs } = look.node(gate)!
    const hard = op.type === 'HardSigmoid' && near(op.alpha, 1 / 6) && near(op.beta, 0.5) && inputs[0] === x
    if (hard) return { op: { type: 'HardSwish' }, x }
  }
  if (near(constant, 1 / 6) && relu6Plus3(look, gate) === x) return { op: { type: 'HardSwish' }, x }
  const open = near(constant, 0.5) ? plusConstant(look, gate, 1) : undefined
  if (open === undefined) return undefined
  const erf = operandOf(look, open, 'Erf')
  if (erf !== undefined && isMultiple(look, erf, x, Math.SQRT1_2))
    return { op: { type: 'GELU', approximation: 'none' }, x }
  const tanh = operandOf(look, open, 'Tanh')
  return tanh !== undefined && isCubic(look, tanh, x) ? { op: { type: 'GELU', approximation: 'tanh' }, x } : undefined
}

/** x of relu6(x + 3) */
function relu6Plus3(look: Look, name: string): string | undefined {
  const node = look.node(name)
  return node?.op.type === 'Relu' && near(node.op.limit, 6) ? plusConstant(look, node.inputs[0]!, 3) : undefined
}

/** sqrt(2 / pi) * (x + 0.044715 x^3) */
function isCubic(look: Look, name: string, x: string): boolean {
  const { constant, factors } = productOf(look, name, 2)
  const sum = factors.length === 1 ? look.node(factors[0]!) : undefined
  if (!near(constant, tanhGelu.factor) || sum?.op.type !== 'Add' || sum.op.relu || sum.inputs.length !== 2) return false
  const cube = sum.inputs.find((input) => input !== x)
  if (cube === undefined || !sum.inputs.includes(x)) return false
  const { constant: cubic, factors: powers } = productOf(look, cube, 4)
  return near(cubic, tanhGelu.cubic) && powers.length === 3 && powers.every((power) => power === x)
}

function isMultiple(look: Look, name: string, x: string, times: number): boolean {
  const { constant, factors } = productOf(look, name, 2)
  return near(constant, times) && factors.length === 1 && factors[0] === x
}

/** A node that is no product is its own only factor. */
function productOf(look: Look, name: string, depth: number): Product {
  const node = look.node(name)
  const whole = { constant: 1, factors: [name] }
  if (node === undefined || depth === 0) return whole
  if (node.op.type === 'Pow' && (node.op.exponent === 2 || node.op.exponent === 3))
    return { constant: 1, factors: new Array<string>(node.op.exponent).fill(node.inputs[0]!) }
  if (node.op.type !== 'Mul' || node.op.relu) return whole
  let constant = 1
  const factors: string[] = []
  for (const input of node.inputs) {
    const known = look.constant(input)
    const part = known === undefined ? productOf(look, input, depth - 1) : { constant: known, factors: [] }
    // A weight of several numbers is no constant.
    if (known === undefined && look.node(input) === undefined) return whole
    constant *= part.constant
    factors.push(...part.factors)
  }
  return { constant, factors }
}

/** x of x + constant */
function plusConstant(look: Look, name: string, constant: number): string | undefined {
  const node = look.node(name)
  if (node?.op.type !== 'Add' || node.op.relu || node.inputs.length !== 2) return undefined
  const [a, b] = node.inputs as [string, string]
  if (near(look.constant(b), constant) && look.node(a)) return a
  return near(look.constant(a), constant) && look.node(b) ? b : undefined
}

function operandOf(look: Look, name: string, type: FunctionOp['type']): string | undefined {
  const node = look.node(name)
  return node?.op.type === type ? node.inputs[0] : undefined
}

/** Exporters round to float32 or to a few digits. */
const near = (a: number | undefined, b: number): boolean => a !== undefined && Math.abs(a - b) <= 1e-4 * Math.abs(b)
