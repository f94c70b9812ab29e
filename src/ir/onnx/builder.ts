/**
 * Writes ONNX models: the float graph for calibration, the integer-valued graph of the quantized executor, single layers for
 * the tuner. Opset 13, IR version 8. Callers add things in topological order; nothing is checked here, onnxruntime checks.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataType as DataType,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.js'

export { DataType }

/** Whole numbers become INT(S), others FLOAT(S): wrap a whole number that the operator wants as float in `float()`. */
export type AttributeValue = number | string | readonly number[] | { readonly float: number }

export const float = (value: number): { float: number } => ({ float: value })

export interface OnnxBuilder {
  /** A graph input; returns its name. */
  input(name: string, shape: readonly number[], type?: DataType): string
  /** An initializer; the type follows the array (float32, float64, int8, uint8, int32, int64). Returns its name. */
  weight(name: string, shape: readonly number[], data: InitializerData): string
  /** One node with one result; returns the result's name. Empty strings are absent optional operands. */
  node(type: string, inputs: readonly string[], output: string, attributes?: Record<string, AttributeValue>): string
  /** Makes a value a graph output. */
  output(name: string, shape: readonly number[], type?: DataType): void
  has(name: string): boolean
  /** The model's bytes. */
  finish(): Uint8Array
}

export type InitializerData = Float32Array | Float64Array | Int8Array | Uint8Array | Int32Array | BigInt64Array

export function onnxBuilder(name: string): OnnxBuilder {
  const graph = create(GraphProtoSchema, { name })
  const known = new Set<string>()
  return {
    input(input, shape, type = DataType.FLOAT) {
      graph.input.push(valueInfo(input, shape, type))
      known.add(input)
      return input
    },
    weight(weight, shape, data) {
      graph.initializer.push(tensor(weight, shape, data))
      known.add(weight)
      return weight
    },
    node(type, inputs, output, attributes = {}) {
      graph.node.push(
        create(NodeProtoSchema, {
          opType: type,
          name: output,
          input: [...inputs],
          output: [output],
          attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
        }),
      )
      known.add(output)
      return output
    },
    output(output, shape, type = DataType.FLOAT) {
      graph.output.push(valueInfo(output, shape, type))
    },
    has: (value) => known.has(value),
    finish: () =>
      toBinary(
        ModelProtoSchema,
        create(ModelProtoSchema, {
          irVersion: 8n,
          producerName: 'quant',
          graph,
          opsetImport: [{ domain: '', version: 13n }],
        }),
      ),
  }
}

function valueInfo(name: string, shape: readonly number[], elemType: DataType): ValueInfoProto {
  const dim = shape.map((n) => ({ value: { case: 'dimValue' as const, value: BigInt(n) } }))
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType, shape: { dim } } } },
  })
}

function tensor(name: string, shape: readonly number[], data: InitializerData): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: shape.map(BigInt),
    dataType: dataType(data),
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  })
}

function dataType(data: InitializerData): DataType {
  if (data instanceof Float32Array) return DataType.FLOAT
  if (data instanceof Float64Array) return DataType.DOUBLE
  if (data instanceof Int8Array) return DataType.INT8
  if (data instanceof Uint8Array) return DataType.UINT8
  if (data instanceof Int32Array) return DataType.INT32
  return DataType.INT64
}

function attribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'string')
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) })
  if (typeof value === 'number' && Number.isInteger(value))
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) })
  if (typeof value === 'number') return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value })
  if ('float' in value) return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float })
  if (value.every(Number.isInteger))
    return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) })
  return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats: [...value] })
}
