/** `quant inspect`: every kind of file that builds make or read. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { writeBmodel } from '../../src/bm1684x/bmodel/write.js'
import { inspectCommand } from '../../src/commands/inspect.js'
import { writeNpy, writeNpz } from '../../src/ir/npz.js'
import { onnxBuilder } from '../../src/ir/onnx/builder.js'
import { scaling } from '../bm1684x/programs.js'
import { type BuildRig, buildRig } from '../build/rig.js'
import { printed, quant } from './process.js'

let p: BuildRig
beforeAll(async () => {
  p = await buildRig()
  writeFileSync(join(p.root, 'net.bmodel'), writeBmodel(scaling(3)))
  const result = await p.build(['compile:int8', 'compile:mix'])
  expect(result.failed).toEqual([])
})

const inspect = (file: string, options: { json?: boolean; asm?: boolean } = {}): Promise<string> =>
  printed(() => inspectCommand(file, { directory: p.root, ...options }))
const facts = async (file: string): Promise<Record<string, unknown>> => JSON.parse(await inspect(file, { json: true }))

test('a .bmodel: tensors, sizes, streams, time, commands', async () => {
  const out = await inspect('net.bmodel', { asm: true })
  expect(out).toMatch(/^input +x +f32 +1x3x4x8 +- +384 +0x100000000$/m)
  expect(out).toMatch(/^output +y .* 0x100001000$/m)
  expect(out).toContain('TIU 2 commands, 128 B; DMA 3 commands, 256 B')
  // 3 rows of 128 bytes each way take 12 units; the multiplication 2 vectors of 16.
  expect(out).toMatch(/^load +1 +14 /m)
  expect(out).toMatch(/^store +1 +18 /m)
  expect(out).toMatch(/^ar +1 +2 /m)
  expect(out).toMatch(/^tiu 1 dep 1 {2}ar\.mul/m)
  expect(await inspect('net.bmodel')).not.toContain('ar.mul')
  expect(await facts('net.bmodel')).toMatchObject({
    kind: 'bmodel',
    chip: 'BM1684X',
    nets: [{ name: 'scaling', tiu: { commands: 2 }, estimate: { cycles: 34, boundBy: 'memory' } }],
  })
})

test('a .bmodel of a build: layer by layer, as the record beside it says, whose parts sum up to the whole', async () => {
  interface Layer {
    layer: string
    cycles: number
    macs: number
    bytes_in: number
    bytes_out: number
  }
  const [net] = (await facts('build/tiny_int8.bmodel')).nets as [
    { estimate: { cycles: number; bytesIn: number; bytesOut: number; layers: Layer[] } },
  ]
  const { cycles, bytesIn, bytesOut, layers } = net.estimate
  const sum = (pick: (one: Layer) => number) => layers.reduce((so, one) => so + pick(one), 0)
  expect(sum((one) => one.cycles)).toBe(cycles)
  expect(sum((one) => one.bytes_in)).toBe(bytesIn)
  expect(sum((one) => one.bytes_out)).toBe(bytesOut)
  expect(layers.find(({ layer }) => layer === 'conv2_Conv')!.macs).toBeGreaterThan(0)
  expect(await inspect('build/tiny_int8.bmodel')).toMatch(/^conv2_Conv .* (compute|memory|dependency)$/m)
  // A record of other commands is not believed.
  writeFileSync(join(p.root, 'net_estimate.json'), p.read('build/tiny_int8_estimate.json'))
  expect(await inspect('net.bmodel')).not.toContain('bound by')
})

test('graphs before and after lowering', async () => {
  const top = await inspect('build/tiny.mlir')
  expect(top).toContain('tiny, TOP_F32')
  expect(top).toMatch(/^conv1_Conv +top\.Conv +f32 +1x8x32x32$/m)
  const tpu = (await facts('build/tiny_int8_tpu.mlir')) as {
    layers: { name: string; type: string; threshold?: number }[]
  }
  const [, threshold] = /^conv2_Conv (\S+)/m.exec(p.read('build/tiny_cali_table'))!
  const leaky = tpu.layers.find(({ name }) => name === 'leaky2_LeakyRelu')!
  expect(leaky.type).toBe('i8')
  expect(leaky.threshold).toBeGreaterThan(0)
  expect(Number(threshold)).toBeGreaterThan(0)
  // Conv and its leaky relu share a scale: the leaky relu's threshold.
  const [, own] = /^leaky2_LeakyRelu (\S+)/m.exec(p.read('build/tiny_cali_table'))!
  expect(leaky.threshold).toBeCloseTo(Number(own), 4)
})

test('tables of calibration and search', async () => {
  const table = await facts('build/tiny_cali_table')
  const [, threshold] = /^head_Conv (\S+)/m.exec(p.read('build/tiny_cali_table'))!
  expect(table).toMatchObject({ kind: 'calibration table', method: 'kl', samples: 4, tuned: 2 })
  expect(table.layers).toContainEqual(expect.objectContaining({ layer: 'head_Conv', threshold: Number(threshold) }))
  expect(await inspect('build/tiny_full_loss_table.txt')).toMatch(/loss table, \d+ layers?\n2 samples, all INT8: -\d/)
  expect((await facts('build/tiny_qtable')).kind).toBe('quantize table')
})

test('ONNX files: what import makes of them, and what it lacks', async () => {
  const out = await inspect('tiny.onnx')
  expect(out).toMatch(/^input +x +1x3x32x32$/m)
  expect(out).toContain('operators: Conv 3, LeakyRelu 2, MaxPool 2')
  expect(out).toMatch(/import makes 8 layers of it/)
  const b = onnxBuilder('odd')
  b.input('x', [1, 4])
  b.node('Einsum', [b.node('Hardmax', ['x'], 's', {})], 'y', {})
  b.output('y', [1, 4])
  p.write('odd.onnx', b.finish())
  const odd = await inspect('odd.onnx')
  expect(odd).toContain('operator Hardmax is not supported')
  expect(odd).toContain('operator Einsum is not supported')
})

test('arrays', async () => {
  p.write('a.npz', writeNpz([['w', { shape: [2, 2], data: Int8Array.of(1, -2, 3, 4) }]]))
  p.write('a.npy', writeNpy({ shape: [3], data: Float32Array.of(0, Number.NaN, 1) }))
  expect(await inspect('a.npz')).toMatch(/^w +int8 +2x2 +-2 +4 +1\.5$/m)
  expect(await facts('a.npy')).toEqual({
    kind: 'npy',
    arrays: [{ name: '', type: 'float32', shape: [3], min: null, max: null, mean: null }],
  })
})

test('damaged and unknown files are told, not shown', async () => {
  p.write('cut.bmodel', writeBmodel(scaling(3)).subarray(0, 5000))
  p.write('cut.npz', writeNpz([['w', { shape: [1], data: Int8Array.of(1) }]]).subarray(0, 60))
  p.write('cut.mlir', p.read('build/tiny.mlir').slice(0, 900))
  p.write('cut.onnx', p.read('tiny.onnx').slice(0, 500))
  const wrong = {
    'none.bmodel': 'there is no such file',
    'cut.bmodel': 'the file is cut off',
    'cut.npz': 'not a whole .npz file',
    'cut.mlir': 'cut.mlir:',
    'cut.onnx': 'is no ONNX model or is cut off',
    'pictures/p1.png': 'not a kind of file that is known',
    pictures: 'it is a folder',
  }
  for (const [file, message] of Object.entries(wrong)) await expect(inspect(file)).rejects.toThrow(message)
  const { code, err } = await quant(['inspect', 'none.bmodel'], p.root)
  expect(code).toBe(1)
  expect(err).toContain('cannot read')
  expect(err).not.toMatch(/^\s+at /m)
})

test('from the command line, as text and for programs', async () => {
  const text = await quant(['inspect', 'net.bmodel', '--asm'], p.root)
  expect(text).toMatchObject({ code: 0, out: await inspect('net.bmodel', { asm: true }) })
  const json = await quant(['--json', 'inspect', 'net.bmodel'], p.root)
  expect(JSON.parse(json.out)).toEqual(await facts('net.bmodel'))
})
