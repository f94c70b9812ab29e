/** Small ONNX models, and two ways to run one: as it is, and after import and emission. */
import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { expect } from 'vitest'
import { checkGraph } from '../../src/ir/check.js'
import { emitOnnx } from '../../src/ir/emit.js'
import { type Graph, inputsOf, sizeOf, type Tensor } from '../../src/ir/graph.js'
import { type OnnxBuilder, onnxBuilder } from '../../src/ir/onnx/builder.js'
import { type ImportOptions, importOnnx } from '../../src/ir/onnx/import.js'
import { type ModelProto, ModelProtoSchema } from '../../src/ir/onnx/onnx_pb.js'
import { openSession } from '../../src/runtime/session.js'

/** Numbers in -1..1 that are the same everywhere. */
export function numbers(size: number, seed = 1): Float32Array {
  let state = seed
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return state / 2 ** 31
  })
}

export const tensor = (shape: readonly number[], seed = 1): Tensor => ({ shape, data: numbers(sizeOf(shape), seed) })

/** A model of input `x` (float) and outputs whose shapes onnxruntime is left to find. */
export function model(
  shape: readonly number[],
  build: (b: Build) => void,
  { opset = 13, outputs = ['y'], edit = () => {} }: ModelOptions = {},
): Uint8Array {
  const builder = onnxBuilder('test')
  builder.input('x', shape)
  let seed = 10
  build({
    ...builder,
    random: (name, shape) => builder.weight(name, shape, numbers(sizeOf(shape), seed++)),
    integers: (name, values, shape = [values.length]) =>
      builder.weight(name, shape, BigInt64Array.from(values, BigInt)),
    floats: (name, values, shape = [values.length]) => builder.weight(name, shape, Float32Array.from(values)),
  })
  for (const output of outputs) builder.output(output, [])
  return edited(builder.finish(), (proto) => {
    proto.opsetImport[0]!.version = BigInt(opset)
    for (const output of proto.graph!.output) if (output.type?.value.case) delete output.type.value.value.shape
    edit(proto)
  })
}

interface ModelOptions {
  readonly opset?: number
  readonly outputs?: readonly string[]
  readonly edit?: (model: ModelProto) => void
}

interface Build extends OnnxBuilder {
  random(name: string, shape: readonly number[]): string
  integers(name: string, values: readonly number[], shape?: readonly number[]): string
  floats(name: string, values: readonly number[], shape?: readonly number[]): string
}

export function edited(bytes: Uint8Array, edit: (model: ModelProto) => void): Uint8Array {
  const proto = fromBinary(ModelProtoSchema, bytes)
  edit(proto)
  return toBinary(ModelProtoSchema, proto)
}

export const imported = (bytes: Uint8Array, options: Partial<ImportOptions> = {}): Graph => {
  const graph = importOnnx(bytes, { file: 'm.onnx', name: 'm', ...options })
  checkGraph(graph)
  return graph
}

/** Op types of a graph, inputs left out. */
export const opTypes = (graph: Graph): string[] =>
  graph.nodes.map(({ op }) => op.type).filter((type) => type !== 'Input')

export const names = (graph: Graph): string[] => graph.nodes.map(({ name }) => name)

export async function run(onnx: Uint8Array, feeds: Readonly<Record<string, Tensor>>): Promise<Map<string, Tensor>> {
  const session = await openSession(onnx, 'model')
  try {
    return await session.run(feeds)
  } finally {
    await session.release()
  }
}

export const runGraph = (graph: Graph, feeds: Readonly<Record<string, Tensor>>): Promise<Map<string, Tensor>> =>
  run(emitOnnx(graph), feeds)

/** Greatest difference, relative to the greatest absolute value of `want`. Shapes must agree. */
export function relativeError(got: Tensor, want: Tensor): number {
  expect(got.shape).toEqual(want.shape)
  let [error, most] = [0, 0]
  for (const [i, value] of want.data.entries()) {
    error = Math.max(error, Math.abs(value - got.data[i]!))
    most = Math.max(most, Math.abs(value))
  }
  expect(most).toBeGreaterThan(0)
  return error / most
}

/** Imports, runs both models on the same input and compares all outputs. */
export async function expectSame(
  onnx: Uint8Array,
  options: Partial<ImportOptions> = {},
  feed?: Tensor,
): Promise<Graph> {
  const graph = imported(onnx, options)
  const feeds = Object.fromEntries(inputsOf(graph).map(({ name, shape }, i) => [name, feed ?? tensor(shape, i + 1)]))
  const want = [...(await run(onnx, feeds)).values()]
  const got = await runGraph(graph, feeds)
  expect([...got.keys()]).toEqual(graph.outputs)
  for (const [i, value] of [...got.values()].entries()) expect(relativeError(value, want[i]!)).toBeLessThan(1e-5)
  return graph
}
