/** Which work a change causes, on a real network: the list of stages that ran, and the pieces that were computed. */
import { existsSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { type BuildRig, buildRig, picture, tinyYaml } from './rig.js'

const all = [
  'calibrate',
  'compile:int8',
  'compile:mix',
  'detect:float',
  'detect:int8',
  'detect:mix',
  'import',
  'losses:mix',
  'select:mix',
  'verify',
]

let p: BuildRig
beforeAll(async () => {
  p = await buildRig()
})

test('a first build runs every stage and makes every artifact', async () => {
  const result = await p.build()
  expect(result.failed).toEqual([])
  expect(p.ran()).toEqual(all)
  for (const file of [
    'tiny.mlir',
    'tiny_top_f32_all_weight.npz',
    'tiny_cali_table',
    'tiny_int8_tpu.mlir',
    'tiny_full_loss_table.txt',
    'tiny_qtable',
    'tiny_mix_tpu.mlir',
    'detect/onnx/p1.jpg',
    'detect/int8/p1.jpg',
    'detect/mix/p1.jpg',
    'verify.json',
  ])
    expect(existsSync(join(p.root, 'build', file)), file).toBe(true)
  expect(p.pieces('calibrate')).toEqual([4, 4])
  // The all-INT8 net and five candidates (three convolutions, two leaky relus) on two pictures.
  expect(p.pieces('losses:mix')).toEqual([12, 12])
})

test('again: nothing', async () => {
  await p.build()
  expect(p.ran()).toEqual([])
})

test('the model touched: nothing', async () => {
  utimesSync(join(p.root, 'tiny.onnx'), new Date(1e9), new Date(1e9))
  await p.build()
  expect(p.ran()).toEqual([])
})

test('another score threshold: only the figures', async () => {
  p.yaml = { ...p.yaml, verify: { ...tinyYaml.verify, detector: { ...tinyYaml.verify.detector, score: 0.4 } } }
  await p.build()
  expect(p.ran()).toEqual(['verify'])
  expect(p.events.findLast((event) => event.type === 'started')).toMatchObject({
    stage: 'verify',
    because: [{ why: 'param-changed', at: 'verify.detector.score', was: 0.3, now: 0.4 }],
  })
})

test('another min_improvement: selection, mixed compile and verification; no loss of a layer is computed again', async () => {
  const before = p.read('build/tiny_qtable')
  p.yaml = {
    ...p.yaml,
    variants: { ...tinyYaml.variants, mix: { quantize: 'INT8', mix: { input_num: 2, min_improvement: 0.9 } } },
  }
  await p.build()
  expect(p.read('build/tiny_qtable')).not.toBe(before)
  expect(p.ran()).toEqual(['compile:mix', 'detect:mix', 'select:mix', 'verify'])
  expect(p.events).toContainEqual(
    expect.objectContaining({
      type: 'warned',
      stage: 'select:mix',
      warning: expect.objectContaining({ about: 'mix' }),
    }),
  )
  // Nothing improves by 90 %: the mixed graph is the INT8 graph, and both see the same.
  const { variants } = JSON.parse(p.read('build/verify.json'))
  expect(variants.mix.sqnr).toBe(variants.int8.sqnr)
})

test('one calibration picture more: one picture is analysed', async () => {
  p.write('pictures/p5.png', await picture(5))
  await p.build()
  expect(p.ran()).toContain('calibrate')
  expect(p.ran()).not.toContain('import')
  expect(p.pieces('calibrate')).toEqual([1, 5])
  expect(p.events.findLast((event) => event.type === 'started' && event.stage === 'calibrate')).toMatchObject({
    because: [{ why: 'input-changed', path: 'pictures/p5.png', was: undefined }],
  })
})

test('another calibration method: no picture is analysed', async () => {
  p.yaml = { ...p.yaml, calibration: { ...tinyYaml.calibration, method: 'max' } }
  await p.build()
  expect(p.pieces('calibrate')).toEqual([0, 5])
})

test('back to the first settings: restored, not run', async () => {
  p.ran()
  p.yaml = tinyYaml
  const { rmSync } = await import('node:fs')
  rmSync(join(p.root, 'pictures/p5.png'))
  const result = await p.build()
  expect(p.ran()).toEqual([])
  expect(result.restored).toContain('calibrate')
  await p.build()
  expect(p.ran()).toEqual([])
})

test('two projects with the same inputs give the same bytes', async () => {
  const q = await buildRig()
  await q.build()
  for (const file of [
    'tiny.mlir',
    'tiny_cali_table',
    'tiny_full_loss_table.txt',
    'tiny_qtable',
    'tiny_mix_tpu.mlir',
    'verify.json',
  ])
    expect(q.read(`build/${file}`), file).toBe(p.read(`build/${file}`))
})
