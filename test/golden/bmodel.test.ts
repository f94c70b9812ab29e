/**
 * Whole networks through everything: lowered with the vendor's table, code generated, written as a .bmodel, read back and run. On the
 * vendor's input the outputs equal those that its own .bmodel gave on its C-model.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { programOf, readBmodel } from '../../src/bm1684x/bmodel/read.js'
import { writeBmodel } from '../../src/bm1684x/bmodel/write.js'
import { runOnCmodel } from '../../src/bm1684x/cmodel/run.js'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import { runProgram } from '../../src/bm1684x/machine/run.js'
import type { IoData, Program } from '../../src/bm1684x/program.js'
import { estimate } from '../../src/bm1684x/timing/simulate.js'
import type { Thresholds } from '../../src/calibrate/threshold.js'
import { emitOnnx } from '../../src/ir/emit.js'
import { type Graph, inputsOf, sizeOf, type Tensor } from '../../src/ir/graph.js'
import { importOnnx } from '../../src/ir/onnx/import.js'
import { lower } from '../../src/quantize/lower.js'
import type { Precision, QGraph } from '../../src/quantize/qgraph.js'
import { openSession } from '../../src/runtime/session.js'
import { differences, executed, onMachine } from '../bm1684x/net.js'
import { shared, yolov3Tiny } from '../shared.js'
import { golden, goldenNames, hasGolden } from './models.js'

const library = process.env.QUANT_CMODEL

/** A program as the file gives it back. */
function throughFile(q: QGraph): Program {
  const { nets } = readBmodel(writeBmodel(generate(q)), `${q.name}.bmodel`)
  return programOf(nets[0]!)
}

const floats = (feeds: Readonly<Record<string, Tensor>>): Map<string, IoData> =>
  new Map(Object.entries(feeds).map(([name, { data }]) => [name, data]))

test.skipIf(!hasGolden).each(goldenNames)("%s: the outputs of the vendor's own bmodel", (name) => {
  const { graph, thresholds, input, npz } = golden(name)
  const outputs = onMachine(throughFile(lower(graph, thresholds, () => 'INT8')), floats(input))
  const expected = [...npz('network_outputs.npz')].filter(([key]) => key.startsWith('cmodel_int8/'))
  expect(expected.length).toBe(outputs.size)
  for (const [key, { data }] of expected) {
    const made = outputs.get(key.replace('cmodel_int8/', ''))!
    expect(made.length).toBe(data.length)
    expect(made.findIndex((value, i) => value !== data[i])).toBe(-1)
  }
})

const zoo = (file: string) => shared('zoo', 'models', file)
const detectors: [file: string, bytes: () => Uint8Array][] = [
  ['yolo-fastest-1.1.onnx', () => bytesOf('yolo-fastest-1.1.onnx')],
  ['yolo-lite-voc-bn.onnx', () => bytesOf('yolo-lite-voc-bn.onnx')],
  ['yolov5n-320.onnx', () => bytesOf('yolov5n-320.onnx')],
]
const bytesOf = (file: string): Uint8Array => new Uint8Array(readFileSync(zoo(file)!))

/** The input of the reference data's "synthetic" tables. */
function synthetic(graph: Graph): Record<string, Tensor> {
  const { name, shape } = inputsOf(graph)[0]!
  const [, , h, w] = shape as [number, number, number, number]
  const at = (i: number) => (7 * Math.floor(i / (h * w)) + 3 * (Math.floor(i / w) % h) + 5 * (i % w)) % 32
  return { [name]: { shape, data: Float32Array.from({ length: sizeOf(shape) }, (_, i) => at(i) / 32) } }
}

/** Thresholds good enough to compute with: the extrema of one run. */
async function extrema(graph: Graph, feeds: Record<string, Tensor>): Promise<Thresholds> {
  const session = await openSession(emitOnnx(graph, { outputs: graph.nodes.map(({ name }) => name) }), graph.name)
  const values = await session.run(feeds)
  await session.release()
  return new Map(
    graph.nodes.map(({ name }) => {
      const data = (values.get(name) ?? feeds[name]!).data
      const [min, max] = data.reduce(([least, most], x) => [Math.min(least, x), Math.max(most, x)], [0, 0])
      return [name, { threshold: Math.max(-min, max), min, max }]
    }),
  )
}

test.skipIf(!zoo('yolov5n-320.onnx')).each(detectors)(
  '%s: the bmodel gives the bytes of the quantized graph',
  async (file, bytes) => {
    const graph = importOnnx(bytes(), { file, name: basename(file, '.onnx') })
    const feeds = synthetic(graph)
    const q = lower(graph, await extrema(graph, feeds), () => 'INT8')
    const expected = await executed(
      q,
      Object.fromEntries(Object.entries(feeds).map(([name, { data }]) => [name, data])),
    )
    for (const values of expected.values()) expect(new Set(values).size).toBeGreaterThan(16)
    const program = throughFile(q)
    expect(differences(runProgram(program, floats(feeds)), expected)).toBe(0)
    if (library) expect(differences(await runOnCmodel(library, program, floats(feeds)), expected)).toBe(0)
  },
)

test.skipIf(!library || !hasGolden)(
  "the vendor's C-model gives the same for our files, INT8 and with the vendor's choice of float layers",
  async () => {
    for (const name of goldenNames) {
      const { graph, thresholds, mixed, input, npz } = golden(name)
      for (const [kind, precision] of [
        ['cmodel_int8/', (): Precision => 'INT8'],
        ['cmodel_mixed/', mixed],
      ] as const) {
        const program = throughFile(lower(graph, thresholds, precision))
        for (const ahead of ['dma', 'tiu'] as const) {
          const outputs = await runOnCmodel(library!, program, floats(input), { ahead, fill: 0x5a })
          for (const [key, { data }] of npz('network_outputs.npz')) {
            if (!key.startsWith(kind)) continue
            const made = outputs.get(key.replace(kind, ''))!
            const wrong = Array.from(made, (value, i) => value !== data[i]).filter(Boolean).length
            // A float layer may be summed in another order: then a value may fall on the other side of a rounding.
            expect(wrong, `${name} ${key}`).toBeLessThanOrEqual(kind === 'cmodel_int8/' ? 0 : 0.01 * data.length)
          }
        }
      }
    }
  },
  300_000,
)

test.skipIf(!zoo('yolov5n.onnx')).each<Precision>(['F32', 'F16'])(
  'large pictures and filters fit in %s',
  (precision) => {
    for (const [bytes, most] of [
      [bytesOf('yolov5n.onnx'), 20],
      [yolov3Tiny(), 5],
    ] as const) {
      const graph = importOnnx(bytes, { file: 'large.onnx', name: 'large' })
      const program = generate(lower(graph, undefined, () => precision))
      expect(estimate(program).cycles / 1e6).toBeLessThan(most)
    }
  },
)
