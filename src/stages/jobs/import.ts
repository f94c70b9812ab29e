import * as disk from '../../disk.js'
import type { Preprocess } from '../../ir/graph.js'
import { writeNpz } from '../../ir/npz.js'
import { importOnnx } from '../../ir/onnx/import.js'
import { topWeights, writeTop } from '../../ir/top/write.js'

/** ONNX file -> NAME.mlir and its weights. */
export async function importModel(args: {
  model: string
  /** How the file is called in messages. */
  file: string
  name: string
  inputs: Record<string, number[]>
  outputs: readonly string[]
  preprocess: Preprocess
  mlir: string
  weights: string
  weightFile: string
}): Promise<{ layers: number; weights: number }> {
  const { file, name, inputs, outputs, preprocess } = args
  const graph = importOnnx(disk.readBytes(args.model), {
    file,
    name,
    inputs,
    preprocess,
    ...(outputs.length > 0 ? { outputs } : {}),
  })
  disk.writeAtomic(args.weights, writeNpz(topWeights(graph)))
  disk.writeAtomic(args.mlir, writeTop(graph, { weightFile: args.weightFile }))
  let weights = 0
  for (const { data } of graph.weights.values()) weights += data.length
  return { layers: graph.nodes.length, weights }
}
