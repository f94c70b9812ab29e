/** The product of two computed matrices, as [b, m, k] times [b, k, n]. */
import { QuantError } from '../../errors.js'
import { type Node, type OpOf, sizeOf } from '../../ir/graph.js'
import { scaleAndShift } from '../multiplier.js'
import type { QOp, QType } from '../qgraph.js'
import { type FloatKind, intRange } from '../rounding.js'
import type { Lowering } from './context.js'

type Product = Node & { readonly op: OpOf<'MatMul'> }

/** Operands cast, the result rounded once; a bias is added afterwards. */
export function lowerProduct(lowering: Lowering, node: Product, kind: FloatKind): void {
  const { op, inputs } = node
  const type = { kind }
  const [left, right] = inputs.slice(0, 2).map((value) => lowering.float(value, kind)) as [string, string]
  const { add, operands, shape, finish } = startProduct(lowering, node, [left, type], [right, type])
  const biased = inputs[2] !== undefined
  const { relu, reluLimit } = biased ? { relu: false, reluLimit: -1 } : op
  const sum = add('product', { type: 'MatMul', rightTranspose: false, relu, reluLimit }, operands, shape, type)
  const activated = { type: 'Add', relu: op.relu, reluLimit: op.reluLimit } as const
  finish(biased ? add('biased', activated, [sum, lowering.float(inputs[2]!, kind)], shape, type) : sum, type)
}

/**
 * In 8 bit: sums in int32, one requant by the scales of both operands over that of the result.
 * @throws QuantError 'model' where the sums could leave int32
 */
export function lowerProductInt(lowering: Lowering, node: Product): void {
  const { name, op, inputs } = node
  const type = lowering.intType(name, name)
  const [left, right] = inputs.slice(0, 2).map((value) => lowering.int(value, name)) as [IntOperand, IntOperand]
  const { add, operands, shape, finish, depth } = startProduct(
    lowering,
    node,
    [left.name, left.type],
    [right.name, right.type],
  )
  const most = ({ type }: IntOperand): number => Math.max(...intRange(type.kind).map(Math.abs))
  if (depth * most(left) * most(right) >= 2 ** 31)
    throw new QuantError('model', `the sums of ${name} can leave the 32 bits of the chip’s accumulator`, {
      hint: 'compute the layer in another precision',
    })
  const requant = scaleAndShift((left.type.scale * right.type.scale) / type.scale, 32)
  const product = { type: 'MatMulInt', relu: op.relu, rightTranspose: false, requant } as const
  finish(add('product', product, operands, shape, type), type)
}

type IntOperand = ReturnType<Lowering['int']>

/** The operands as stacks of matrices, the right one not transposed; and what takes the layer's name in the end. */
function startProduct(
  lowering: Lowering,
  { name, op, inputs, shape }: Product,
  left: readonly [name: string, type: QType],
  [right, rightType]: readonly [name: string, type: QType],
) {
  const [leftShape, rightShape] = [lowering.shapeOf(inputs[0]!), lowering.shapeOf(inputs[1]!)]
  const batch = sizeOf(rightShape.slice(0, -2))
  const depth = leftShape.at(-1)!
  const n = shape.at(-1)!
  const m = sizeOf(leftShape) / batch / depth
  /** A node on the way to the layer's result. */
  const add = (what: string, op: QOp, inputs: readonly string[], shape: readonly number[], type: QType): string => {
    const own = `${name}_${what}`
    lowering.add({ name: own, op, inputs, shape, type, layer: own })
    return own
  }
  const x = add('left', { type: 'Reshape' }, [left[0]], [batch, m, depth], left[1])
  const stored = add('right', { type: 'Reshape' }, [right], [batch, ...rightShape.slice(-2)], rightType)
  const turned = { type: 'Permute', order: [0, 2, 1] } as const
  const y = op.rightTranspose ? add('turned', turned, [stored], [batch, depth, n], rightType) : stored
  const finish = (value: string, type: QType): void =>
    lowering.add({ name, op: { type: 'Reshape' }, inputs: [value], shape, type, layer: name })
  return { add, operands: [x, y], shape: [batch, m, n], depth, finish }
}
