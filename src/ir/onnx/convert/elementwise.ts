import { sizeOf } from '../../graph.js'
import { type Convert, type OnnxNode, wholeAxis } from '../node.js'

export const relu: Convert = (node) => node.add({ type: 'Relu', limit: -1 }, [node.value(0)])

/** Clip(0, limit): limits are attributes before opset 11, operands since. */
export const clip: Convert = (node) => {
  const bound = (name: string, operand: number): number | undefined =>
    node.has(operand) ? node.known(operand, name).data[0] : node.attributes.float(name)
  const [min, max = Number.POSITIVE_INFINITY] = [bound('min', 1), bound('max', 2)]
  if (min !== 0 || !(max > 0))
    node.refuse(`clips to ${min ?? '-inf'}..${max}, but only 0 to a positive limit is supported`)
  // The greatest float32 is what exporters write for "no limit".
  node.add({ type: 'Relu', limit: max > 3.4e38 ? -1 : max }, [node.value(0)])
}

export const leakyRelu: Convert = (node) =>
  node.add({ type: 'LeakyRelu', alpha: node.attributes.float('alpha') ?? Math.fround(0.01) }, [node.value(0)])

export const sigmoid: Convert = (node) => node.add({ type: 'Sigmoid' }, [node.value(0)])

/** Before opset 13 softmax ran over all axes from `axis` on: the same thing when only that one is longer than 1. */
export const softmax: Convert = (node) => {
  const shape = node.shape(0)
  const axis = wholeAxis(node, node.attributes.int('axis') ?? (node.opset < 13 ? 1 : -1), shape.length)
  if (node.opset < 13 && sizeOf(shape.slice(axis + 1)) !== 1)
    node.refuse(`softmax over several axes from ${axis} on (opset ${node.opset}) is not supported`)
  node.add({ type: 'Softmax', axis }, [node.value(0)])
}

/** Add or Mul; an operand may be a weight. */
const arithmetic =
  (type: 'Add' | 'Mul'): Convert =>
  (node) =>
    node.add({ type, relu: false, reluLimit: -1 }, [node.operand(0), node.operand(1)])

export const add = arithmetic('Add')
export const mul = arithmetic('Mul')

/**
 * y = x * s + b with s = gamma / sqrt(variance + epsilon), b = beta - mean * s. Every step is rounded to float32, in the order in
 * which onnxruntime folds a normalisation: so a convolution without bias gets the same weights from both.
 */
export const batchNormalization: Convert = (node) => {
  if (node.attributes.int('training_mode') === 1)
    node.refuse('is in training mode', 'export the model in evaluation mode')
  const [gamma, beta, mean, variance] = ['scale', 'bias', 'mean', 'variance'].map((what, i) =>
    statistic(node, i + 1, what),
  )
  const epsilon = Math.fround(node.attributes.float('epsilon') ?? 1e-5)
  const { fround, sqrt } = Math
  const scale = gamma!.map((g, c) => g / fround(sqrt(fround(variance![c]! + epsilon))))
  const bias = beta!.map((b, c) => b - fround(mean![c]! * scale[c]!))
  node.add({ type: 'Scale', relu: false, reluLimit: -1 }, [
    node.value(0),
    node.weight(`BN_S_${node.tensorName(1)}`, [scale.length], scale),
    node.weight(`BN_B_${node.tensorName(2)}`, [bias.length], bias),
  ])
}

function statistic(node: OnnxNode, operand: number, what: string): Float32Array {
  const { kind, data } = node.known(operand, `its ${what}`)
  const channels = node.shape(0)[1]
  if (kind !== 'float' || data.length !== channels)
    node.refuse(`its ${what} has ${data.length} numbers for ${channels} channels`)
  return data as Float32Array
}
