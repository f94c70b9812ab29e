/**
 * The products of a small seeded project, by digest: what a change that says "no behaviour change" is checked against. All that is made
 * of integers, or of float arithmetic laid down to the last bit, stays byte for byte. Thresholds come from float inference, which
 * differs between machines in the last bits: they are held to a bound, and what is lowered starts from a given table.
 *
 * A digest differs, and should? Then the same inputs give other bytes: raise the `identity` of the stages concerned (`src/stages/`),
 * say in the changelog which products change, and put the new digests in here.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { readCalibrationTable } from '../src/calibrate/table.js'
import { sizeOf } from '../src/ir/graph.js'
import { readNpz } from '../src/ir/npz.js'
import { openQuantized } from '../src/quantize/execute.js'
import { isInt } from '../src/quantize/rounding.js'
import { readTpu } from '../src/quantize/tpu/read.js'
import { type BuildRig, buildRig, seeded, tinyYaml } from './build/rig.js'

/** An unsigned input, ranges that flow back from the pools. */
const table = `x 0.9969059 0.0000000 1.0000080
conv1_Conv 3.1200001 -3.4000001 3.3000000
leaky1_LeakyRelu 2.8000000 -0.3400000 3.3000000
pool1_MaxPool 2.5000000 -0.2000000 3.3000000
conv2_Conv 6.7500000 -9.1000004 8.8000002
leaky2_LeakyRelu 5.5000000 -0.9100000 8.8000002
pool2_MaxPool 6.1250000 -0.3000000 8.8000002
head_Conv 11.4377775 -13.5000000 12.2500000
`
const files = { given_table: table, given_qtable: 'conv2_Conv F32\nleaky2_LeakyRelu F16\n' }

const { verify: _, ...yaml } = tinyYaml
const given = {
  ...yaml,
  calibration: { table: 'given_table' },
  variants: {
    int8: { quantize: 'INT8' },
    f16: { quantize: 'F16' },
    bf16: { quantize: 'BF16' },
    mix: { quantize: 'INT8', mix: { table: 'given_qtable' } },
  },
}

const bytesOf = (rig: BuildRig, name: string): Uint8Array => new Uint8Array(readFileSync(join(rig.root, 'build', name)))
const digest = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex').slice(0, 16)

it('graphs and weights are the same as ever', async () => {
  const rig = await buildRig(files, given)
  await rig.build()
  expect(rig.ran()).toEqual(['compile:bf16', 'compile:f16', 'compile:int8', 'compile:mix', 'import'])
  const digests = (...names: string[]) => Object.fromEntries(names.map((name) => [name, digest(bytesOf(rig, name))]))
  expect(
    digests(
      'tiny.mlir',
      'tiny_top_f32_all_weight.npz',
      ...['int8', 'f16', 'bf16', 'mix'].flatMap((name) => [`tiny_${name}_tpu.mlir`, `tiny_${name}_tpu_weight.npz`]),
    ),
  ).toEqual({
    'tiny.mlir': '6afabb9c26a527cd',
    'tiny_top_f32_all_weight.npz': '97b9d97b16c6922e',
    'tiny_int8_tpu.mlir': '6a3b9c675d80c153',
    'tiny_int8_tpu_weight.npz': '7751e9becf680121',
    'tiny_f16_tpu.mlir': 'ff764f6008b241e2',
    'tiny_f16_tpu_weight.npz': '7acf59526b5b7fb3',
    'tiny_bf16_tpu.mlir': '719b99aadaddc18e',
    'tiny_bf16_tpu_weight.npz': '04a1977e06fbb0f3',
    'tiny_mix_tpu.mlir': '0180fd26d0d09433',
    'tiny_mix_tpu_weight.npz': 'ab140175799c0669',
  })

  const int8 = readTpu(rig.read('build/tiny_int8_tpu.mlir'), readNpz(bytesOf(rig, 'tiny_int8_tpu_weight.npz'), ''), '')
  const random = seeded(5)
  const x = {
    shape: [1, 3, 32, 32],
    data: Float32Array.from({ length: sizeOf([3, 32, 32]) }, () => random() / 2 + 0.5),
  }
  const layers = int8.nodes.filter(({ type }) => isInt(type)).map(({ name }) => name)
  const session = await openQuantized(int8, { outputs: layers })
  const values = await session.run({ x })
  await session.release()
  const stored = layers.map((layer) => [layer, digest(Uint8Array.from(values.get(layer)!.data))])
  expect(Object.fromEntries(stored)).toEqual({
    x_ui8: '8771bbbdfac5ff88',
    conv1_Conv: '94b91c2fac2828c3',
    leaky1_LeakyRelu: '3d76d101dbaef36d',
    pool1_MaxPool: '8adfb21318fa7628',
    conv2_Conv: 'ad6f47ca73a94385',
    leaky2_LeakyRelu: '7e3b1493c934ba17',
    pool2_MaxPool: '5db3c815cc55c8cb',
    head_Conv: 'e44df72e2b8fdaf5',
  })
})

it('thresholds are, to a relative 1e-4', async () => {
  const rig = await buildRig()
  for (const [method, expected] of [
    ['kl', [0.9921648, 3.8446941, 3.8446941, 3.8446941, 20.0371361, 20.0371361, 20.0371361, 14.2958288]],
    ['percentile', [0.9921648, 3.8428007, 3.8428007, 3.8445707, 18.9069459, 18.9069459, 19.5942333, 14.1204176]],
    ['mse', [0.9921648, 3.8146575, 3.8146575, 3.8146575, 18.7848151, 18.7848151, 19.7240558, 13.9607703]],
  ] as const) {
    rig.yaml = { ...tinyYaml, calibration: { dataset: 'pictures', method, tune_num: 0 } }
    await rig.build(['calibrate'])
    expect(rig.ran()).toContain('calibrate')
    const { thresholds } = readCalibrationTable(rig.read('build/tiny_cali_table'), 'tiny_cali_table')
    const ours = [...thresholds.values()].map(({ threshold }) => threshold)
    expect(ours.length).toBe(expected.length)
    for (const [i, threshold] of ours.entries())
      expect(Math.abs(threshold / expected[i]! - 1)).toBeLessThanOrEqual(1e-4)
  }
})
