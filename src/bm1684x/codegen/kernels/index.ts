/** Which kernel computes a node. */
import type { QNode, QOp } from '../../../quantize/qgraph.js'
import type { Kernel } from '../kernel.js'
import { cast } from './cast.js'
import { conv } from './conv-float.js'
import { convInt } from './conv-int.js'
import { addInt, leakyReluInt, lut, mulInt, mulShift, reluInt } from './eight-bit.js'
import { sigmoid, silu, softmax } from './exponential.js'
import { add, leakyRelu, mul, relu, scale } from './float.js'
import { matMul, matMulInt } from './matmul.js'
import { concat, upsample } from './move.js'
import { avgPool, avgPoolInt, maxPool } from './pool.js'

const kernels: Partial<Record<QOp['type'], Kernel>> = {
  Add: add,
  AddInt: addInt,
  AvgPool: avgPool,
  AvgPoolInt: avgPoolInt,
  Cast: cast,
  Concat: concat,
  Conv: conv,
  ConvInt: convInt,
  LeakyRelu: leakyRelu,
  LeakyReluInt: leakyReluInt,
  Lut: lut,
  MatMul: matMul,
  MatMulInt: matMulInt,
  MaxPool: maxPool,
  Mul: mul,
  MulInt: mulInt,
  MulShift: mulShift,
  Relu: relu,
  ReluInt: reluInt,
  Scale: scale,
  Sigmoid: sigmoid,
  SiLU: silu,
  Softmax: softmax,
  Upsample: upsample,
}

/** The kernel of a node; undefined where none computes it from local memory to local memory. */
export const kernelOf = (node: QNode): Kernel | undefined => kernels[node.op.type]
