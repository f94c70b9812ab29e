/**
 * Side by side with the vendor's compiler and its chip model: given its calibration table, our lowering writes its lowered graph, byte
 * for byte, and our executor computes its tensors, bit for bit. Whatever may differ is named here.
 */
import { describe, expect, it } from 'vitest'
import { emitOnnx } from '../../src/ir/emit.js'
import type { Graph, Tensor } from '../../src/ir/graph.js'
import { writeTop } from '../../src/ir/top/write.js'
import { dequantize, openQuantized } from '../../src/quantize/execute.js'
import { lower } from '../../src/quantize/lower.js'
import type { QGraph } from '../../src/quantize/qgraph.js'
import { isInt } from '../../src/quantize/rounding.js'
import { writeTpu } from '../../src/quantize/tpu/write.js'
import { openSession } from '../../src/runtime/session.js'
import { digest, type Golden, golden, goldenNames, hasGolden, type Name, rows, symmetric } from './models.js'

/** What was compared: an assertion, so that no comparison can become empty. */
const sizes: Record<Name, { multipliers: number; weights: number; elements: { int8: number; mixed: number } }> = {
  small: { multipliers: 101, weights: 10_986, elements: { int8: 213_044, mixed: 311_348 } },
  street_tiny: { multipliers: 1_072, weights: 799_612, elements: { int8: 2_908_288, mixed: 2_957_440 } },
  yolo_lite_coco: { multipliers: 1_055, weights: 649_417, elements: { int8: 3_811_122, mixed: 3_110_912 } },
  yolov3_tiny_rand: { multipliers: 3_706, weights: 0, elements: { int8: 15_442_713, mixed: 18_211_609 } },
}

const lowered = ({ graph, thresholds, mixed }: Golden, variant: 'int8' | 'mixed'): QGraph =>
  lower(graph, thresholds, variant === 'mixed' ? mixed : () => 'INT8')

async function run(quantized: QGraph, input: Record<string, Tensor>, outputs = quantized.outputs) {
  const session = await openQuantized(quantized, { outputs })
  try {
    return await session.run(input)
  } finally {
    await session.release()
  }
}

const everything = (quantized: QGraph): string[] => quantized.nodes.map((node) => node.name)

/**
 * Values whose last bit is not laid down: results of float sums, which every processor and library adds up in its own order, and what is
 * computed from them.
 */
function unsettled({ nodes }: QGraph): Set<string> {
  const found = new Set<string>()
  for (const { name, op, inputs, type } of nodes) {
    const sum = ['Conv', 'MatMul', 'AvgPool'].includes(op.type) && !isInt(type)
    if (sum || inputs.some((input) => found.has(input))) found.add(name)
  }
  return found
}

describe.skipIf(!hasGolden).each(goldenNames)('%s with the vendor’s thresholds', (name) => {
  it('is the vendor’s text: operations, names, types, scales, multipliers, shifts', () => {
    const net = golden(name)
    expect(writeTop(net.graph, { weightFile: `${name}_top_f32_all_weight.npz` })).toBe(net.text(`${name}.mlir`))
    for (const variant of ['int8', 'mixed'] as const) {
      const original = net.text(`${name}_${variant}_tpu.mlir`)
      const theirs = symmetric(original)
      const weightFile = /weight_file = "(.*?)"/.exec(original)![1]!
      expect(writeTpu(lowered(net, variant), { weightFile, mode: 'INT8' })).toBe(theirs)
      if (variant === 'mixed') continue
      const lists = [...theirs.matchAll(/\bmultipliers? = \[?([-\d, ]+)/g)]
      expect(lists.flatMap(([, list]) => list!.split(',')).length).toBe(sizes[name].multipliers)
    }
  })

  // The reference has no weight file of the largest one; its tensors below stand for it.
  it.skipIf(name === 'yolov3_tiny_rand')('has the vendor’s weights, biases and tables', () => {
    const net = golden(name)
    const ours = lowered(net, 'int8').weights
    const theirs = net.npz('tpu_int8_lowered_weights.npz')
    expect([...ours.keys()].toSorted()).toEqual([...theirs.keys()].toSorted())
    let weights = 0
    for (const [key, { shape, data }] of ours) {
      const their = theirs.get(key)!
      expect([key, ...shape, digest(data)]).toEqual([key, ...their.shape, digest(their.data)])
      weights += data.length
    }
    expect(weights).toBe(sizes[name].weights)
  })

  it.each(['int8', 'mixed'] as const)('computes every value of the vendor’s run: %s', async (variant) => {
    const net = golden(name)
    const quantized = lowered(net, variant)
    const theirs = new Map(
      rows(net.text(`tensor_compare_${variant}.txt`)).map((columns) => [columns[0]!, columns.at(-1)!]),
    )
    const ours = await run(quantized, net.input, everything(quantized))
    expect([...ours.keys()].toSorted()).toEqual([...theirs.keys()].toSorted())
    // Only yolo_lite_coco has a conv in float.
    const loose = unsettled(quantized)
    expect(loose.size > 0).toBe(name === 'yolo_lite_coco' && variant === 'mixed')
    let elements = 0
    const different: string[] = []
    for (const node of quantized.nodes) {
      if (loose.has(node.name)) continue
      const { data } = dequantize(node, ours.get(node.name)!)
      elements += data.length
      if (digest(data) !== theirs.get(node.name)) different.push(node.name)
    }
    expect(different).toEqual([])
    expect(elements).toBe(sizes[name].elements[variant])
  })

  it.each(['int8', 'mixed'] as const)('gives the outputs of the chip model: %s', async (variant) => {
    const net = golden(name)
    const quantized = lowered(net, variant)
    const loose = unsettled(quantized)
    for (const [key, { data }] of await run(quantized, net.input)) {
      const expected = net.npz('network_outputs.npz').get(`cmodel_${variant}/${key}`)!.data as Float32Array
      expect(data.length).toBe(expected.length)
      const steps = differences(data, expected)
      if (!loose.has(key)) {
        expect(steps).toEqual({ count: 0, largest: 0 })
        continue
      }
      // A last bit turned in a float sum may turn a rounding to 8 bit behind it: one step, now and then.
      const { type } = quantized.nodes.find((node) => `${node.name}_f32` === key)!
      if (!isInt(type)) throw new Error(`${key} is not cast from 8 bit`)
      expect(steps.count).toBeLessThanOrEqual(data.length / 500)
      expect(steps.largest).toBeLessThan(type.scale * 1.5)
    }
  })

  // Relative to the largest output. Float sums of up to 4608 terms in another order; 16-bit results are rounded after every layer.
  it('gives the chip model’s outputs in F32 and F16, but for the order of float sums', async () => {
    const net = golden(name)
    const theirs = net.npz('network_outputs.npz')
    let compared = 0
    for (const [precision, tolerance] of [
      ['F32', 2 ** -17],
      ['F16', 2 ** -10],
    ] as const) {
      const quantized = lower(net.graph, undefined, () => precision)
      for (const [key, { data }] of await run(quantized, net.input)) {
        const expected = theirs.get(`cmodel_${precision.toLowerCase()}/${key}`)?.data as Float32Array | undefined
        // There is no F16 run of the largest network.
        if (expected === undefined) continue
        const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
        expect(differences(data, expected).largest).toBeLessThan(largest * tolerance)
        compared++
      }
    }
    expect(compared).toBe(net.graph.outputs.length * (name === 'yolov3_tiny_rand' ? 1 : 2))
  })

  /**
   * The vendor's interpreter adds up in float32, which is exact below 2^24, in any order, if the sum of the magnitudes is. It is, by
   * far: that is why not one of the values above differs from our exact sums.
   */
  it('keeps all sums of this run exact in float32', async () => {
    const net = golden(name)
    const quantized = lowered(net, 'int8')
    const values = await run(quantized, net.input, everything(quantized))
    let convs = 0
    for (const node of quantized.nodes) {
      if (node.op.type !== 'ConvInt') continue
      const magnitudes = await convolveMagnitudes(quantized, node.name, values)
      expect(Math.max(...magnitudes)).toBeLessThan(2 ** 24 / 5)
      convs++
    }
    expect(convs).toBeGreaterThan(3)
  })
})

function differences(ours: Float32Array, theirs: Float32Array): { count: number; largest: number } {
  let count = 0
  let largest = 0
  for (const [i, value] of ours.entries()) {
    if (value !== theirs[i]) count++
    largest = Math.max(largest, Math.abs(value - theirs[i]!))
  }
  return { count, largest }
}

/** sum |x| |w| + |bias|, the largest of each channel. */
async function convolveMagnitudes({ nodes, weights }: QGraph, name: string, values: ReadonlyMap<string, Tensor>) {
  const { op, inputs, shape } = nodes.find((node) => node.name === name)!
  if (op.type !== 'ConvInt') throw new Error(`${name} is no conv`)
  const x = values.get(inputs[0]!)!
  const size = (key: string) => {
    const weight = weights.get(key)!
    return { shape: weight.shape, data: Float32Array.from(weight.data, Math.abs) }
  }
  const { kernel, strides, dilations, pads, group } = op
  const filter = size(inputs[1]!)
  const bias = inputs[2] === undefined ? undefined : { ...size(inputs[2]), shape: [filter.shape[0]!] }
  const graph: Graph = {
    name,
    nodes: [
      { name: 'x', op: { type: 'Input' }, inputs: [], shape: x.shape },
      {
        name: 'y',
        op: { type: 'Conv', kernel, strides, dilations, pads, group, relu: false, reluLimit: -1 },
        inputs: bias ? ['x', 'w', 'b'] : ['x', 'w'],
        shape,
      },
    ],
    weights: new Map([['w', filter], ...(bias ? [['b', bias] as const] : [])]),
    outputs: ['y'],
  }
  const session = await openSession(emitOnnx(graph), name)
  try {
    const y = await session.run({ x: { shape: x.shape, data: x.data.map(Math.abs) } })
    const { data } = y.get('y')!
    const plane = data.length / shape[1]!
    return Array.from({ length: shape[1]! }, (_, c) =>
      data.subarray(c * plane, (c + 1) * plane).reduce((a, b) => Math.max(a, b), 0),
    )
  } finally {
    await session.release()
  }
}
