/** The graph under construction: values with their types, casts that are shared, weights. */
import { QuantError } from '../../errors.js'
import type { Graph, Weight } from '../../ir/graph.js'
import type { QGraph, QNode, QType, QWeight } from '../qgraph.js'
import { type FloatKind, type IntType, isInt, roundTo } from '../rounding.js'

export interface IntValue {
  readonly name: string
  readonly type: IntType
}

export interface Lowering {
  readonly graph: Graph
  /** The 8-bit type of a layer's result. @throws QuantError naming the layer when it has no threshold. */
  intType(layer: string, reader: string): IntType
  /** The value stored in 8 bit: itself, or its cast. */
  int(value: string, reader: string): IntValue
  /** The value or weight stored in a float type: itself, its cast, or the rounded weight. */
  float(value: string, kind: FloatKind): string
  has(value: string): boolean
  typeOf(value: string): QType
  shapeOf(value: string): readonly number[]
  /** @throws QuantError when the operand is no weight. */
  constant(value: string, reader: string): Weight
  weight(name: string, weight: QWeight): string
  add(node: QNode): void
  finish(outputs: readonly string[]): QGraph
}

const castSuffix = { i8: 'si8', u8: 'ui8', f32: 'f32', f16: 'f16', bf16: 'bf16' } as const

export function startLowering(graph: Graph, scales: ReadonlyMap<string, IntType>): Lowering {
  const nodes: QNode[] = []
  const byName = new Map<string, QNode>()
  // Casts stand right behind the value they convert, wherever their first reader is.
  const casts = new Map<string, QNode[]>()
  const weights = new Map<string, QWeight>()

  const typeOf = (value: string): QType => known(value).type
  const known = (value: string): QNode => {
    const node = byName.get(value)
    if (node === undefined)
      throw new QuantError('model', `${value} is read before it is computed`, { hint: 'order the nodes of the graph' })
    return node
  }
  const cast = (value: string, type: QType): string => {
    const name = `${value}_${castSuffix[type.kind]}`
    const own = casts.get(value) ?? []
    casts.set(value, own)
    if (!own.some((node) => node.name === name))
      own.push({ name, op: { type: 'Cast' }, inputs: [value], shape: known(value).shape, type, layer: undefined })
    return name
  }
  const intType = (layer: string, reader: string): IntType => {
    const type = scales.get(layer)
    if (type !== undefined) return type
    const which = layer === reader ? `${layer} has no threshold` : `${layer} has no threshold, and ${reader} reads it`
    throw new QuantError('model', `${which} in INT8`, {
      hint: 'calibrate again, or compute the layer in another precision',
    })
  }
  const weight = (name: string, content: QWeight): string => {
    weights.set(name, content)
    return name
  }

  return {
    graph,
    intType,
    has: (value) => byName.has(value),
    typeOf,
    shapeOf: (value) => known(value).shape,
    int(value, reader) {
      const type = typeOf(value)
      if (isInt(type)) return { name: value, type }
      const stored = intType(value, reader)
      return { name: cast(value, stored), type: stored }
    },
    float(value, kind) {
      const constant = graph.weights.get(value)
      if (constant === undefined) return typeOf(value).kind === kind ? value : cast(value, { kind })
      if (kind === 'f32') return weight(value, { ...constant, kind })
      const data = constant.data.map((x) => roundTo(kind, x))
      return weight(`${value}_${kind}`, { shape: constant.shape, data, kind })
    },
    constant(value, reader) {
      const constant = graph.weights.get(value)
      if (constant !== undefined) return constant
      throw new QuantError('model', `${value}, which ${reader} reads, is no constant`, {
        hint: 'compute the layer in another precision',
      })
    },
    weight,
    add(node) {
      nodes.push(node)
      byName.set(node.name, node)
    },
    finish: (outputs) => ({
      name: graph.name,
      nodes: nodes.flatMap((node) => [node, ...(casts.get(node.name) ?? [])]),
      weights,
      outputs,
    }),
  }
}
