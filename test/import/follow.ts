/** The way of an ONNX file through quant, as far as it goes: what is taken must come through, or be refused by name. */
import assert from 'node:assert/strict'
import { readBmodel } from '../../src/bm1684x/bmodel/read.js'
import { writeBmodel } from '../../src/bm1684x/bmodel/write.js'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import { QuantError } from '../../src/errors.js'
import { checkGraph } from '../../src/ir/check.js'
import { emitOnnx } from '../../src/ir/emit.js'
import { type Graph, type Preprocess, sizeOf } from '../../src/ir/graph.js'
import { readNpz, writeNpz } from '../../src/ir/npz.js'
import { importOnnx } from '../../src/ir/onnx/import.js'
import { readTop } from '../../src/ir/top/read.js'
import { topWeights, writeTop } from '../../src/ir/top/write.js'
import { lower } from '../../src/quantize/lower.js'
import { readTpu } from '../../src/quantize/tpu/read.js'
import { tpuWeights, writeTpu } from '../../src/quantize/tpu/write.js'

export interface Way {
  /** Where it ended: `compiled`, or `<step>: <error code>`. */
  readonly end: string
  /** The error's words. */
  readonly message: string
}

/** Larger networks, and such of more layers, are not compiled: most of the time would go there. */
const mostCompiled = { numbers: 2 ** 19, layers: 60 }

/**
 * @param file how the file is called in messages
 * @param preprocess for models that take pictures
 * @throws what is not a QuantError, and errors of the test when one names neither file nor layer or a text does not read back
 */
export function follow(
  bytes: Uint8Array,
  file: string,
  precision: 'INT8' | 'F16' | 'F32' = 'INT8',
  preprocess?: Preprocess,
): Way {
  let graph: Graph
  try {
    graph = importOnnx(bytes, { file, name: 'm', preprocess })
  } catch (error) {
    return refused('import', error, [file])
  }
  // From here on nothing is wrong with the file: the graph is ours.
  checkGraph(graph)
  const text = writeTop(graph, { weightFile: 'm.npz' })
  const weights = writeNpz(topWeights(graph))
  const back = readTop(text, readNpz(weights, 'm.npz'), 'm.mlir')
  assert.deepEqual(back.nodes, graph.nodes)
  assert.deepEqual(back.outputs, graph.outputs)
  emitOnnx(graph)

  const names = graph.nodes.map(({ name }) => name)
  const size = Math.max(...graph.nodes.map(({ shape }) => sizeOf(shape)), weights.length / 4)
  if (size > mostCompiled.numbers || names.length > mostCompiled.layers) return { end: 'imported', message: '' }
  try {
    const thresholds = new Map(names.map((name, i) => [name, { threshold: 0.5 + (i % 5), min: -1, max: 1 }]))
    const quantized = lower(graph, thresholds, () => precision)
    const tpu = writeTpu(quantized, { weightFile: 'q.npz', mode: precision })
    const read = readTpu(tpu, readNpz(writeNpz(tpuWeights(quantized)), 'q.npz'), 'q.mlir')
    assert.deepEqual(
      read.nodes.map(({ name }) => name),
      quantized.nodes.map(({ name }) => name),
    )
    const program = generate(quantized)
    assert.equal(readBmodel(writeBmodel(program), 'm.bmodel').nets.length, 1)
  } catch (error) {
    return refused('compile', error, names)
  }
  return { end: 'compiled', message: '' }
}

/** An error as users may get it: by one of the two codes, naming one of `names`. */
function refused(step: string, error: unknown, names: readonly string[]): Way {
  if (!(error instanceof QuantError)) throw error
  if (error.code !== 'input' && error.code !== 'model') throw error
  if (!names.some((name) => error.message.includes(name)))
    throw new Error(`names neither file nor layer: ${error.message}`, { cause: error })
  return { end: `${step}: ${error.code}`, message: error.message }
}
