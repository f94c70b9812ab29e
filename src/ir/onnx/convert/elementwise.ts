import { sizeOf } from '../../graph.js'
import { type Convert, type OnnxNode, wholeAxis } from '../node.js'
import { finish, inner, reshaped } from './pick.js'

export const relu: Convert = (node) => node.add({ type: 'Relu', limit: -1 }, [node.value(0)])

export const leakyRelu: Convert = (node) =>
  node.add({ type: 'LeakyRelu', alpha: node.attributes.float('alpha') ?? Math.fround(0.01) }, [node.value(0)])

/** Before opset 13 softmax runs over all axes from `axis` on together. */
export const softmax: Convert = (node) => {
  const shape = node.shape(0)
  const axis = wholeAxis(node, node.attributes.int('axis') ?? (node.opset < 13 ? 1 : -1), shape.length)
  if (node.opset >= 13 || sizeOf(shape.slice(axis + 1)) === 1)
    return node.add({ type: 'Softmax', axis }, [node.value(0)])
  const together = [...shape.slice(0, axis), sizeOf(shape.slice(axis))]
  const flat = inner(node, 'flat', reshaped(node.value(0), together))
  finish(node, reshaped(inner(node, 'softmax', { op: { type: 'Softmax', axis }, inputs: [flat] }), shape))
}

/** One slope for all is a LeakyRelu. Else slopes of channels: with the last axis they are aligned, as numpy aligns them. */
export const pRelu: Convert = (node) => {
  const { kind, shape, data } = node.known(1, 'its slopes')
  const x = node.shape(0)
  if (kind !== 'float') return node.refuse('its slopes are integers')
  if (data.length === 1) return node.add({ type: 'LeakyRelu', alpha: data[0]! }, [node.value(0)])
  const aligned = [...x.slice(shape.length).fill(1), ...shape]
  if (aligned.length !== x.length || !aligned.every((n, axis) => n === (axis === 1 ? x[1] : 1)))
    return node.refuse(`slopes of shape [${shape}] are not one per channel of [${x}]`)
  const same = shape.length === x.length
  const slopes = same ? node.operand(1) : node.weight(`${node.tensorName(1)}_slopes`, aligned, data)
  node.add({ type: 'PRelu' }, [node.value(0), slopes])
}

/** Two operands; one of them may be a weight. */
const arithmetic =
  (type: 'Add' | 'Sub' | 'Mul'): Convert =>
  (node) =>
    node.add({ type, relu: false, reluLimit: -1 }, [node.operand(0), node.operand(1)])

export const add = arithmetic('Add')
export const sub = arithmetic('Sub')
export const mul = arithmetic('Mul')

/** By a constant: times its reciprocals. 1 / x is a Reciprocal. */
export const div: Convert = (node) => {
  const [above, below] = [node.constant(0), node.constant(1)]
  if (below) {
    if (below.kind !== 'float') return node.refuse('divides by integers')
    const reciprocals = below.data.map((c) => 1 / c)
    const weight = node.weight(`${node.tensorName(1)}_reciprocal`, below.shape, reciprocals)
    return node.add({ type: 'Mul', relu: false, reluLimit: -1 }, [node.value(0), weight])
  }
  const inverts = above?.data.length === 1 && above.data[0] === 1 && above.shape.length <= node.shape(1).length
  if (inverts) node.add({ type: 'Reciprocal' }, [node.value(1)])
  else node.add({ type: 'Div', relu: false, reluLimit: -1 }, [node.operand(0), node.operand(1)])
}

export const neg: Convert = (node) => {
  const minus = node.weight(`${node.outputs[0]}_minus`, [], Float32Array.of(-1))
  node.add({ type: 'Mul', relu: false, reluLimit: -1 }, [node.value(0), minus])
}

/** One operand is that operand. With a number, it clips; the larger one of 0 and x is a Relu. */
const extreme =
  (type: 'Min' | 'Max'): Convert =>
  (node) => {
    const { operandCount } = node
    if (operandCount === 1) return node.alias(node.value(0))
    const at = operandCount === 2 ? [0, 1].find((i) => node.constant(i)?.data.length === 1) : undefined
    const bound = at === undefined ? undefined : node.constant(at)!
    if (at === undefined || !bound || bound.kind !== 'float' || bound.shape.length > node.shape(1 - at).length)
      return node.add(
        { type },
        Array.from({ length: operandCount }, (_, i) => node.operand(i)),
      )
    const largest = 3.4028234663852886e38
    const limit = bound.data[0]!
    const x = [node.value(1 - at)]
    if (!(Math.abs(limit) <= largest)) return node.refuse(`compares with ${limit}`)
    if (type === 'Min') node.add({ type: 'Clip', min: -largest, max: limit }, x)
    else if (limit === 0) node.add({ type: 'Relu', limit: -1 }, x)
    else node.add({ type: 'Clip', min: limit, max: largest }, x)
  }

export const min = extreme('Min')
export const max = extreme('Max')

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
