/** One ONNX node as converters and folders see it. */
import type { Op } from '../graph.js'
import type { Shape } from '../shapes.js'
import type { Constant } from './constant.js'
import {
  type AttributeProto,
  type NodeProto,
  type TensorProto,
  AttributeProto_AttributeType as Type,
} from './onnx_pb.js'

export interface OnnxNode {
  readonly type: string
  readonly opset: number
  /** Names the model in errors. */
  readonly file: string
  readonly attributes: Attributes
  /** Operands; absent optional ones at the end are not counted. */
  readonly operandCount: number
  readonly outputs: readonly string[]
  /** Whether operand `i` is there. */
  has(i: number): boolean
  /** The shape of operand `i`. */
  shape(i: number): Shape
  /** The layer that makes operand `i`; a constant is refused. */
  value(i: number): string
  /** Operand `i` if it is known at import; undefined if absent or computed. */
  constant(i: number): Constant | undefined
  /** Operand `i`, known at import; a computed or absent one is refused. */
  known(i: number, what: string): Constant
  /** The layer or the weight behind operand `i`: weights keep the name of their initializer. */
  operand(i: number): string
  /** A new weight, made of something: `hint` is its name unless that is taken. Float numbers only, all finite. */
  weight(hint: string, shape: Shape, data: Float32Array): string
  /** The node's result is this layer. `shape` only for Reshape. */
  add(op: Op, inputs: readonly string[], shape?: Shape): void
  /** A layer on the way to the result, called `<first result>_<type>_<what>`. `shape` only for Reshape. Returns its name. */
  layer(what: string, op: Op, inputs: readonly string[], shape?: Shape): string
  /** What a layer computes. */
  opOf(layer: string): Op
  /** The shape of a layer. */
  shapeOf(layer: string): Shape
  /** Result `output` is a layer of its own, called `name`. */
  addPart(output: number, name: string, op: Op, inputs: readonly string[]): void
  /** The node's result is a layer that is there already. */
  alias(layer: string): void
  /** Initializer or tensor name of operand `i`. */
  tensorName(i: number): string
  /** @throws QuantError 'model' naming node, type and file. */
  refuse(fact: string, hint?: string): never
}

export type Convert = (node: OnnxNode) => void

/** What to call a node in errors: its name, else what it makes. */
export const nameOf = (node: NodeProto): string => node.name || node.output[0] || node.opType

/** Attributes with undefined for absent ones. */
export interface Attributes {
  int(name: string): number | undefined
  ints(name: string): number[] | undefined
  float(name: string): number | undefined
  floats(name: string): number[] | undefined
  string(name: string): string | undefined
  tensor(name: string): TensorProto | undefined
}

/** @param refuse told of an attribute that is of another type than it is read as; files of old may not say the type. */
export function attributesOf(node: NodeProto, refuse: (fact: string) => never): Attributes {
  const byName = new Map(node.attribute.map((attribute) => [attribute.name, attribute]))
  const get = <T>(name: string, type: Type, read: (attribute: AttributeProto) => T): T | undefined => {
    const attribute = byName.get(name)
    if (attribute && attribute.type !== Type.UNDEFINED && attribute.type !== type)
      refuse(`attribute ${name} is of type ${Type[attribute.type] ?? attribute.type}, not ${Type[type]}`)
    return attribute && read(attribute)
  }
  return {
    int: (name) => get(name, Type.INT, ({ i }) => Number(i)),
    ints: (name) => get(name, Type.INTS, ({ ints }) => ints.map(Number)),
    float: (name) => get(name, Type.FLOAT, ({ f }) => f),
    floats: (name) => get(name, Type.FLOATS, ({ floats }) => floats),
    string: (name) => get(name, Type.STRING, ({ s }) => new TextDecoder().decode(s)),
    tensor: (name) => get(name, Type.TENSOR, ({ t }) => t),
  }
}

/** A list of integers that is an attribute in older opsets and an operand in newer ones; undefined when absent. */
export function integers(node: OnnxNode, attribute: string, operand: number): number[] | undefined {
  const given = node.attributes.ints(attribute)
  if (given) return given
  return node.has(operand) ? Array.from(node.known(operand, attribute).data) : undefined
}

/** -1 is the last axis. An axis out of range is refused. */
export function wholeAxis(node: OnnxNode, axis: number, rank: number): number {
  const whole = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(axis) || whole < 0 || whole >= rank)
    node.refuse(`axis ${axis} is out of range for rank ${rank}`)
  return whole
}
