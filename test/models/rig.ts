/** A network from its file to the chip: what each step gives, beside onnxruntime with the file as it is. */

import { expect } from 'vitest'
import { runOnCmodel } from '../../src/bm1684x/cmodel/run.js'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import { runProgram } from '../../src/bm1684x/machine/run.js'
import { emitOnnx } from '../../src/ir/emit.js'
import { type Graph, inputsOf, sizeOf, type Tensor } from '../../src/ir/graph.js'
import type { ImportOptions } from '../../src/ir/onnx/import.js'
import { inspectOnnx } from '../../src/ir/onnx/read.js'
import { sameShape } from '../../src/ir/shapes.js'
import { openQuantized } from '../../src/quantize/execute.js'
import { lower } from '../../src/quantize/lower.js'
import type { QGraph } from '../../src/quantize/qgraph.js'
import { differences } from '../bm1684x/net.js'
import { edited, imported, numbers, relativeError, run } from '../import/helper.js'

const cmodel = process.env.QUANT_CMODEL

/** A network in float: of its file, and as imported. */
interface Compared {
  readonly graph: Graph
  /** Outputs of the file, by onnxruntime. */
  readonly float: readonly Tensor[]
  /** Outputs of import's graph. */
  readonly outputs: readonly Tensor[]
  /** Largest difference of the two, as a share of an output's largest value. */
  readonly error: number
}

interface Followed extends Compared {
  /** Outputs in 8 bit, by the executor. */
  readonly int8: readonly Tensor[]
  /** Of these against float, in dB. */
  readonly sqnr: readonly number[]
  /** Largest difference of the machine from the executor, as a share of an output's largest value; 0 is every bit. */
  readonly difference: number
  /** Operators that are not computed in 8 bit, each once. */
  readonly floatOps: readonly string[]
}

/** Patches of one colour: more like a picture than noise. */
function scene(shape: readonly number[], seed = 3): Tensor {
  const [, c = 1, h = 1, w = 1] = shape
  const colours = numbers(64 * c, seed).map((x) => (x + 1) / 2)
  const noise = numbers(sizeOf(shape), seed + 1)
  const data = Float32Array.from({ length: sizeOf(shape) }, (_, i) => {
    const [x, y, channel] = [i % w, Math.floor(i / w) % h, Math.floor(i / w / h)]
    const patch = Math.floor((8 * y) / h) * 8 + Math.floor((8 * x) / w)
    return 0.9 * colours[patch * c + (channel % c)]! + 0.05 * (noise[i]! + 1)
  })
  return { shape, data }
}

type Options = Partial<Pick<ImportOptions, 'outputs'>>

export async function compared(bytes: Uint8Array, options: Options = {}): Promise<Compared> {
  const graph = imported(bytes, options)
  const { values: _, ...found } = await bothWays(bytes, graph, options, graph.outputs)
  return found
}

/** @param wanted nodes whose values are needed besides */
async function bothWays(bytes: Uint8Array, graph: Graph, { outputs: names }: Options, wanted: readonly string[]) {
  const [input] = inputsOf(graph)
  const picture = scene(input!.shape)
  const file = withOutputs(bytes, names)
  const whole = await run(file, feedsOf(file, input!.name, picture))
  const given = names ? names.map((name) => whole.get(name)!) : [...whole.values()]
  // Indices are 64-bit integers in ONNX.
  const float = given.map(({ shape, data }) => ({ shape, data: Float32Array.from(data, Number) }))
  const values = await run(emitOnnx(graph, { outputs: wanted }), { [input!.name]: picture })
  const outputs = graph.outputs.map((name) => values.get(name)!)
  const error = Math.max(...outputs.map((value, i) => relativeError(value, float[i]!)))
  return { graph, float, outputs, error, values: values.set(input!.name, picture) }
}

export async function followed(bytes: Uint8Array, options: Options = {}): Promise<Followed> {
  const graph = imported(bytes, options)
  const layers = graph.nodes.filter(({ op }) => op.type !== 'Input').map(({ name }) => name)
  const { values, ...found } = await bothWays(bytes, graph, options, layers)
  const thresholds = new Map(
    [...values].map(([name, { data }]) => {
      let [min, max] = [0, 1e-6]
      for (const value of data) {
        min = Math.min(min, value)
        max = Math.max(max, value)
      }
      return [name, { threshold: Math.max(max, -min), min, max }]
    }),
  )
  const quantized = lower(graph, thresholds, () => 'INT8')
  const session = await openQuantized(quantized)
  const [input] = inputsOf(graph)
  const picture = values.get(input!.name)!
  const results = await session.run({ [input!.name]: picture })
  await session.release()
  const int8 = quantized.outputs.map((name) => results.get(name)!)

  const program = generate(quantized)
  const inputs = new Map([[input!.name, picture.data]])
  const made = runProgram(program, inputs)
  // The vendor's model of the chip and ours agree in every bit, float or not.
  if (cmodel !== undefined) expect(differences(await runOnCmodel(cmodel, program, inputs), made)).toBe(0)
  const machine = int8.map(({ shape }, i) => ({ shape, data: made.get(quantized.outputs[i]!) as Float32Array }))
  return {
    ...{ ...found, int8, floatOps: floatOps(quantized) },
    sqnr: int8.map((value, i) => sqnr(value, found.float[i]!)),
    difference: Math.max(...int8.map((value, i) => relativeError(machine[i]!, value))),
  }
}

const floatOps = ({ nodes }: QGraph): string[] => {
  const moved = ['Input', 'Cast', 'Reshape', 'Permute', 'ArgMax']
  const float = nodes.filter(({ op, type }) => !moved.includes(op.type) && !/^[iu]8$/.test(type.kind))
  return [...new Set(float.map(({ op }) => op.type))].sort()
}

/** What a file takes: the picture, with channels last where it wants that, and ones for all else. */
function feedsOf(file: Uint8Array, name: string, { shape, data }: Tensor): Record<string, Tensor> {
  const [, c, h, w] = shape as [number, number, number, number]
  const feed = (own: string, taken: readonly number[]): Tensor => {
    if (own !== name) return { shape: taken, data: new Float32Array(sizeOf(taken)).fill(1) }
    if (sameShape(taken, shape)) return { shape, data }
    return { shape: taken, data: data.map((_, i) => data[(i % c) * h * w + Math.floor(i / c)]!) }
  }
  return Object.fromEntries(
    inspectOnnx(file, 'm.onnx').inputs.map((input) => [input.name, feed(input.name, input.shape as number[])]),
  )
}

/** The same file with other outputs. */
const withOutputs = (bytes: Uint8Array, outputs: readonly string[] | undefined): Uint8Array =>
  outputs === undefined
    ? bytes
    : edited(bytes, ({ graph }) => {
        const [type] = graph!.output
        graph!.output = outputs.map((name) => ({ ...type!, name }))
      })

function sqnr(got: Tensor, want: Tensor): number {
  let [signal, noise] = [0, 0]
  for (const [i, value] of want.data.entries()) {
    signal += value ** 2
    noise += (value - got.data[i]!) ** 2
  }
  return 10 * Math.log10(signal / noise)
}
