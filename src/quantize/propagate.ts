/**
 * From calibrated thresholds to the scale of every value. Layers that only move or clip data share one scale with their
 * neighbours, so that no rescale is needed between them. Three passes, in this order:
 *   concat    all operands take the concat's range, if nothing else (but a MaxPool) reads them
 *   backward  the operand takes the result's range, if nothing else reads it
 *   forward   the result takes the operand's range
 * Precisions play no part: a layer in float leaves every scale as it is.
 */
import type { Threshold, Thresholds } from '../calibrate/threshold.js'
import { QuantError } from '../errors.js'
import { type Graph, type OpType, usersOf } from '../ir/graph.js'
import type { IntType } from './rounding.js'

const backward: ReadonlySet<OpType> = new Set(['Relu', 'MaxPool', 'Reshape', 'LeakyRelu'])
const forward: ReadonlySet<OpType> = new Set([
  'Relu',
  'MaxPool',
  'Slice',
  'Pad',
  'Reshape',
  'Permute',
  'Upsample',
  'LeakyRelu',
])

/**
 * The 8-bit type of every value that has a threshold or gets one from a neighbour: unsigned with threshold / 255 if
 * the observed minimum is not below zero, else signed with threshold / 127.
 * @throws QuantError 'input' for a threshold that is not a positive number.
 */
export function propagateScales(graph: Graph, thresholds: Thresholds): Map<string, IntType> {
  const types = new Map<string, IntType>()
  for (const { name } of graph.nodes) {
    const threshold = thresholds.get(name)
    if (threshold !== undefined) types.set(name, typeOf(name, threshold))
  }
  const users = usersOf(graph)
  const outputs = new Set(graph.outputs)
  const readOnce = (value: string): boolean => !outputs.has(value) && users.get(value)?.length === 1

  for (const node of graph.nodes.toReversed()) {
    const type = types.get(node.name)
    if (node.op.type !== 'Concat' || type === undefined) continue
    const free = node.inputs.every(
      (value) =>
        types.has(value) &&
        (readOnce(value) ||
          (!outputs.has(value) &&
            users.get(value)?.every((user) => user.op.type === 'MaxPool' || user.name === node.name))),
    )
    if (free) for (const value of node.inputs) types.set(value, type)
  }
  for (const node of graph.nodes.toReversed()) {
    const type = types.get(node.name)
    const input = node.inputs[0]
    if (type && input !== undefined && backward.has(node.op.type) && readOnce(input)) types.set(input, type)
  }
  for (const node of graph.nodes) {
    const type = types.get(node.inputs[0] ?? '')
    if (type && forward.has(node.op.type)) types.set(node.name, type)
  }
  return types
}

function typeOf(name: string, { threshold, min }: Threshold): IntType {
  if (!(threshold > 0 && threshold < Infinity))
    throw new QuantError('input', `the threshold of ${name} is ${threshold}`, {
      hint: 'thresholds are positive numbers; calibrate again or correct the table',
    })
  return min < 0 ? { kind: 'i8', scale: threshold / 127 } : { kind: 'u8', scale: threshold / 255 }
}
