import { sizeOf } from '../../graph.js'
import { type Shape, sameShape, showShape } from '../../shapes.js'
import { type Constant, permuted as permutedConstant } from '../constant.js'
import type { Convert, OnnxNode } from '../node.js'
import { finish, inner, type Made, permuted, reshaped } from './pick.js'

const noRelu = { relu: false, reluLimit: -1 } as const

const product = (inputs: readonly string[], rightTranspose = false): Made => ({
  op: { type: 'MatMul', rightTranspose, ...noRelu },
  inputs,
})

const lastTwo = (shape: Shape): number[] => {
  const axes = shape.map((_, axis) => axis)
  return [...axes.slice(0, -2), ...axes.slice(-2).reverse()]
}

/** x times a matrix, or products of two computed values of the same leading axes. A constant on the left side is turned over. */
export const matMul: Convert = (node) => {
  const [left, right] = [node.shape(0), node.shape(1)]
  const vector = node.constant(1)
  if (vector && right.length === 1) {
    const column = node.weight(`${node.tensorName(1)}_column`, [right[0]!, 1], Float32Array.from(vector.data))
    return finish(node, reshaped(inner(node, 'column', product([node.value(0), column])), left.slice(0, -1)))
  }
  const matrix = node.constant(0)
  if (matrix && right.length >= 2) {
    // C x = (x^T C^T)^T
    if (left.length !== 2) node.refuse(`its left operand is a constant of shape ${showShape(left)}`)
    const columns = inner(node, 'columns', permuted(node.value(1), lastTwo(right)))
    const turned = inner(node, 'turned', product([columns, node.operand(0)], true))
    return finish(node, permuted(turned, lastTwo(right)))
  }
  const stack = node.constant(1)
  const count = sizeOf(right.slice(0, -2))
  if (stack?.kind === 'float' && count > 1 && count <= mostMatrices && sameShape(left.slice(0, -2), right.slice(0, -2)))
    return finish(node, matrixByMatrix(node, stack, left))
  if (left.length === 2 && right.length > 2) {
    const aligned = inner(node, 'aligned', reshaped(node.value(0), [...right.slice(2).map(() => 1), ...left]))
    return finish(node, product([aligned, node.operand(1)]))
  }
  finish(node, product([node.value(0), node.operand(1)]))
}

/** A stack of more constant matrices is left as it is. */
const mostMatrices = 64

/** x [..., m, k] times constants [..., k, n]: every matrix is a layer of its own, which can be had in 8 bit. */
function matrixByMatrix(node: OnnxNode, { shape, data }: Constant, left: Shape): Made {
  const [m, k, n] = [left.at(-2)!, ...(shape.slice(-2) as [number, number])] as const
  const count = sizeOf(shape.slice(0, -2))
  const stack = inner(node, 'stack', reshaped(node.value(0), [count, m, left.at(-1)!]))
  const parts = Array.from({ length: count }, (_, i) => {
    const span = { offsets: [i, 0, 0], ends: [i + 1, m, left.at(-1)!], steps: [1, 1, 1] }
    const part = inner(node, `part${i}`, { op: { type: 'Slice', ...span }, inputs: [stack] })
    const own = Float32Array.from(data.subarray(i * k * n, (i + 1) * k * n))
    return inner(node, `product${i}`, product([part, node.weight(`${node.tensorName(1)}_${i}`, [k, n], own)]))
  })
  const joined = inner(node, 'joined', { op: { type: 'Concat', axis: 0, ...noRelu }, inputs: parts })
  return reshaped(joined, [...shape.slice(0, -2), m, n])
}

/** alpha * A * B + beta * C, B a weight or a value. What is constant of alpha and beta goes into the weights. */
export const gemm: Convert = (node) => {
  const { attributes } = node
  const left = attributes.int('transA') === 1 ? inner(node, 'left', permuted(node.value(0), [1, 0])) : node.value(0)
  const transposed = attributes.int('transB') === 1
  const alpha = attributes.float('alpha') ?? 1
  const weight = node.constant(1)
  if (!weight && alpha !== 1) node.refuse(`alpha ${alpha} needs a constant B`)
  const columns = node.shape(1)[transposed ? 0 : 1] ?? 0
  const right = weight ? rightWeight(node, weight, transposed, alpha) : node.value(1)
  const turned = transposed && !weight
  if (!node.has(2)) return finish(node, product([left, right], turned))
  const row = biasRow(node, columns)
  if (row !== undefined) return finish(node, product([left, right, row], turned))
  // C is a value or a whole matrix: it is added afterwards.
  const beta = attributes.float('beta') ?? 1
  const known = node.constant(2)
  const sum = inner(node, 'product', product([left, right], turned))
  if (!known && beta !== 1) node.refuse(`beta ${beta} needs a constant C`)
  const scaled = (c: Constant): string =>
    node.weight(
      `${node.tensorName(2)}_fix`,
      c.shape,
      Float32Array.from(c.data, (x) => x * beta),
    )
  const added = known ? (beta === 1 ? node.operand(2) : scaled(known)) : node.value(2)
  finish(node, { op: { type: 'Add', ...noRelu }, inputs: [sum, added] })
}

function rightWeight(node: OnnxNode, weight: Constant, transposed: boolean, alpha: number): string {
  if (weight.shape.length !== 2) node.refuse(`B has shape [${weight.shape}]`)
  if (!transposed && alpha === 1) return node.operand(1)
  const { shape, data } = transposed ? permutedConstant(weight, [1, 0]) : weight
  return node.weight(
    `${node.tensorName(1)}_fix`,
    shape,
    Float32Array.from(data, (w) => w * alpha),
  )
}

/** beta * C as one row, where C is a constant row or number. */
function biasRow(node: OnnxNode, columns: number): string | undefined {
  const known = node.constant(2)
  if (!known) return undefined
  const { shape, data } = known
  const beta = node.attributes.float('beta') ?? 1
  if (shape.length === 1 && data.length === columns && beta === 1) return node.operand(2)
  if (data.length !== 1 && !(sizeOf(shape) === columns && shape.at(-1) === columns)) return undefined
  const row = Float32Array.from({ length: columns }, (_, i) => beta * (data.length === 1 ? data[0]! : data[i]!))
  return node.weight(`${node.tensorName(2)}_fix`, [columns], row)
}
