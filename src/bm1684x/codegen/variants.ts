/**
 * Nodes made out of a node: a part of its output channels, whose weights are loaded by themselves; and the node on several strips of
 * the picture at once, which lie side by side as channels and so fill lanes that a net of few channels leaves idle.
 */
import { functionTypes } from '../../ir/functions.js'
import type { QNode, QOp, QWeight, QWeightData } from '../../quantize/qgraph.js'

export interface Variant {
  readonly node: QNode
  readonly weights: ReadonlyMap<string, QWeight>
}

/** Output channels [from, to) of a convolution without groups. */
export function channelPart({ node, weights }: Variant, from: number, to: number): Variant {
  const { op, inputs } = node
  if (op.type !== 'ConvInt' && op.type !== 'Conv') throw new Error(`${node.name} has no output channels to part`)
  const own = new Map(weights)
  for (const name of inputs.slice(1)) {
    const weight = weights.get(name)!
    const axis = weight.shape[0] === 1 && weight.shape.length === 4 && name === inputs[2] ? 1 : 0
    const size = weight.data.length / weight.shape[axis]!
    const shape = weight.shape.map((n, i) => (i === axis ? to - from : n))
    own.set(name, { ...weight, shape, data: weight.data.subarray(from * size, to * size) })
  }
  const shape = node.shape.map((n, axis) => (axis === 1 ? to - from : n))
  if (op.type === 'Conv') return { node: { ...node, shape }, weights: own }
  const { multipliers, shifts } = op
  const parted = { ...op, multipliers: multipliers.slice(from, to), shifts: shifts.slice(from, to) }
  return { node: { ...node, shape, op: parted }, weights: own }
}

const single = new Set<QOp['type']>([
  'Cast',
  'LeakyReluInt',
  'ReluInt',
  'MulShift',
  'Lut',
  'MaxPool',
  'AvgPoolInt',
  'AvgPool',
  'Spread',
  'Upsample',
  'LeakyRelu',
  'Relu',
  ...functionTypes,
])
const several = new Set<QOp['type']>(['AddInt', 'SubInt', 'SumInt', 'MulInt', 'Add', 'Sub', 'Mul', 'Div', 'Min', 'Max'])

/**
 * The node on `strips` strips: strip s of channel c is channel s * channels + c. Undefined for ops that cannot be computed so.
 */
export function stripped({ node, weights }: Variant, strips: number): Variant | undefined {
  const { op, inputs } = node
  if (strips === 1) return { node, weights }
  if (node.shape.length !== 4) return undefined
  const shape = node.shape.map((n, axis) => (axis === 1 ? n * strips : n))
  if (single.has(op.type)) return { node: { ...node, shape }, weights }
  if (several.has(op.type))
    return inputs.some((name) => weights.has(name)) ? undefined : { node: { ...node, shape }, weights }
  if (op.type !== 'ConvInt' && op.type !== 'Conv') return undefined
  const own = new Map(weights)
  const [filterName, biasName] = inputs.slice(1) as [string, string | undefined]
  const filter = weights.get(filterName)
  if (filter === undefined) return undefined
  own.set(
    filterName,
    op.group === 1
      ? blockDiagonal(filter, strips)
      : { ...repeated(filter, strips), shape: [filter.shape[0]! * strips, ...filter.shape.slice(1)] },
  )
  if (biasName !== undefined) {
    const bias = weights.get(biasName)!
    own.set(biasName, { ...repeated(bias, strips), shape: bias.shape.map((n) => (n === 1 ? 1 : n * strips)) })
  }
  const group = op.group === 1 ? 1 : op.group * strips
  if (op.type === 'Conv') return { node: { ...node, shape, op: { ...op, group } }, weights: own }
  const times = (values: readonly number[]): number[] => Array.from({ length: strips }, () => values).flat()
  const widened = { ...op, group, multipliers: times(op.multipliers), shifts: times(op.shifts) }
  return { node: { ...node, shape, op: widened }, weights: own }
}

function repeated(weight: QWeight, times: number): QWeight {
  const data = like(weight.data, weight.data.length * times)
  for (let i = 0; i < times; i++) data.set(weight.data, i * weight.data.length)
  return { ...weight, data }
}

/** [oc, ic, ...] becomes [oc * strips, ic * strips, ...], zeros off the diagonal. */
function blockDiagonal(filter: QWeight, strips: number): QWeight {
  const [oc, ic, ...kernel] = filter.shape as [number, number, ...number[]]
  const size = filter.data.length / oc
  const data = like(filter.data, filter.data.length * strips * strips)
  for (let strip = 0; strip < strips; strip++)
    for (let o = 0; o < oc; o++)
      data.set(filter.data.subarray(o * size, (o + 1) * size), ((strip * oc + o) * strips + strip) * size)
  return { ...filter, shape: [oc * strips, ic * strips, ...kernel], data }
}

const like = <D extends QWeightData>(data: D, length: number): D =>
  new (data.constructor as new (n: number) => D)(length)
