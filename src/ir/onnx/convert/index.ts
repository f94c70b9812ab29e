/** ONNX type -> converter: to support another operator, add a line here. */
import { QuantError } from '../../../errors.js'
import { type Convert, nameOf } from '../node.js'
import type { NodeProto } from '../onnx_pb.js'
import { conv } from './conv.js'
import { add, batchNormalization, clip, leakyRelu, mul, relu, sigmoid, softmax } from './elementwise.js'
import { gemm, matMul } from './matmul.js'
import {
  cast,
  concat,
  dropout,
  flatten,
  identity,
  pad,
  reshape,
  slice,
  split,
  squeeze,
  transpose,
  unsqueeze,
} from './movement.js'
import { averagePool, globalAveragePool, maxPool, reduceMean } from './pool.js'
import { resize } from './resize.js'

export const converters: Readonly<Record<string, Convert>> = {
  Add: add,
  AveragePool: averagePool,
  BatchNormalization: batchNormalization,
  Cast: cast,
  Clip: clip,
  Concat: concat,
  Conv: conv,
  Dropout: dropout,
  Flatten: flatten,
  Gemm: gemm,
  GlobalAveragePool: globalAveragePool,
  Identity: identity,
  LeakyRelu: leakyRelu,
  MatMul: matMul,
  MaxPool: maxPool,
  Mul: mul,
  Pad: pad,
  ReduceMean: reduceMean,
  Relu: relu,
  Reshape: reshape,
  Resize: resize,
  Sigmoid: sigmoid,
  Slice: slice,
  Softmax: softmax,
  Split: split,
  Squeeze: squeeze,
  Transpose: transpose,
  Unsqueeze: unsqueeze,
  Upsample: resize,
}

/** Says what is missing, what there is and how to do without. */
export function unsupported(type: string, node: NodeProto, file: string): QuantError {
  return new QuantError('model', `operator ${type} is not supported (node \`${nameOf(node)}\` of \`${file}\`)`, {
    hint: `end the network before it: model.outputs: [${node.input[0] ?? ''}]; supported: ${Object.keys(converters).join(' ')}`,
  })
}
