/** From quantized graphs to programs: what the machine makes of them is what the executor says, byte for byte. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, test } from 'vitest'
import { programOf, readBmodel } from '../../src/bm1684x/bmodel/read.js'
import { writeBmodel } from '../../src/bm1684x/bmodel/write.js'
import { laneBytes } from '../../src/bm1684x/chip.js'
import { runOnCmodel } from '../../src/bm1684x/cmodel/run.js'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import { loadOutput, storeInputs } from '../../src/bm1684x/io.js'
import { checkInstruction } from '../../src/bm1684x/isa/check.js'
import { encode } from '../../src/bm1684x/isa/encode.js'
import { runProgram } from '../../src/bm1684x/machine/run.js'
import { estimate } from '../../src/bm1684x/timing/simulate.js'
import type { Graph } from '../../src/ir/graph.js'
import { importOnnx } from '../../src/ir/onnx/import.js'
import { lower } from '../../src/quantize/lower.js'
import type { Precision } from '../../src/quantize/qgraph.js'
import { zeroOf } from '../../src/quantize/rounding.js'
import { golden, hasGolden, type Name } from '../golden/models.js'
import { differences, executed, type Net, net, onMachine, picture, quantized } from './net.js'

const noRelu = { relu: false, reluLimit: -1 } as const

/** A picture, and a name for the value or values that the net ends in. */
const nets: Record<string, () => { net: Net; shape: readonly number[]; outputs: readonly string[] }> = {
  'a picture of three channels on many lanes, padding between strips': () => {
    const shape = [1, 3, 61, 40]
    const n = net(shape)
    const a = n.pool(n.leaky(n.conv('x', 8)), 2, 2)
    const b = n.leaky(n.conv(a, 16, { strides: [2, 2] }))
    return { net: n, shape, outputs: [n.pool(n.conv(b, 20), 3, 1, 1)] }
  },
  'a residual block in slices': () => {
    const shape = [1, 3, 160, 200]
    const n = net(shape)
    const a = n.leaky(n.conv('x', 34))
    const b = n.conv(n.leaky(n.conv(a, 33, { kernel: [1, 1], pads: [0, 0, 0, 0] })), 34)
    return { net: n, shape, outputs: [n.pool(n.add({ type: 'Add', ...noRelu }, [a, b], n.shapeOf(a)), 8, 8)] }
  },
  'parts of a concat at channels that are no multiple of 64, one used twice': () => {
    const shape = [1, 3, 24, 24]
    const n = net(shape)
    const a = n.conv('x', 10, { strides: [2, 2] })
    const b = n.leaky(a)
    const c = n.add({ type: 'Upsample', scaleH: 2, scaleW: 2 }, [n.pool(a, 2, 2)], [1, 10, 12, 12])
    const d = n.add({ type: 'Concat', axis: 1, ...noRelu }, [b, c, b], [1, 30, 12, 12])
    return { net: n, shape, outputs: [n.conv(d, 12), n.add({ type: 'Sigmoid' }, [d], [1, 30, 12, 12])] }
  },
  'depthwise and grouped convolutions': () => {
    const shape = [1, 3, 40, 40]
    const n = net(shape)
    const a = n.conv('x', 24, { strides: [2, 2] })
    const b = n.leaky(n.conv(a, 24, { group: 24 }))
    return { net: n, shape, outputs: [n.conv(b, 48, { group: 4, dilations: [2, 2], pads: [2, 2, 2, 2] })] }
  },
  'a batch of three': () => {
    const shape = [3, 3, 32, 32]
    const n = net(shape)
    const a = n.leaky(n.conv('x', 16))
    const b = n.conv(a, 16)
    const c = n.add({ type: 'Concat', axis: 1, ...noRelu }, [a, b], [3, 32, 32, 32])
    return { net: n, shape, outputs: [n.conv(c, 130, { strides: [2, 2] })] }
  },
  'coefficients that come in parts': () => {
    const shape = [1, 3, 13, 13]
    const n = net(shape)
    return { net: n, shape, outputs: [n.conv(n.leaky(n.conv(n.conv('x', 256), 300)), 100)] }
  },
  'everything that takes zero points': () => {
    const shape = [1, 3, 50, 40]
    const n = net(shape)
    const a = n.add({ type: 'SiLU' }, [n.conv('x', 20)], [1, 20, 50, 40])
    const b = n.conv(a, 20)
    const c = n.add({ type: 'Add', ...noRelu }, [a, b], [1, 20, 50, 40])
    const d = n.add({ type: 'Sub', relu: true, reluLimit: -1 }, [c, n.pool(b, 3, 1, 1)], [1, 20, 50, 40])
    const e = n.add({ type: 'Concat', axis: 1, ...noRelu }, [a, d, c], [1, 60, 50, 40])
    const f = n.conv(e, 60, { group: 60, strides: [2, 2] })
    const g = n.add({ type: 'Max' }, [n.pool(e, 2, 2), f], [1, 60, 25, 20])
    const h = n.add({ type: 'HardSwish' }, [n.conv(g, 20, { group: 4 })], [1, 20, 25, 20])
    const padded = n.add({ type: 'Pad', paddings: [0, 0, 1, 1, 0, 0, 2, 3], value: 0.2 }, [h], [1, 20, 28, 24])
    const up = n.add({ type: 'Upsample', scaleH: 2, scaleW: 2 }, [n.conv(padded, 9)], [1, 9, 56, 48])
    return { net: n, shape, outputs: [up, h, n.leaky(n.conv(up, 5, { relu: true }))] }
  },
  'views: slices, padding, permutations, reshapes': () => {
    const shape = [1, 3, 20, 12]
    const n = net(shape)
    const a = n.conv('x', 30)
    const cut = { type: 'Slice', offsets: [0, 4, 2, 0], ends: [1, 24, 18, 12], steps: [1, 1, 2, 1] } as const
    const b = n.conv(n.add(cut, [a], [1, 20, 8, 12]), 18)
    const columns = { type: 'Slice', offsets: [0, 0, 0, 1], ends: [1, 18, 8, 12], steps: [1, 1, 1, 2] } as const
    const c = n.add(columns, [b], [1, 18, 8, 6])
    const padded = n.add({ type: 'Pad', paddings: [0, 0, 1, 0, 0, 2, 1, 3], value: 0.5 }, [c], [1, 20, 10, 9])
    const d = n.conv(padded, 18)
    const split = n.add({ type: 'Reshape' }, [d], [1, 3, 6, 10, 9])
    const heads = n.add({ type: 'Permute', order: [0, 1, 3, 4, 2] }, [split], [1, 3, 10, 9, 6])
    const table = n.add({ type: 'Sigmoid' }, [heads], [1, 3, 10, 9, 6])
    const boxes = n.add({ type: 'Reshape' }, [table], [1, 270, 6])
    return { net: n, shape, outputs: [boxes, n.add({ type: 'Permute', order: [0, 2, 3, 1] }, [b], [1, 8, 12, 18])] }
  },
  'a classifier with a global pool': () => {
    const shape = [1, 3, 32, 32]
    const n = net(shape)
    const a = n.conv('x', 40, { strides: [2, 2], relu: true })
    const pool = { type: 'AvgPool', kernel: [16, 16], strides: [1, 1], pads: [0, 0, 0, 0] } as const
    const b = n.add({ ...pool, countIncludePad: true, keepDims: true }, [a], [1, 40, 1, 1])
    return { net: n, shape, outputs: [n.conv(b, 10, { kernel: [1, 1], pads: [0, 0, 0, 0] })] }
  },
}

const shifts = [
  ['', false],
  [', with zero points', true],
] as const

describe('the machine gives the bytes of the executor', () => {
  const both = Object.entries(nets).flatMap(([story, build]) =>
    shifts.map(([how, shifted]) => [`${story}${how}`, build, shifted] as const),
  )
  test.each(both)('%s', async (_, build, shifted) => {
    const { net: n, shape, outputs } = build()
    const q = quantized(n.graph(outputs), () => 'INT8', shifted)
    expect(q.nodes.some(({ type }) => zeroOf(type) !== 0)).toBe(shifted)
    const x = picture(shape)
    const program = generate(q)
    expect([...program.tiu, ...program.dma].flatMap((command) => checkInstruction(command))).toEqual([])
    const expected = await executed(q, { x })
    // Not by being all alike.
    for (const values of expected.values()) expect(new Set(values).size).toBeGreaterThan(shifted ? 3 : 8)
    expect(differences(onMachine(program, new Map([['x', x]])), expected)).toBe(0)
  })
})

const street = (): Graph => {
  const file = fileURLToPath(new URL('../../examples/street/model/street-tiny.onnx', import.meta.url))
  return importOnnx(new Uint8Array(readFileSync(file)), { file, name: 'street' })
}

test('the example, in 8 bit and with a layer in float; and the same program every time', async () => {
  const graph = street()
  const x = picture([1, 3, 256, 256])
  const input = graph.nodes[0]!.name
  for (const float of [undefined, 'convolution_output11_Conv']) {
    const q = quantized(graph, (layer) => (layer === float ? 'F32' : 'INT8'))
    const program = generate(q)
    const again = generate(q)
    expect(Buffer.compare(again.coefficients, program.coefficients)).toBe(0)
    expect({ ...again, coefficients: 0 }).toEqual({ ...program, coefficients: 0 })
    const outputs = onMachine(program, new Map([[input, x]]))
    for (const [name, values] of await executed(q, { [input]: x })) {
      const made = outputs.get(name) as Float32Array
      const largest = Math.max(...values.map(Math.abs))
      const error = Math.max(...values.map((value, i) => Math.abs(value - made[i]!)))
      // A float sum in another order may fall on the other side of a rounding, which then spreads by a step or two.
      expect(error / largest).toBeLessThanOrEqual(float === undefined ? 0 : 0.04)
    }
  }
})

test.each<Precision>(['F16', 'BF16', 'F32'])('the example in %s is near the executor', async (precision) => {
  const q = quantized(street(), () => precision)
  const x = picture([1, 3, 256, 256])
  const outputs = onMachine(generate(q), new Map([[q.nodes[0]!.name, x]]))
  const step = { F16: 2 ** -11, BF16: 2 ** -8, F32: 2 ** -20, INT8: 0 }[precision]
  for (const [name, values] of await executed(q, { [q.nodes[0]!.name]: x })) {
    const made = outputs.get(name) as Float32Array
    const largest = Math.max(...values.map(Math.abs))
    const error = Math.max(...values.map((value, i) => Math.abs(value - made[i]!)))
    expect(largest).toBeGreaterThan(1)
    expect(error / largest).toBeLessThan(4 * step)
  }
})

test.each<Precision>(['F16', 'BF16', 'F32'])(
  'a net in %s that works on strips of the picture does not see what lies in memory around them',
  async (precision) => {
    const n = net([1, 16, 120, 160])
    const point = { kernel: [1, 1], pads: [0, 0, 0, 0] } as const
    const halved = n.conv(n.conv('x', 32, point), 32, { group: 32, strides: [2, 2] })
    const q = quantized(n.graph([n.conv(n.conv(halved, 32, point), 32, { group: 32 })]), () => precision)
    const program = generate(q)
    const inputs = new Map([['x', picture([1, 16, 120, 160])]])
    // NaN in every float type.
    const [clean, full] = [0, 0xff].map((fill) => runProgram(program, inputs, { fill }).values().next().value!)
    expect(new Set(clean).size).toBeGreaterThan(100)
    expect(full).toEqual(clean)
  },
)

test('inputs and outputs may stay in 8 bit', async () => {
  const n = net([1, 3, 16, 16])
  const q = quantized(n.graph([n.conv('x', 8)]))
  const program = generate(q, { quantInput: true, quantOutput: true })
  const [input, output] = [program.inputs[0]!, program.outputs[0]!]
  expect([input.type, output.type, output.name]).toEqual(['u8', 'i8', 'conv1'])
  const x = picture([1, 3, 16, 16])
  const stored = Uint8Array.from(x, (value) => Math.min(255, Math.round(value / input.scale)))
  const values = onMachine(program, new Map([['x', stored]])).get('conv1') as Int8Array
  const [expected] = [...(await executed(q, { x })).values()]
  expect(Float32Array.from(values, (value) => value * Math.fround(output.scale))).toEqual(expected)
  expect(generate(q).inputs[0]!.type).toBe('f32')
})

test('so may they with zero points, of which the file tells', async () => {
  const n = net([1, 3, 16, 16])
  const q = quantized(n.graph([n.conv('x', 8)]), () => 'INT8', true)
  const file = writeBmodel(generate(q, { quantInput: true, quantOutput: true }))
  const program = programOf(readBmodel(file, 'net').nets[0]!)
  const [input, output] = [program.inputs[0]!, program.outputs[0]!]
  expect([input.zero, output.zero]).toEqual([-43, -92])
  const x = picture([1, 3, 16, 16])
  const arrays = new Map([['x', { shape: input.shape, data: x }]])
  const made = onMachine(program, storeInputs(program.inputs, arrays, 'x')).get('conv1')!
  const [expected] = [...(await executed(q, { x })).values()]
  const real = loadOutput(output, made).data
  // The file keeps scales as float32.
  expect(Math.max(...real.map((value, i) => Math.abs(value - expected![i]!)))).toBeLessThan(1e-6)
})

test('a layer that does not fit is named, and so is one that no command computes', () => {
  const wide = net([1, 3, 8, 8])
  const filter = { kernel: [8, 8], pads: [0, 0, 0, 0] } as const
  const many = wide.conv(wide.conv('x', 4096, { kernel: [1, 1], pads: [0, 0, 0, 0] }), 64, filter)
  expect(64 * 64 * 64).toBe(laneBytes)
  expect(() => generate(quantized(wide.graph([many])))).toThrow(/conv2 does not fit the BM1684X.*coefficients/)
  const cut = net([1, 3, 8, 8])
  const padding = { type: 'Pad', paddings: [0, 0, -1, 0, 0, 0, 0, 0], value: 0 } as const
  const smaller = cut.add(padding, [cut.conv('x', 4)], [1, 4, 7, 8])
  expect(() => generate(quantized(cut.graph([smaller])))).toThrow(
    'pad2 cannot be compiled for the BM1684X: a negative padding',
  )
})

test('streams count from 1, wait for what exists, and never wait for less than before', () => {
  const program = generate(quantized(street()))
  for (const [own, other] of [
    [program.tiu, program.dma],
    [program.dma, program.tiu],
  ] as const) {
    let before = 0
    own.slice(0, -1).forEach(({ fields }, i) => {
      expect(fields.cmd_id).toBe(i + 1)
      expect(fields.cmd_id_dep).toBeGreaterThanOrEqual(before)
      expect(fields.cmd_id_dep).toBeLessThan(other.length)
      before = fields.cmd_id_dep!
    })
  }
  for (const { tiu, dma } of program.spans) expect(tiu[1] - tiu[0] + dma[1] - dma[0]).toBeGreaterThan(0)
})

test('streams end as official ones do: identity, task and unit, all other bits 0', () => {
  const { tiu, dma } = generate(quantized(street()))
  // tsk_typ 15 at bit 41, tsk_eu_typ 31 at bit 45; cmd_id from bit 1 on.
  const expected = (BigInt(tiu.length) << 1n) | (15n << 41n) | (31n << 45n)
  expect(Buffer.from(encode(tiu.at(-1)!)).readBigUInt64LE()).toBe(expected)
  // cmd_short at bit 3, cmd_id_en at 5, cmd_id at 9, cmd_type 6 at 32.
  const last = 8n | (1n << 5n) | (BigInt(dma.length) << 9n) | (6n << 32n)
  expect(Buffer.from(encode(dma.at(-1)!)).readBigUInt64LE()).toBe(last)
})

test('without its dependencies a program is wrong: the orders of the machine are no formality', () => {
  const program = generate(quantized(street()))
  const loose = program.tiu.map(
    (command) => ({ ...command, fields: { ...command.fields, cmd_id_dep: 0 } }) as typeof command,
  )
  const inputs = new Map([[program.inputs[0]!.name, picture([1, 3, 256, 256])]])
  const wrong = runProgram({ ...program, tiu: loose }, inputs, { ahead: 'tiu' })
  expect(wrong).not.toEqual(runProgram(program, inputs))
})

/** Milliseconds that the vendor's backend estimates for its own code; our estimate follows the same per-command figures. */
const vendor: [Name, Precision, number][] = [
  ['street_tiny', 'INT8', 0.137],
  ['street_tiny', 'F16', 0.262],
  ['street_tiny', 'F32', 0.412],
  ['yolo_lite_coco', 'INT8', 0.103],
  ['yolov3_tiny_rand', 'INT8', 0.714],
]
test.skipIf(!hasGolden).each(vendor)(
  '%s in %s takes less estimated time than the vendor’s code',
  (name, kind, most) => {
    const { graph, thresholds } = golden(name)
    const program = generate(lower(graph, thresholds, () => kind))
    expect(estimate(program).cycles / 1e6).toBeLessThan(most)
  },
)

const library = process.env.QUANT_CMODEL
it.skipIf(!library)(
  "the vendor's C-model agrees",
  async () => {
    const whole = () => ({ net: undefined, shape: [1, 3, 256, 256], outputs: [] })
    const cases = [...Object.values(nets), whole].flatMap((build) =>
      shifts.map(([, shifted]) => [build, shifted] as const),
    )
    for (const [build, shifted] of cases) {
      const { net: n, shape, outputs } = build()
      const q = quantized(n?.graph(outputs) ?? street(), () => 'INT8', shifted)
      const program = generate(q)
      const inputs = new Map([[program.inputs[0]!.name, picture(shape)]])
      const expected = runProgram(program, inputs)
      for (const options of [
        { ahead: 'dma', fill: 0 },
        { ahead: 'tiu', fill: 0x5a },
      ] as const)
        expect(differences(await runOnCmodel(library!, program, inputs, options), expected)).toBe(0)
    }
  },
  120_000,
)
