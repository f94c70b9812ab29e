/**
 * From calibrated thresholds to the scale of every value. Layers that only move or clip data share one scale with their
 * neighbours, so that no rescale is needed between them. Three passes, in this order:
 *   concat    (Min and Max too) all operands take the result's range, if nothing else (but a MaxPool) reads them
 *   backward  the operand takes the result's range, if nothing else reads it
 *   forward   the result takes the operand's range; so does a concat of nothing but parts of one value
 * Precisions play no part: a layer in float leaves every scale as it is.
 */
import type { ScaleGroup } from '../calibrate/best.js'
import type { Threshold, Thresholds } from '../calibrate/threshold.js'
import { QuantError } from '../errors.js'
import { type Graph, type OpType, usersOf } from '../ir/graph.js'
import { type IntType, zeroOf } from './rounding.js'
import { shiftedType, withoutZeroPoint } from './zero-points.js'

const joining: ReadonlySet<OpType> = new Set(['Concat', 'Min', 'Max'])
const backward: ReadonlySet<OpType> = new Set(['Relu', 'MaxPool', 'Reshape', 'LeakyRelu', 'PRelu', 'Abs'])
const forward: ReadonlySet<OpType> = new Set([
  'Relu',
  'MaxPool',
  'Slice',
  'Pad',
  'Reshape',
  'Permute',
  'Upsample',
  'LeakyRelu',
  'PRelu',
  'Abs',
])
/** Their results are values of the operand, no others. */
const parts: ReadonlySet<OpType> = new Set(['Slice', 'Reshape', 'Permute', 'Upsample'])

/**
 * The 8-bit type of every value that has a threshold or gets one from a neighbour: unsigned with threshold / 255 if
 * the observed minimum is not below zero, else signed with threshold / 127; or, if it is marked asymmetric, signed with a zero point.
 * Values that share their scale share the zero point, so one that cannot have one spoils it for all.
 * @throws QuantError 'input' for a threshold that is not a positive number.
 */
export function propagateScales(graph: Graph, thresholds: Thresholds): Map<string, IntType> {
  const types = new Map<string, IntType>()
  const symmetrical = new Map<IntType, IntType>()
  for (const { name, op } of graph.nodes) {
    const threshold = thresholds.get(name)
    if (threshold === undefined) continue
    // An Abs shares its scale with its operand, which may be negative.
    const { asymmetric: _, ...symmetric } = threshold
    const type = typeOf(name, op.type === 'Abs' ? { ...symmetric, min: -threshold.threshold } : symmetric)
    const shifted = threshold.asymmetric && op.type !== 'Abs' ? shiftedType(threshold) : undefined
    types.set(name, shifted ?? type)
    if (shifted) symmetrical.set(shifted, type)
  }
  const users = usersOf(graph)
  const outputs = new Set(graph.outputs)
  const readOnce = (value: string): boolean => !outputs.has(value) && users.get(value)?.length === 1

  for (const node of graph.nodes.toReversed()) {
    const type = types.get(node.name)
    if (!joining.has(node.op.type) || type === undefined) continue
    const values = node.inputs.filter((input) => !graph.weights.has(input))
    const free = values.every(
      (value) =>
        types.has(value) &&
        (readOnce(value) ||
          (!outputs.has(value) &&
            users.get(value)?.every((user) => user.op.type === 'MaxPool' || user.name === node.name))),
    )
    if (free) for (const value of values) types.set(value, type)
  }
  for (const node of graph.nodes.toReversed()) {
    const type = types.get(node.name)
    const input = node.inputs[0]
    if (type && input !== undefined && backward.has(node.op.type) && readOnce(input)) types.set(input, type)
  }
  // What a value is made of, when that is parts of one other.
  const whole = new Map<string, string>()
  for (const node of graph.nodes) {
    const type = types.get(node.inputs[0] ?? '')
    const [from, ...others] = node.inputs.map((value) => whole.get(value) ?? value)
    const rearranges =
      parts.has(node.op.type) ||
      (node.op.type === 'Concat' && !node.op.relu && others.length > 0 && others.every((other) => other === from))
    if (rearranges) whole.set(node.name, from!)
    if (type && (rearranges || forward.has(node.op.type))) types.set(node.name, type)
  }
  if (symmetrical.size === 0) return types
  const spoilt = withoutZeroPoint(graph, types)
  return new Map([...types].map(([name, type]) => [name, (spoilt.has(type) && symmetrical.get(type)) || type]))
}

/** The thresholds with those marked asymmetric that are worth it, and whose values can have a zero point wherever they go. */
export function withZeroPoints(graph: Graph, thresholds: Thresholds): Thresholds {
  const wished = new Map(
    [...thresholds].map(([name, threshold]) => [name, { ...threshold, asymmetric: true as const }]),
  )
  const types = propagateScales(graph, wished)
  return new Map(
    [...thresholds].map(([name, threshold]) => {
      const type = types.get(name)
      return [name, type && zeroOf(type) !== 0 ? wished.get(name)! : threshold]
    }),
  )
}

/** Which values share one scale, and whose threshold it is, in graph order: all of them, most groups have one member. */
export function scaleGroups(graph: Graph, thresholds: Thresholds): ScaleGroup[] {
  // Marked with thresholds that are all different, every type tells where it came from.
  const layers = graph.nodes.map(({ name }) => name).filter((name) => thresholds.has(name))
  const marks = new Map(
    layers.map((name, i) => {
      const { min, max } = thresholds.get(name)!
      return [name, { threshold: i + 1, min, max }]
    }),
  )
  const members = new Map<string, { signed: boolean; names: string[] }>()
  const types = propagateScales(graph, marks)
  for (const { name } of graph.nodes) {
    const type = types.get(name)
    if (type === undefined) continue
    const signed = type.kind === 'i8'
    const layer = layers[Math.round(type.scale * (signed ? 127 : 255)) - 1]!
    const known = members.get(layer) ?? { signed, names: [] }
    known.names.push(name)
    members.set(layer, known)
  }
  return [...members].map(([layer, { signed, names }]) => ({ layer, members: names, signed }))
}

function typeOf(name: string, { threshold, min }: Threshold): IntType {
  if (!(threshold > 0 && threshold < Infinity))
    throw new QuantError('input', `the threshold of ${name} is ${threshold}`, {
      hint: 'thresholds are positive numbers; calibrate again or correct the table',
    })
  return min < 0 ? { kind: 'i8', scale: threshold / 127 } : { kind: 'u8', scale: threshold / 255 }
}
