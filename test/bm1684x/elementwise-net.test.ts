/** Random nets of elementwise layers, quantized: the machine gives what the executor gives, whatever shapes, slices and strips. */
import { describe, expect, it } from 'vitest'
import { runOnCmodel } from '../../src/bm1684x/cmodel/run.js'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import { checkGraph } from '../../src/ir/check.js'
import type { FunctionOp, Graph, Node, Op, Weight } from '../../src/ir/graph.js'
import type { Precision } from '../../src/quantize/qgraph.js'
import { int, random } from '../quantize/reference.js'
import { differences, executed, onMachine, picture, quantized } from './net.js'

const noRelu = { relu: false, reluLimit: -1 } as const

const functions: readonly FunctionOp[] = [
  { type: 'Abs' },
  { type: 'Clip', min: -0.4, max: 0.9 },
  { type: 'Elu', alpha: 1 },
  { type: 'Exp' },
  { type: 'GELU', approximation: 'none' },
  { type: 'HardSigmoid', alpha: 0.2, beta: 0.5 },
  { type: 'HardSwish' },
  { type: 'Mish' },
  { type: 'Pow', exponent: 2 },
  { type: 'Softplus' },
  { type: 'Tanh' },
]

const shapes = [
  [1, 1, 1, 1],
  [1, 3, 37, 53],
  [2, 67, 5, 9],
  [1, 130, 1, 1],
  [1, 7, 90, 120],
  [3, 70],
  [1, 1],
  [2, 65, 11],
]

/** A chain with branches: every layer reads the last value, and those of two operands an earlier one or a constant too. */
function randomGraph(next: () => number, shape: readonly number[], wanted: readonly FunctionOp[] = functions): Graph {
  const nodes: Node[] = [{ name: 'x', op: { type: 'Input' }, inputs: [], shape }]
  const weights = new Map<string, Weight>()
  const one = <T>(list: readonly T[]): T => list[int(next, 0, list.length - 1)]!
  const constant = (own: readonly number[]): string => {
    const name = `w${weights.size}`
    const size = own.reduce((a, b) => a * b, 1)
    weights.set(name, { shape: own, data: Float32Array.from({ length: size }, () => 2 * next() - 0.9) })
    return name
  }
  const perChannel = shape.map((n, axis) => (axis === 1 ? n : 1))
  for (let i = 0; i < 7; i++) {
    const x = nodes.at(-1)!.name
    const other = (): string => (next() < 0.5 ? one(nodes).name : constant(one([perChannel, [1], []])))
    const pick = next()
    const two = one(['Sub', 'Min', 'Max'] as const)
    const op: Op =
      pick < 0.15
        ? { type: 'PRelu' }
        : pick < 0.6
          ? two === 'Sub'
            ? { type: two, ...noRelu }
            : { type: two }
          : one(wanted)
    const inputs = op.type === 'PRelu' ? [x, constant(perChannel)] : pick < 0.6 ? [x, other()] : [x]
    if (pick < 0.6 && op.type !== 'PRelu' && next() < 0.5) inputs.reverse()
    nodes.push({ name: `n${i}`, op, inputs, shape })
  }
  const graph = { name: 'net', nodes, weights, outputs: ['n6', 'n3'] }
  checkGraph(graph)
  return graph
}

const cmodel = process.env.QUANT_CMODEL

async function same(graph: Graph, precision: (layer: string) => Precision): Promise<void> {
  const q = quantized(graph, precision)
  const x = picture(graph.nodes[0]!.shape).map((v) => 3 * v - 1.2)
  const want = await executed(q, { x })
  const program = generate(q)
  const inputs = new Map([['x', x]])
  expect(differences(onMachine(program, inputs), want)).toBe(0)
  if (cmodel !== undefined) expect(differences(await runOnCmodel(cmodel, program, inputs), want)).toBe(0)
}

describe('a net of elementwise layers', () => {
  for (const [s, shape] of shapes.entries())
    for (const seed of [1, 2])
      it(`[${shape}], ${seed}`, async () => {
        await same(randomGraph(random(100 * s + seed), shape), () => 'INT8')
      })

  // What is exact in float: no product, no sum that both sides would round at different places.
  const exact: readonly FunctionOp[] = [{ type: 'Abs' }, { type: 'Clip', min: -0.4, max: 0.9 }, { type: 'Round' }]
  for (const [s, shape] of shapes.entries())
    it(`[${shape}] in float and 8 bit by turns`, async () => {
      const next = random(900 + s)
      const graph = randomGraph(next, shape, exact)
      const precisions = new Map(
        graph.nodes.map(({ name }) => [name, (['F32', 'INT8', 'F16'] as const)[int(next, 0, 2)]!]),
      )
      await same(graph, (layer) => precisions.get(layer)!)
    })
})
