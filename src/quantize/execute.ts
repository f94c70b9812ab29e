/** Runs the quantized graph. */
import { QuantError } from '../errors.js'
import type { Tensor } from '../ir/graph.js'
import { DataType, onnxBuilder } from '../ir/onnx/builder.js'
import { openSession, type SessionOptions } from '../runtime/session.js'
import { emitQuantized } from './emit.js'
import type { QGraph, QNode } from './qgraph.js'
import { isInt, zeroOf } from './rounding.js'

export interface QuantizedSession {
  /**
   * One run. Feeds are float32: network inputs as they are, nodes of `from` in stored values (whole numbers for 8 bit).
   * @param into for some of the outputs buffers of their sizes, which are filled and returned; others are fresh
   * @returns node -> stored values, in the order of the outputs asked for
   * @throws QuantError 'runtime' for a feed that is missing or does not fit
   */
  run(feeds: Readonly<Record<string, Tensor>>, into?: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>>
  /** Frees the native memory. */
  release(): Promise<void>
}

/**
 * Prepares the part of the graph that the outputs need; whatever else is fed is left alone.
 * @param options.outputs names of nodes; without it the graph's outputs, which are float32
 * @param options.from nodes that are fed instead of computed: what lies upstream of them is not run. Their values must be
 *   ones that the graph can produce, since bounds derived from it decide how sums are kept exact
 */
export async function openQuantized(
  graph: QGraph,
  options: { outputs?: readonly string[]; from?: readonly string[] } & SessionOptions = {},
): Promise<QuantizedSession> {
  const { model, inputs, outputs } = emitQuantized(graph, { ...options, integerMatMul: await exactMatMul() })
  const session = await openSession(model, graph.name, options)
  return {
    async run(feeds, into) {
      const named = [...inputs].map(([name, input]) => {
        const feed = feeds[name]
        if (feed !== undefined) return [input, feed] as const
        throw new QuantError('runtime', `${graph.name} was run without a value for ${name}`, { hint: `feed ${name}` })
      })
      const given = [...(into ?? [])].map(([name, buffer]) => [outputs.get(name)!, buffer] as const)
      const results = await session.run(Object.fromEntries(named), into && Object.fromEntries(given))
      return new Map([...outputs].map(([name, output]) => [name, results.get(output)!]))
    },
    release: session.release,
  }
}

let exact: Promise<boolean> | undefined

/** Whether MatMulInteger sums without saturating: older processors add pairs of products in 16 bit. Tried once per process. */
export function exactMatMul(): Promise<boolean> {
  exact ??= tryMatMul()
  return exact
}

async function tryMatMul(): Promise<boolean> {
  const [rows, depth, columns] = [16, 64, 16]
  const builder = onnxBuilder('matmul')
  const x = builder.node('Cast', [builder.input('x', [depth, columns])], 'bytes', { to: DataType.INT8 })
  const filter = builder.weight('filter', [rows, depth], new Uint8Array(rows * depth).fill(255))
  const product = builder.node('MatMulInteger', [filter, x], 'product')
  builder.output(builder.node('Cast', [product], 'y', { to: DataType.FLOAT }), [rows, columns])
  const session = await openSession(builder.finish(), 'a matrix product')
  const results = await session.run({
    x: { shape: [depth, columns], data: new Float32Array(depth * columns).fill(127) },
  })
  await session.release()
  return results.get('y')!.data.every((sum) => sum === depth * 255 * 127)
}

/** Real values of what a node stores: scale * (stored - zero point) for the 8-bit types, in float32. */
export function dequantize({ type }: QNode, { shape, data }: Tensor): Tensor {
  if (!isInt(type)) return { shape, data }
  const scale = Math.fround(type.scale)
  const zero = zeroOf(type)
  return { shape, data: data.map((stored) => (stored - zero) * scale) }
}
