/** ReduceMean, ReduceSum, ReduceMax, ReduceMin along any axes, as pools or convolutions; ArgMax. */
import { type Pads, type Pair, sizeOf } from '../../graph.js'
import { sameShape } from '../../shapes.js'
import { type Convert, integers, type OnnxNode, wholeAxis } from '../node.js'
import { finish, inner, type Made, permuted, reshaped } from './pick.js'
import { onePixel } from './window.js'

type Kind = 'mean' | 'sum' | 'max' | 'min'

const reduce =
  (kind: Kind): Convert =>
  (node) => {
    const rank = node.shape(0).length
    const given = integers(node, 'axes', 1)
    const all = given === undefined || given.length === 0
    if (all && node.attributes.int('noop_with_empty_axes') === 1) return node.alias(node.value(0))
    const axes = all ? node.shape(0).map((_, axis) => axis) : given.map((axis) => wholeAxis(node, axis, rank))
    reduced(node, kind, axes, (node.attributes.int('keepdims') ?? 1) === 1)
  }

export const reduceMean = reduce('mean')
export const reduceSum = reduce('sum')
export const reduceMax = reduce('max')
export const reduceMin = reduce('min')

/** Indices are float32 from here on. */
export const argMax: Convert = (node) => {
  if (node.attributes.int('select_last_index') === 1)
    node.refuse(
      'takes the last one of equal values, only the first one is supported',
      'export it without select_last_index',
    )
  const axis = wholeAxis(node, node.attributes.int('axis') ?? 0, node.shape(0).length)
  node.add({ type: 'ArgMax', axis, keepDims: (node.attributes.int('keepdims') ?? 1) === 1 }, [node.value(0)])
}

/** Rows of a pool's window: longer runs are folded. */
const longestRow = 256

/** Weights of a convolution that sums: more channels are pooled. */
const mostWeights = 2 ** 16

/** Elements that are reduced in one step. */
const mostAtOnce = 4096

/** The node's result: its operand reduced along `axes`. */
export const reduced = (node: OnnxNode, kind: Kind, axes: readonly number[], keepDims: boolean): void =>
  finish(node, reduction(node, kind, new Set(axes), keepDims))

function reduction(node: OnnxNode, kind: Kind, gone: ReadonlySet<number>, keepDims: boolean): Made {
  const x = node.value(0)
  const shape = node.shape(0)
  const result = shape.flatMap((n, axis) => (!gone.has(axis) ? [n] : keepDims ? [1] : []))
  const size = sizeOf([...gone].map((axis) => shape[axis]!))
  const times = (layer: string, factor: number): Made => ({
    op: { type: 'Mul', relu: false, reluLimit: -1 },
    inputs: [layer, node.weight(`${node.outputs[0]}_times`, [], Float32Array.of(factor))],
  })
  if (size === 1) return reshaped(x, result)
  if (kind === 'min') {
    const most = pooled(node, 'max', inner(node, 'negated', times(x, -1)), gone, size, keepDims, result)
    return times(inner(node, 'most', most), -1)
  }
  // Along the channels: a convolution whose weights are all alike.
  if (kind !== 'max' && shape.length === 4 && size <= mostWeights && sameShape([...gone], [1])) {
    const weights = new Float32Array(size).fill(kind === 'mean' ? 1 / size : 1)
    const weight = node.weight(`${node.outputs[0]}_weights`, [1, size, 1, 1], weights)
    const sum: Made = { op: onePixel, inputs: [x, weight] }
    return keepDims ? sum : reshaped(inner(node, 'kept', sum), result)
  }
  const made = pooled(node, kind === 'max' ? 'max' : 'mean', x, gone, size, keepDims, result)
  return kind === 'sum' ? times(inner(node, 'mean', made), size) : made
}

function pooled(
  node: OnnxNode,
  kind: 'mean' | 'max',
  x: string,
  gone: ReadonlySet<number>,
  size: number,
  keepDims: boolean,
  result: readonly number[],
): Made {
  const shape = node.shapeOf(x)
  const pads: Pads = [0, 0, 0, 0]
  const window = (kernel: Pair) => ({ kernel, strides: [1, 1] as const, pads })
  const pool = (layer: string, kernel: Pair): Made =>
    kind === 'max'
      ? { op: { type: 'MaxPool', ...window(kernel) }, inputs: [layer] }
      : { op: { type: 'AvgPool', ...window(kernel), countIncludePad: true, keepDims: true }, inputs: [layer] }
  if (shape.length === 4 && sameShape([...gone].sort(), [2, 3])) {
    const kernel: Pair = [shape[2]!, shape[3]!]
    const made = pool(x, kernel)
    if (keepDims) return made
    return made.op.type === 'AvgPool'
      ? { ...made, op: { ...made.op, keepDims } }
      : reshaped(inner(node, 'kept', made), result)
  }
  // What stays in front, what goes at the end, as an image: the first axis that stays are the channels, the others the rows.
  const order = shape.map((_, axis) => axis)
  const turned = inner(
    node,
    'turned',
    permuted(x, [...order.filter((axis) => !gone.has(axis)), ...order.filter((axis) => gone.has(axis))]),
  )
  const stays = order.filter((axis) => !gone.has(axis) && shape[axis] !== 1).map((axis) => shape[axis]!)
  const kept = sizeOf(stays)
  let high = 1
  if (size > longestRow) for (let n = 2; n * n <= size; n++) if (size % n === 0) high = n
  if (size > mostAtOnce && high > 1) {
    // In two steps, the first of which has work for many lanes.
    const rows = inner(node, 'rows', reshaped(turned, [1, kept * high, 1, size / high]))
    const some = inner(node, 'some', pool(rows, [1, size / high]))
    const rest = inner(node, 'rest', reshaped(some, [1, kept, 1, high]))
    return reshaped(inner(node, 'pooled', pool(rest, [1, high])), result)
  }
  const image = high > 1 ? [1, kept, high, size / high] : [1, stays[0] ?? 1, kept / (stays[0] ?? 1), size]
  const made = pool(inner(node, 'image', reshaped(turned, image)), [high, size / high])
  return reshaped(inner(node, 'pooled', made), result)
}
