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

test('a table of losses on all pictures measures what the first pictures lack, and chooses the same', async () => {
  const mix = { input_num: 4, min_improvement: 0.0001 }
  const asked = (settings: object) => ({ ...tinyYaml, variants: { mix: { quantize: 'INT8', mix: settings } } })
  const q = await buildRig({}, asked(mix))
  await q.build(['select:mix'])
  const ranked = { table: q.read('build/tiny_full_loss_table.txt'), selection: q.read('build/tiny_selection.json') }
  // All INT8 and five layers, on two of the four pictures.
  expect(q.pieces('losses:mix')).toEqual([12, 12])
  expect(ranked.table.split('\n').slice(0, 2)).toEqual(['# ranked: the first 2 of 4 pictures', '# sample number: 2'])
  // The search began with those.
  const progress = q.events.flatMap((event) =>
    event.type === 'progress' && event.stage === 'select:mix' && event.unit === 'runs' ? [event.reused] : [],
  )
  expect(progress[0]).toBe(12)

  q.ran()
  q.yaml = asked({ ...mix, loss_table: 'exhaustive' })
  await q.build(['select:mix'])
  expect(q.ran()).toContain('losses:mix')
  expect(
    q.events.find((event) => event.type === 'started' && 'stage' in event && event.because[0]?.why === 'param-changed'),
  ).toMatchObject({
    stage: 'losses:mix',
    because: [{ why: 'param-changed', at: 'variants.mix.mix.loss_table', was: 'ranked', now: 'exhaustive' }],
  })
  const [worked, all] = q.pieces('losses:mix')
  expect(all).toBe(24)
  expect(worked).toBeLessThanOrEqual(12)
  const table = q.read('build/tiny_full_loss_table.txt')
  expect(table.split('\n')[0]).toBe('# sample number: 4')
  expect(table).not.toBe(ranked.table)
  expect(q.read('build/tiny_selection.json')).toBe(ranked.selection)

  // The other way round, from nothing: the same selection again.
  const r = await buildRig({}, asked({ ...mix, loss_table: 'exhaustive' }))
  await r.build(['select:mix'])
  expect(r.pieces('losses:mix')).toEqual([24, 24])
  expect(r.read('build/tiny_full_loss_table.txt')).toBe(table)
  expect(r.read('build/tiny_selection.json')).toBe(ranked.selection)
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
