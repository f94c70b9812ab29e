/** ONNX bytes -> protobuf message, with one clear error for everything that is not a usable ONNX file. */
import { fromBinary } from '@bufbuild/protobuf'
import { QuantError } from '../../errors.js'
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  type ValueInfoProto,
} from './onnx_pb.js'

/**
 * @param file names the bytes in errors.
 * @throws QuantError 'input' for empty, truncated or foreign bytes, a model without a graph, or weights kept in another file.
 */
export function parseOnnx(bytes: Uint8Array, file: string): ModelProto {
  const what = `\`${file}\` (${bytes.length} bytes)`
  if (bytes.length === 0) throw new QuantError('input', `${what} is empty`, { hint: 'export the ONNX model again' })
  let model: ModelProto
  try {
    model = fromBinary(ModelProtoSchema, bytes)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new QuantError('input', `${what} is no ONNX model or is cut off: ${why}`, {
      hint: 'check that the file was copied or downloaded completely',
      cause,
    })
  }
  if (!model.graph || model.graph.node.length === 0)
    throw new QuantError('input', `${what} is no ONNX model: it has no graph`, {
      hint: 'give the path of an .onnx file',
    })
  for (const tensor of [...model.graph.initializer, ...attributeTensors(model.graph)])
    if (tensor.dataLocation === TensorProto_DataLocation.EXTERNAL || tensor.externalData.length > 0)
      throw new QuantError('input', `${what} keeps weight \`${tensor.name}\` in another file`, {
        hint: 'save it in one file: onnx.save(onnx.load(path), path, save_as_external_data=False)',
      })
  return model
}

function attributeTensors(graph: GraphProto): TensorProto[] {
  return graph.node.flatMap((node) => node.attribute.flatMap((attribute) => (attribute.t ? [attribute.t] : [])))
}

/** What a config can be checked against without importing. */
export interface OnnxSummary {
  /** Version of the standard operator set. */
  readonly opset: number
  /** Without initializers. An undefined dimension is dynamic; an undefined shape is not given at all. */
  readonly inputs: readonly { readonly name: string; readonly shape: readonly (number | undefined)[] | undefined }[]
  readonly outputs: readonly string[]
  /** Every tensor that a node makes, in the file's order: what `model.outputs` may name. */
  readonly tensors: readonly string[]
}

/** @throws as `parseOnnx`. */
export function inspectOnnx(bytes: Uint8Array, file: string): OnnxSummary {
  const model = parseOnnx(bytes, file)
  const graph = model.graph!
  return {
    opset: opsetOf(model),
    inputs: trueInputs(graph).map((input) => ({ name: input.name, shape: declaredShape(input) })),
    outputs: graph.output.map((output) => output.name),
    tensors: graph.node.flatMap((node) => node.output).filter((name) => name !== ''),
  }
}

/** Version of the standard operator set; 0 when the model imports none. */
export const opsetOf = (model: ModelProto): number =>
  Number(model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0)

/** Graph inputs that are fed: IR version 3 lists initializers among the inputs as well. */
export function trueInputs(graph: GraphProto): ValueInfoProto[] {
  const initializers = new Set(graph.initializer.map(({ name }) => name))
  return graph.input.filter(({ name }) => !initializers.has(name))
}

/** Dimensions that are named, missing or not positive count as dynamic. */
export function declaredShape(info: ValueInfoProto): (number | undefined)[] | undefined {
  const type = info.type?.value
  return (type?.case === 'tensorType' ? type.value.shape : undefined)?.dim.map(({ value }) =>
    value.case === 'dimValue' && value.value > 0n ? Number(value.value) : undefined,
  )
}
