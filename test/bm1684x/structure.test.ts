/** Operators of structure as exporters write them, all the way: 8-bit bytes on the machine are the executor's, texts read back the same. */
import { describe, expect, it } from 'vitest'
import { runOnCmodel } from '../../src/bm1684x/cmodel/run.js'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import { runProgram } from '../../src/bm1684x/machine/run.js'
import { type Graph, inputsOf } from '../../src/ir/graph.js'
import { readTop } from '../../src/ir/top/read.js'
import { topWeights, writeTop } from '../../src/ir/top/write.js'
import { lower } from '../../src/quantize/lower.js'
import type { Precision, QGraph } from '../../src/quantize/qgraph.js'
import { readTpu } from '../../src/quantize/tpu/read.js'
import { tpuWeights, writeTpu } from '../../src/quantize/tpu/write.js'
import { imported } from '../import/helper.js'
import { structureCases } from '../import/structure-cases.js'
import { structureNets } from '../import/structure-nets.js'
import { differences, distance, executed, feedsOf, onMachine } from './net.js'

/** All signed, each value at a scale of its own. */
const quantized = (graph: Graph, precision: Precision): QGraph => {
  const of = ({ name }: { readonly name: string }, i: number) =>
    [name, { threshold: 1 + ((i * 7) % 5) / 2, min: -1, max: 1 }] as const
  return lower(graph, new Map(graph.nodes.map(of)), () => precision)
}

/** Of the many ways to pick pixels, two. */
const cases = structureCases.filter(
  ([what]) => !what.startsWith('Resize nearest,') || /asymmetric, floor|align_corners, round_prefer_ceil/.test(what),
)

/** Layers that are float whatever is asked for: their last bits depend on the order of sums. */
const exact = (q: QGraph): boolean => q.nodes.every(({ op }) => !['AvgPool', 'MatMul', 'Softmax'].includes(op.type))

describe('an operator of structure', () => {
  it.each(cases)('%s', async (_, __, onnx) => {
    const graph = imported(onnx)
    const weightFile = 'w.npz'
    const text = writeTop(graph, { weightFile })
    expect(readTop(text, new Map(topWeights(graph)), 'top.mlir').nodes).toEqual(graph.nodes)
    for (const precision of ['INT8', 'F32', 'F16'] as const) {
      const q = quantized(graph, precision)
      const lowered = writeTpu(q, { weightFile, mode: precision })
      const back = readTpu(lowered, new Map(tpuWeights(q)), 'tpu.mlir')
      expect(writeTpu(back, { weightFile, mode: precision })).toBe(lowered)
      const feeds = feedsOf(q)
      const expected = await executed(q, feeds)
      const made = onMachine(generate(q), new Map(Object.entries(feeds)))
      if (precision === 'INT8' && exact(q)) expect(differences(made, expected)).toBe(0)
      for (const [name, values] of expected) {
        expect(distance(made.get(name)!, values)).toBeLessThan({ INT8: 2e-2, F16: 2 ** -9, F32: 1e-5 }[precision])
      }
    }
    expect(inputsOf(graph)).toHaveLength(1)
  })
})

describe('a piece of a network', () => {
  it.each(Object.entries(structureNets))('%s', async (_, { exact, onnx }) => {
    for (const precision of ['INT8', 'F32'] as const) {
      const q = quantized(imported(onnx()), precision)
      const feeds = feedsOf(q)
      const expected = await executed(q, feeds)
      const made = onMachine(generate(q), new Map(Object.entries(feeds)))
      if (precision === 'INT8' && exact) expect(differences(made, expected)).toBe(0)
      for (const [name, values] of expected) {
        expect(new Set(values).size).toBeGreaterThan(8)
        expect(distance(made.get(name)!, values)).toBeLessThan(precision === 'INT8' ? 2e-2 : 1e-5)
      }
    }
  })
})

const library = process.env.QUANT_CMODEL
it.skipIf(!library)(
  "the vendor's C-model agrees",
  async () => {
    const nets = Object.entries(structureNets).map(([what, { onnx }]) => [what, [], onnx()] as const)
    for (const [what, , onnx] of [...cases, ...nets]) {
      const q = quantized(imported(onnx), 'INT8')
      const program = generate(q)
      const inputs = new Map(Object.entries(feedsOf(q)))
      const some = await runOnCmodel(library!, program, inputs, { ahead: 'dma', fill: 0x5a })
      const expected = runProgram(program, inputs)
      if (exact(q)) expect([what, differences(some, expected)]).toEqual([what, 0])
      for (const [name, values] of expected)
        expect([what, distance(some.get(name)!, values) < 2e-2]).toEqual([what, true])
    }
  },
  240_000,
)
