import type { AttributeValue, InitializerData } from '../../ir/onnx/builder.js'
import type { QNode, QOp, QType, QWeight } from '../qgraph.js'
import { zeroOf } from '../rounding.js'

/** What the emitters of single nodes need; every value is a float32 tensor of what the node stores. */
export interface Emission {
  /** The ONNX name of a node's value or of a weight as a float32 initializer. */
  value(name: string): string
  typeOf(node: string): QType
  shapeOf(node: string): readonly number[]
  weightOf(name: string): QWeight | undefined
  /** What a stored value can be: narrower than its type behind a LeakyRelu or a table. */
  rangeOf(node: string): Range
  /** One ONNX node; returns its result. Empty strings are absent operands. */
  step(type: string, inputs: readonly string[], attributes?: Record<string, AttributeValue>): string
  /** An initializer; a scalar without a shape. */
  constant(data: InitializerData, shape?: readonly number[]): string
  /** Whether MatMulInteger is exact on this processor. */
  readonly integerMatMul: boolean
}

export type Range = readonly [low: number, high: number]

/** What a conv's padded operand can be: its range, with the zero point in it. */
export function paddedRange(emission: Emission, name: string): Range {
  const [low, high] = emission.rangeOf(name)
  const zero = zeroOf(emission.typeOf(name))
  return [Math.min(low, zero), Math.max(high, zero)]
}

/** A node whose op is narrowed. An intersection with QNode would pair every op with every one of T: a minute of type checking. */
export type NodeOf<T extends QOp['type']> = Omit<QNode, 'op'> & { readonly op: Extract<QOp, { type: T }> }

/** Emits a node; returns the ONNX name of its value. */
export type Emit<T extends QOp['type']> = (emission: Emission, node: NodeOf<T>) => string

export const float32 = (emission: Emission, value: number): string => emission.constant(Float32Array.of(value))
export const float64 = (emission: Emission, value: number): string => emission.constant(Float64Array.of(value))
export const int64 = (emission: Emission, values: readonly number[]): string =>
  emission.constant(BigInt64Array.from(values, BigInt), [values.length])
