/** `asymmetric: true`, from the calibration to the .bmodel. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { programOf, readBmodel } from '../../src/bm1684x/bmodel/read.js'
import { runProgram } from '../../src/bm1684x/machine/run.js'
import { readNpz } from '../../src/ir/npz.js'
import { onnxBuilder } from '../../src/ir/onnx/builder.js'
import { openQuantized } from '../../src/quantize/execute.js'
import { readTpu } from '../../src/quantize/tpu/read.js'
import type { CalibrationReport } from '../../src/stages/jobs/calibrate.js'
import { type BuildRig, buildRig, seeded, tinyYaml } from './rig.js'

/** Three convolutions with SiLU, the last two around a sum; input `x` [1, 3, 32, 32], output `head` [1, 21, 8, 8]. */
function siluNet(): Uint8Array {
  const b = onnxBuilder('tiny')
  const random = seeded(5)
  const weights = (name: string, shape: number[], size: number): string => {
    const data = Float32Array.from({ length: shape.reduce((p, n) => p * n, 1) }, () => random() * size)
    return b.weight(name, shape, data)
  }
  const conv = (from: string, to: string, ic: number, oc: number, k: number, stride: number, size: number): string =>
    b.node('Conv', [from, weights(`${to}_w`, [oc, ic, k, k], size), weights(`${to}_b`, [oc], size)], to, {
      kernel_shape: [k, k],
      strides: [stride, stride],
      pads: k === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0],
    })
  const silu = (x: string): string => b.node('Mul', [x, b.node('Sigmoid', [x], `${x}_sigmoid`)], `${x}_silu`)
  const first = silu(conv(b.input('x', [1, 3, 32, 32]), 'conv1', 3, 8, 3, 2, 1))
  const second = silu(conv(first, 'conv2', 8, 16, 3, 2, 0.5))
  const third = silu(conv(second, 'conv3', 16, 16, 3, 1, 0.3))
  conv(b.node('Add', [second, third], 'sum'), 'head', 16, 21, 1, 1, 0.5)
  b.output('head', [1, 21, 8, 8])
  return b.finish()
}

const yaml = { ...tinyYaml, calibration: { ...tinyYaml.calibration, asymmetric: true } }
const report = (): CalibrationReport => JSON.parse(p.read('build/tiny_calibration.json'))
const block = (): string[] => (p.read('build/tiny_cali_table').split('\n#asym_op\n')[1] ?? '').trim().split('\n')

let p: BuildRig
beforeAll(async () => {
  p = await buildRig({ 'tiny.onnx': siluNet() }, yaml)
  expect((await p.build()).failed).toEqual([])
})

test('zero points are taken since they gain, and the report and the table say which', () => {
  const { asymmetric } = report()
  expect(asymmetric).toMatchObject({ applied: true, layers: block().length })
  expect(asymmetric!.sqnr.after).toBeGreaterThan(asymmetric!.sqnr.before)
  expect(block().length).toBeGreaterThan(3)
  expect(p.read('build/tiny_int8_tpu.mlir')).toMatch(/"tpu.Sum".*<i8:f32, [^>]*:-\d+>/)
  expect(p.read('build/tiny_int8_tpu.mlir')).toContain('module.asymmetric = true')
})

test('what is written down as text is what the .bmodel computes', async () => {
  const weights = readNpz(readFileSync(join(p.root, 'build/tiny_int8_tpu_weight.npz')), 'weights')
  const session = await openQuantized(readTpu(p.read('build/tiny_int8_tpu.mlir'), weights, 'mlir'))
  const next = seeded(9)
  const data = Float32Array.from({ length: 3072 }, () => (next() + 1) / 2)
  const program = programOf(readBmodel(readFileSync(join(p.root, 'build/tiny_int8.bmodel')), 'bmodel').nets[0]!)
  const [made] = [...runProgram(program, new Map([[program.inputs[0]!.name, data]])).values()]
  const [expected] = [...(await session.run({ [program.inputs[0]!.name]: { shape: [1, 3, 32, 32], data } })).values()]
  await session.release()
  expect(made).toEqual(expected!.data)
  expect(new Set(made).size).toBeGreaterThan(30)
})

test('the search goes on from values with zero points', () => {
  expect(existsSync(join(p.root, 'build/tiny_mix.bmodel'))).toBe(true)
  const { all_int8, joint } = JSON.parse(p.read('build/tiny_selection.json'))
  expect(joint.loss).toBeLessThanOrEqual(all_int8.loss)
})

test('the table given as it is makes the same .bmodel; without the setting it is another one', async () => {
  const bmodel = (): Buffer => readFileSync(join(p.root, 'build/tiny_int8.bmodel'))
  const before = bmodel()
  p.write('given_table', p.read('build/tiny_cali_table'))
  p.yaml = { ...yaml, calibration: { dataset: 'pictures', table: 'given_table' } }
  expect((await p.build()).failed).toEqual([])
  expect(bmodel().equals(before)).toBe(true)
  p.yaml = { ...yaml, calibration: { ...tinyYaml.calibration } }
  await p.build()
  expect(bmodel().equals(before)).toBe(false)
  expect(report().asymmetric).toBeUndefined()
})
