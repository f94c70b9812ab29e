/** Which kernel computes a node. */
import type { QNode, QOp } from '../../../quantize/qgraph.js'
import type { Kernel } from '../kernel.js'
import { argMax } from './argmax.js'
import { cast } from './cast.js'
import { conv } from './conv-float.js'
import { convInt } from './conv-int.js'
import { addInt, leakyReluInt, lut, mulInt, mulShift, pReluInt, reluInt, subInt, sumInt } from './eight-bit.js'
import { softmax } from './exponential.js'
import { add, div, leakyRelu, max, min, mul, pRelu, relu, scale, sub } from './float.js'
import { functionKernels } from './functions.js'
import { matMul, matMulInt } from './matmul.js'
import { concat, spread, upsample } from './move.js'
import { avgPool, avgPoolInt, maxPool } from './pool.js'

const kernels: Partial<Record<QOp['type'], Kernel>> = {
  ...functionKernels,
  Add: add,
  AddInt: addInt,
  ArgMax: argMax,
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
  Div: div,
  Max: max,
  MaxPool: maxPool,
  Min: min,
  Mul: mul,
  MulInt: mulInt,
  MulShift: mulShift,
  PRelu: pRelu,
  PReluInt: pReluInt,
  Relu: relu,
  ReluInt: reluInt,
  Scale: scale,
  Softmax: softmax,
  Spread: spread,
  Sub: sub,
  SubInt: subInt,
  SumInt: sumInt,
  Upsample: upsample,
}

/** The kernel of a node; undefined where none computes it from local memory to local memory. */
export const kernelOf = (node: QNode): Kernel | undefined => kernels[node.op.type]
