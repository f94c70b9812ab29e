import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../src/ir/graph.js'
import { dequantize, openQuantized } from '../../src/quantize/execute.js'
import { lower } from '../../src/quantize/lower.js'
import type { QGraph, QNode } from '../../src/quantize/qgraph.js'
import { isInt } from '../../src/quantize/rounding.js'
import { golden, goldenNames, hasGolden } from './golden.js'

const numbers = (line: string, key: string): number[] =>
  (line.match(new RegExp(`\\b${key} = \\[?([-0-9, ]+)`))?.[1] ?? '').split(',').map(Number)

/** multiplier and shift as the vendor's text has them. */
function requantOf({ op }: QNode): { multiplier: readonly number[]; shift: readonly number[] } | undefined {
  if (op.type === 'ConvInt') return { multiplier: op.multipliers, shift: op.shifts }
  if (op.type === 'AddInt')
    return { multiplier: op.requants.map((r) => r.multiplier), shift: op.requants.map((r) => r.shift) }
  if ('requant' in op) return { multiplier: [op.requant.multiplier], shift: [op.requant.shift] }
  return undefined
}

describe.each(goldenNames)('%s with the vendor’s thresholds', (name) => {
  const skip = !hasGolden(name)

  it.skipIf(skip)('has the vendor’s values, types, multipliers and shifts', () => {
    const { graph, thresholds, lines } = golden(name)
    const quantized = lower(graph, thresholds, () => 'INT8')
    const theirs = lines(`${name}_int8_tpu.mlir`)
    const values = [...theirs].filter(([, line]) => !/top\.(Weight|None)/.test(line))
    expect(quantized.nodes.map((node) => node.name).toSorted()).toEqual(values.map(([layer]) => layer).toSorted())
    let requants = 0
    for (const node of quantized.nodes) {
      const line = theirs.get(node.name)!
      const type = line.slice(line.lastIndexOf('->'))
      if (isInt(node.type)) {
        const [, kind, scale] = type.match(/uniform<([iu]8):f32, ([-+.e0-9]+)>/)!
        expect([node.name, node.type.kind, node.type.scale]).toEqual([node.name, kind, Number(scale)])
      } else expect(type).not.toContain('uniform')
      const requant = requantOf(node)
      if (requant === undefined) continue
      requants += requant.multiplier.length
      const suffix = node.op.type === 'AddInt' || node.op.type === 'MatMulInt' ? 's' : ''
      expect(numbers(line, `multiplier${suffix}`)).toEqual(requant.multiplier)
      expect(numbers(line, `rshift${suffix}`)).toEqual(requant.shift)
    }
    expect(requants).toBeGreaterThan(100)
  })

  it.skipIf(skip)('has the vendor’s weights, biases and tables', () => {
    const { graph, thresholds, npz } = golden(name)
    const quantized = lower(graph, thresholds, () => 'INT8')
    const theirs = npz('tpu_int8_lowered_weights.npz')
    expect([...quantized.weights.keys()].toSorted()).toEqual([...theirs.keys()].toSorted())
    for (const [key, { shape, data }] of quantized.weights) {
      expect([key, ...shape]).toEqual([key, ...theirs.get(key)!.shape])
      expect(Buffer.compare(Buffer.from(data.buffer), bytesOf(theirs.get(key)!.data)), key).toBe(0)
    }
  })

  it.skipIf(skip)('computes the vendor’s 8-bit values', async () => {
    const { graph, thresholds, input, npz } = golden(name)
    const quantized = lower(graph, thresholds, () => 'INT8')
    const session = await openQuantized(quantized, { outputs: quantized.nodes.map((node) => node.name) })
    const ours = await session.run(input)
    await session.release()
    const theirs = npz('tpu_int8_all_tensors.npz')
    const different = quantized.nodes.filter((node) => {
      const { data } = dequantize(node, ours.get(node.name)!)
      const expected = theirs.get(node.name)!.data
      expect(data.length).toBe(expected.length)
      return data.some((value, i) => value !== expected[i])
    })
    expect(different.map((node) => node.name)).toEqual([])
    expect(ours.size).toBe(theirs.size)
  })

  it.skipIf(skip)('gives the chip’s outputs in mixed precision, but for a step here and there', async () => {
    const { graph, thresholds, precision, input, npz } = golden(name)
    const quantized = lower(graph, thresholds, precision)
    const placed = new Set(quantized.nodes.map((node) => node.type.kind))
    expect(placed.size).toBe(3)
    const outputs = await run(quantized, input)
    for (const [key, { data }] of outputs) {
      const expected = npz('network_outputs.npz').get(`cmodel_mixed/${key}`)!.data as Float32Array
      const stored = quantized.nodes.find((node) => `${node.name}_f32` === key)!.type
      const step = isInt(stored) ? stored.scale : 0
      const off = data.filter((value, i) => Math.abs(value - expected[i]!) > step / 2)
      expect(off.length).toBeLessThanOrEqual(data.length / 500)
      expect(largestDifference(data, expected)).toBeLessThan(step * 1.5)
    }
  })

  it.skipIf(skip)('gives the chip’s outputs in F32 and F16', async () => {
    const { graph, input, npz } = golden(name)
    for (const [precision, tolerance] of [
      ['F32', 2 ** -20],
      ['F16', 2 ** -10],
    ] as const) {
      const outputs = await run(
        lower(graph, undefined, () => precision),
        input,
      )
      for (const [key, { data }] of outputs) {
        const expected = npz('network_outputs.npz').get(`cmodel_${precision.toLowerCase()}/${key}`)!
          .data as Float32Array
        const largest = Math.max(...expected.map(Math.abs))
        expect(largestDifference(data, expected)).toBeLessThan(largest * tolerance)
      }
    }
  })
})

async function run(quantized: QGraph, input: Record<string, Tensor>): Promise<Map<string, Tensor>> {
  const session = await openQuantized(quantized)
  try {
    return await session.run(input)
  } finally {
    await session.release()
  }
}

const largestDifference = (a: Float32Array, b: Float32Array): number =>
  a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0)

const bytesOf = (data: ArrayBufferView): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength)
