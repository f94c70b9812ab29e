import { type Constant, permuted } from '../constant.js'
import type { Convert, OnnxNode } from '../node.js'

const noRelu = { relu: false, reluLimit: -1 } as const

export const matMul: Convert = (node) =>
  node.add({ type: 'MatMul', rightTranspose: false, ...noRelu }, [node.value(0), node.operand(1)])

/** alpha * A * B + beta * C with A as it is, B a weight or a value, C a weight of one row. alpha and beta go into the weights. */
export const gemm: Convert = (node) => {
  const { attributes } = node
  if (attributes.int('transA') === 1) node.refuse('transA is not supported')
  const transposed = attributes.int('transB') === 1
  const alpha = attributes.float('alpha') ?? 1
  const weight = node.constant(1)
  if (!weight && alpha !== 1) node.refuse(`alpha ${alpha} needs a constant B`)
  const columns = node.shape(1)[transposed ? 0 : 1] ?? 0
  const right = weight ? rightWeight(node, weight, transposed, alpha) : node.value(1)
  const inputs = node.has(2) ? [node.value(0), right, bias(node, columns)] : [node.value(0), right]
  node.add({ type: 'MatMul', rightTranspose: transposed && !weight, ...noRelu }, inputs)
}

function rightWeight(node: OnnxNode, weight: Constant, transposed: boolean, alpha: number): string {
  if (weight.shape.length !== 2) node.refuse(`B has shape [${weight.shape}]`)
  if (!transposed && alpha === 1) return node.operand(1)
  const { shape, data } = transposed ? permuted(weight, [1, 0]) : weight
  return node.weight(
    `${node.tensorName(1)}_fix`,
    shape,
    Float32Array.from(data, (w) => w * alpha),
  )
}

function bias(node: OnnxNode, columns: number): string {
  const { shape, data } = node.known(2, 'C')
  const beta = node.attributes.float('beta') ?? 1
  if (shape.length === 1 && data.length === columns && beta === 1) return node.operand(2)
  if (data.length !== 1 && !(data.length === columns && shape.at(-1) === columns))
    node.refuse(`C [${shape}] is not one row of ${columns}`)
  const row = Float32Array.from({ length: columns }, (_, i) => beta * (data.length === 1 ? data[0]! : data[i]!))
  return node.weight(`${node.tensorName(2)}_fix`, [columns], row)
}
