/** Float nets by hand, quantized with made-up thresholds: what code generation gives must compute what the quantized graph means. */
import { expect } from 'vitest'
import { runProgram } from '../../src/bm1684x/machine/run.js'
import type { IoData, Program } from '../../src/bm1684x/program.js'
import type { Graph, Node, Op, Weight } from '../../src/ir/graph.js'
import { openQuantized } from '../../src/quantize/execute.js'
import { lower } from '../../src/quantize/lower.js'
import type { Precision, QGraph } from '../../src/quantize/qgraph.js'
import { random } from './random.js'

const noRelu = { relu: false, reluLimit: -1 } as const

export interface Net {
  /** Values are names; each call adds a node `<type><count>` and returns its name. */
  conv(x: string, channels: number, options?: Partial<Extract<Op, { type: 'Conv' }>>): string
  add(op: Op, inputs: readonly string[], shape: readonly number[]): string
  leaky(x: string): string
  pool(x: string, kernel: number, stride: number, pad?: number): string
  shapeOf(name: string): readonly number[]
  graph(outputs: readonly string[]): Graph
}

export function net(shape: readonly number[], seed = 1): Net {
  const next = random(seed)
  const nodes: Node[] = [{ name: 'x', op: { type: 'Input' }, inputs: [], shape }]
  const weights = new Map<string, Weight>()
  const shapeOf = (name: string): readonly number[] => nodes.find((node) => node.name === name)!.shape
  const weight = (name: string, size: readonly number[]): string => {
    const count = size.reduce((product, n) => product * n, 1)
    weights.set(name, { shape: size, data: Float32Array.from({ length: count }, () => next() - 0.5) })
    return name
  }
  const add: Net['add'] = (op, inputs, size) => {
    const name = `${op.type.toLowerCase()}${nodes.length}`
    nodes.push({ name, op, inputs, shape: size })
    return name
  }
  return {
    add,
    shapeOf,
    conv(x, channels, options = {}) {
      const [n, c, h, w] = shapeOf(x) as [number, number, number, number]
      const op = {
        type: 'Conv',
        kernel: [3, 3],
        strides: [1, 1],
        dilations: [1, 1],
        pads: [1, 1, 1, 1],
        group: 1,
        ...noRelu,
        ...options,
      } as const
      const size = (length: number, axis: 0 | 1): number => {
        const extent = (op.kernel[axis] - 1) * op.dilations[axis] + 1
        return Math.floor((length + op.pads[axis] + op.pads[axis + 2]! - extent) / op.strides[axis]) + 1
      }
      const id = nodes.length
      const operands = [x, weight(`w${id}`, [channels, c / op.group, ...op.kernel]), weight(`b${id}`, [channels])]
      return add(op, operands, [n, channels, size(h, 0), size(w, 1)])
    },
    leaky: (x) => add({ type: 'LeakyRelu', alpha: 0.1 }, [x], shapeOf(x)),
    pool(x, kernel, stride, pad = 0) {
      const [n, c, h, w] = shapeOf(x) as [number, number, number, number]
      const size = (length: number): number => Math.floor((length + 2 * pad - kernel) / stride) + 1
      const op = {
        type: 'MaxPool',
        kernel: [kernel, kernel],
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
      } as const
      return add(op, [x], [n, c, size(h), size(w)])
    },
    graph: (outputs) => ({ name: 'net', nodes, weights, outputs }),
  }
}

/**
 * Thresholds that differ from value to value, so that scales have to be converted between them.
 * @param shifted values reach less far below 0 than above, and have zero points where they can
 */
export function quantized(
  graph: Graph,
  precision: (layer: string) => Precision = () => 'INT8',
  shifted = false,
): QGraph {
  const thresholds = new Map(
    graph.nodes.map(({ name, op }, i) => [
      name,
      {
        threshold: 1 + ((i * 7) % 5) / 2,
        min: op.type === 'Input' && !shifted ? 0 : -1 / (shifted ? 2 + (i % 4) : 1),
        max: shifted ? 3 : 1,
        ...(shifted ? { asymmetric: true as const } : {}),
      },
    ]),
  )
  return lower(graph, thresholds, precision)
}

export function picture(shape: readonly number[], seed = 5): Float32Array {
  const next = random(seed)
  return Float32Array.from({ length: shape.reduce((product, n) => product * n, 1) }, () => next())
}

/** Outputs of the executor, by name. */
export async function executed(
  q: QGraph,
  feeds: Readonly<Record<string, Float32Array>>,
): Promise<Map<string, Float32Array>> {
  const session = await openQuantized(q)
  try {
    const tensors = Object.entries(feeds).map(([name, data]) => {
      return [name, { shape: q.nodes.find((node) => node.name === name)!.shape, data }] as const
    })
    const results = await session.run(Object.fromEntries(tensors))
    return new Map([...results].map(([name, { data }]) => [name, data]))
  } finally {
    await session.release()
  }
}

/** Something for every input, from -1 to 1. */
export const feedsOf = (q: QGraph): Record<string, Float32Array> =>
  Object.fromEntries(
    q.nodes.flatMap(({ name, op, shape }) =>
      op.type === 'Input' ? [[name, picture(shape).map((x) => 2 * x - 1)] as const] : [],
    ),
  )

/** The greatest difference, relative to the greatest value. */
export function distance(some: IoData, others: IoData): number {
  let [error, largest] = [0, 0]
  for (const [i, value] of others.entries()) {
    error = Math.max(error, Math.abs(value - some[i]!))
    largest = Math.max(largest, Math.abs(value))
  }
  expect(largest).toBeGreaterThan(0)
  return error / largest
}

/** How many elements of the outputs are not the same; all, where there is another number of them. */
export function differences(some: ReadonlyMap<string, IoData>, others: ReadonlyMap<string, IoData>): number {
  let count = 0
  for (const [name, values] of others) {
    const own = some.get(name)
    if (own?.length !== values.length) return Infinity
    for (let i = 0; i < values.length; i++) if (own[i] !== values[i]) count++
  }
  return some.size === others.size ? count : Infinity
}

/** Outputs of the machine, which have to be the same whichever engine runs ahead and whatever memory held before. */
export function onMachine(program: Program, inputs: ReadonlyMap<string, IoData>): Map<string, IoData> {
  const outputs = runProgram(program, inputs, { ahead: 'dma', fill: 0 })
  expect(differences(runProgram(program, inputs, { ahead: 'tiu', fill: 0xa5 }), outputs)).toBe(0)
  return outputs
}
