/** ONNX type -> converter: to support another operator, add a line here. */
import { QuantError } from '../../../errors.js'
import { type Convert, nameOf } from '../node.js'
import type { NodeProto } from '../onnx_pb.js'
import { concat } from './concat.js'
import { conv, convTranspose } from './conv.js'
import {
  add,
  batchNormalization,
  div,
  leakyRelu,
  max,
  min,
  mul,
  neg,
  pRelu,
  relu,
  softmax,
  sub,
} from './elementwise.js'
import { functionConverters } from './functions.js'
import { gemm, matMul } from './matmul.js'
import {
  cast,
  depthToSpace,
  dropout,
  expand,
  flatten,
  gather,
  identity,
  pad,
  reshape,
  slice,
  spaceToDepth,
  split,
  squeeze,
  tile,
  transpose,
  unsqueeze,
} from './movement.js'
import { averagePool, globalAveragePool, globalMaxPool, maxPool } from './pool.js'
import { argMax, reduceMax, reduceMean, reduceMin, reduceSum } from './reduce.js'
import { resize } from './resize.js'

export const converters: Readonly<Record<string, Convert>> = {
  ...functionConverters,
  Add: add,
  ArgMax: argMax,
  AveragePool: averagePool,
  BatchNormalization: batchNormalization,
  Cast: cast,
  Concat: concat,
  Conv: conv,
  ConvTranspose: convTranspose,
  DepthToSpace: depthToSpace,
  Div: div,
  Dropout: dropout,
  Expand: expand,
  Flatten: flatten,
  Gather: gather,
  Gemm: gemm,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
  Identity: identity,
  LeakyRelu: leakyRelu,
  MatMul: matMul,
  Max: max,
  MaxPool: maxPool,
  Min: min,
  Mul: mul,
  Neg: neg,
  PRelu: pRelu,
  Pad: pad,
  ReduceMax: reduceMax,
  ReduceMean: reduceMean,
  ReduceMin: reduceMin,
  ReduceSum: reduceSum,
  Relu: relu,
  Reshape: reshape,
  Resize: resize,
  Slice: slice,
  Softmax: softmax,
  SpaceToDepth: spaceToDepth,
  Split: split,
  Squeeze: squeeze,
  Sub: sub,
  Tile: tile,
  Transpose: transpose,
  Unsqueeze: unsqueeze,
  Upsample: resize,
}

/**
 * Says what is missing, what there is and how to do without.
 * @param cut where to end the network instead
 */
export function unsupported(type: string, node: NodeProto, file: string, cut: string | undefined): QuantError {
  return new QuantError('model', `operator ${type} is not supported (node \`${nameOf(node)}\` of \`${file}\`)`, {
    hint: [...(cut === undefined ? [] : [cut]), `supported: ${Object.keys(converters).sort().join(' ')}`].join('; '),
  })
}
