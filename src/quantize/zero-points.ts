/** Which values can have a zero point, and which gain by it. */
import type { Threshold } from '../calibrate/threshold.js'
import { isFunction } from '../ir/functions.js'
import type { Graph, Node, OpType } from '../ir/graph.js'
import { clamp, type IntType, roundHalfAway } from './rounding.js'

/**
 * What computes on values with a zero point without another command on the chip, or with one addition; besides functions, which are
 * tables. A LeakyRelu is none: finer steps behind it gain nothing, since what it reads has the same steps.
 */
const operandsWithZero: ReadonlySet<OpType> = new Set([
  'Conv',
  'MatMul',
  'Scale',
  'Add',
  'Sub',
  'Min',
  'Max',
  'Concat',
  'MaxPool',
  'Upsample',
  'Permute',
  'Reshape',
  'Slice',
  'Pad',
  'Softmax',
  'Div',
  'ArgMax',
])
const resultsWithZero: ReadonlySet<OpType> = new Set<OpType>([...operandsWithZero, 'Deconv', 'Input'])

/** Of the symmetric step: a smaller gain does not pay for the additions. */
const worthwhile = 0.9

/** The types of which a value is computed or read by what takes no zero points. */
export function withoutZeroPoint(graph: Graph, types: ReadonlyMap<string, IntType>): Set<IntType | undefined> {
  const shapes = new Map(graph.nodes.map(({ name, shape }) => [name, shape]))
  const found = new Set<IntType | undefined>()
  for (const node of graph.nodes) {
    const { name, op, inputs } = node
    const product = op.type === 'MatMul' && !graph.weights.has(inputs[1]!)
    const refused = product || (op.type === 'Concat' && op.relu) || spreads(node, shapes)
    if (refused || !(resultsWithZero.has(op.type) || isFunction(op))) found.add(types.get(name))
    if (refused || !(operandsWithZero.has(op.type) || isFunction(op)))
      for (const input of inputs) found.add(types.get(input))
  }
  return found
}

/** Whether a sum has a constant or an operand of another shape, which is read again and again: a rescale with a zero point cannot. */
const spreads = ({ op, inputs, shape }: Node, shapes: ReadonlyMap<string, readonly number[]>): boolean =>
  (op.type === 'Add' || op.type === 'Sub') && inputs.some((input) => shapes.get(input)?.join() !== shape.join())

/**
 * From the larger of -threshold and the minimum to the smaller of threshold and the maximum, 0 among them, in 255 steps; none where
 * that is hardly finer than the symmetric type. Scale and zero point as the vendor's: zero = round(-128 - low / scale).
 */
export function shiftedType({ threshold, min, max }: Threshold): IntType | undefined {
  const [low, high] = [Math.max(min, -threshold), Math.max(0, Math.min(max, threshold))]
  const scale = (high - low) / 255
  if (!(low < 0) || scale > (worthwhile * threshold) / 127) return undefined
  const zero = clamp(roundHalfAway(-128 - low / scale), -128, 127)
  return zero === 0 ? undefined : { kind: 'i8', scale, zero }
}
