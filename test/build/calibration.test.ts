/** Calibration that costs more: the best of all methods, equalised convs, corrected biases, and what it says about the pictures. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, expect, test } from 'vitest'
import { readCalibrationTable } from '../../src/calibrate/table.js'
import { inspectCommand } from '../../src/commands/inspect.js'
import { readNpz } from '../../src/ir/npz.js'
import type { CalibrationReport } from '../../src/stages/jobs/calibrate.js'
import { printed } from '../commands/process.js'
import { type BuildRig, buildRig, picture, tinyYaml } from './rig.js'

const calibration = { ...tinyYaml.calibration, method: 'best', bias_correction: true, equalize: true }
const report = (): CalibrationReport => JSON.parse(p.read('build/tiny_calibration.json'))
const table = () => readCalibrationTable(p.read('build/tiny_cali_table'), 'table')

let p: BuildRig
beforeAll(async () => {
  const more: Record<string, Uint8Array> = {}
  for (let i = 5; i < 10; i++) more[`pictures/p${i}.png`] = await picture(i)
  p = await buildRig(more, { ...tinyYaml, calibration })
  const result = await p.build()
  expect(result.failed).toEqual([])
})

test('the table is of the best method, never worse than one of them on the pictures that decide', () => {
  const { best } = report()
  expect(Object.keys(best!.sqnr)).toEqual(['kl', 'max', 'percentile', 'mse', 'tensor by tensor', 'best'])
  expect(best!.sqnr.best).toBe(Math.max(...Object.values(best!.sqnr)))
  expect(table().method).toBe('best')
})

test('outputs are clipped as the boxes say: what is read from them is a reason to calibrate, what a user wants to see is none', async () => {
  const { outputs } = report().best!
  expect(outputs).toMatchObject({ by: 'boxes', pictures: 9 })
  expect(outputs!.distance.before).toBeGreaterThan(0)
  expect(outputs!.distance.after).toBeLessThanOrEqual(outputs!.distance.before)
  const { verify } = tinyYaml
  const withDetector = async (detector: object): Promise<boolean> => {
    const yaml = p.yaml
    p.yaml = { ...yaml, verify: { ...verify, detector: { ...verify.detector, ...detector } } }
    const { because } = (await p.plan()).find(({ stage }) => stage.name === 'calibrate')!
    p.yaml = yaml
    return because.length > 0
  }
  expect(await withDetector({ score: 0.6, iou: 0.3, classes: ['speck', 'hoop'] })).toBe(false)
  expect(await withDetector({ anchors: [[5, 4, 8, 8, 16, 16]] })).toBe(true)
})

test('biases are corrected exactly when that gains on pictures that it has not seen, and the bmodel has them', async () => {
  const bias = report().bias_correction!
  expect(bias.pictures + bias.held_out!.pictures).toBe(9)
  expect(bias.applied).toBe(bias.held_out!.sure)
  expect(bias.held_out!.after).toBeGreaterThan(bias.held_out!.before)
  const corrected = [...table().thresholds].filter(([, { biasCorrection }]) => biasCorrection)
  expect(corrected.length).toBe(bias.applied ? bias.layers : 0)
  expect(bias.applied).toBe(true)

  const weights = () => readNpz(readFileSync(join(p.root, 'build/tiny_int8_tpu_weight.npz')), 'weights')
  const name = `${corrected[0]![0]}_bias_int32`
  const [withCorrection, bmodel] = [
    [...weights().get(name)!.data],
    readFileSync(join(p.root, 'build/tiny_int8.bmodel')),
  ]
  const losses = p.read('build/tiny_full_loss_table.txt')
  p.yaml = { ...p.yaml, calibration: { ...calibration, bias_correction: false } }
  await p.build()
  expect([...weights().get(name)!.data]).not.toEqual(withCorrection)
  expect(readFileSync(join(p.root, 'build/tiny_int8.bmodel')).equals(bmodel)).toBe(false)
  // The search measures the network with its corrections, too.
  expect(p.read('build/tiny_full_loss_table.txt')).not.toBe(losses)
  expect(report().bias_correction).toBeUndefined()
})

test('what equalisation gained can be inspected; without it, all that read its graph say which setting it was', async () => {
  const told = await printed(() => inspectCommand('build/tiny_equalization.json', { directory: p.root }))
  const { applied, pairs } = JSON.parse(p.read('build/tiny_equalization.json'))
  expect(told).toMatch(/^build\/tiny_equalization.json: equalisation, \d+ pairs? of convs$/m)
  expect(told.includes('\nnot applied: ')).toBe(!applied)
  for (const { first, second } of pairs) expect(told).toMatch(new RegExp(`^${first} +${second} +`, 'm'))
  expect(pairs.length > 0 && told.includes(pairs[0].rule)).toBe(true)
  const before = p.yaml
  p.yaml = { ...p.yaml, calibration: { ...calibration, equalize: false } }
  const plan = await p.plan()
  const reasonsOf = (name: string) => plan.find(({ stage }) => stage.name === name)!.because
  for (const stage of ['calibrate', 'compile:int8', 'losses:mix', 'detect:float'])
    expect(reasonsOf(stage), stage).toContainEqual({
      why: 'param-changed',
      at: 'calibration.equalize',
      was: true,
      now: undefined,
    })
  p.yaml = before
})

test('the equalised graph has a file of its own and is what everything reads', () => {
  for (const file of ['tiny.mlir', 'tiny_equalized.mlir', 'tiny_equalized_top_f32_all_weight.npz'])
    expect(existsSync(join(p.root, 'build', file)), file).toBe(true)
  const { applied, pairs, sqnr, float_difference } = JSON.parse(p.read('build/tiny_equalization.json'))
  expect(pairs).toHaveLength(2)
  // Nine pictures are too few to hold some out.
  expect(applied).toBe(sqnr.sure)
  expect(sqnr.after).toBeGreaterThanOrEqual(sqnr.before)
  expect(float_difference).toBeLessThan(1e-4)
})

test('one picture more: what was tuned is done again, but the pictures are not', async () => {
  // With so few pictures the tenth has a say in the factors, too, and the graph would be another one.
  p.yaml = { ...p.yaml, calibration: { ...calibration, bias_correction: false, equalize: false } }
  await p.build(['calibrate'])
  p.write('pictures/p99.png', await picture(99))
  await p.build(['calibrate'])
  expect(p.pieces('calibrate')).toEqual([1, 10])
})

test('without pictures for tuning the methods are compared as they are', async () => {
  p.yaml = { ...p.yaml, calibration: { ...calibration, bias_correction: false, equalize: false, tune_num: 0 } }
  expect((await p.build(['calibrate'])).failed).toEqual([])
  const { best } = report()
  expect(best!.decided).toBeGreaterThan(0)
  expect(best!.sqnr.best).toBe(Math.max(...Object.values(best!.sqnr)))
  expect(table().method).toBe('best')
})

test('a picture of one colour is warned of, and shows in the report', async () => {
  const grey = sharp({ create: { width: 40, height: 40, channels: 3, background: { r: 128, g: 128, b: 128 } } })
  p.write('pictures/blank.png', await grey.png().toBuffer())
  await p.build(['calibrate'])
  const warned = p.events.flatMap((event) => (event.type === 'warned' ? [event.warning.about] : []))
  expect(warned).toContain('pictures/blank.png')
  expect(report().pictures.find(({ blank }) => blank)?.picture).toBe('pictures/blank.png')
  expect(await inspectCommand('build/tiny_calibration.json', { directory: p.root })).toBe(0)
})

test('fewer pictures of the same folder: those left out are there still, and are not told as gone', async () => {
  await p.build(['calibrate'])
  p.yaml = { ...p.yaml, calibration: { ...(p.yaml.calibration as object), input_num: 8 } }
  const left = (await p.plan()).find(({ stage }) => stage.name === 'calibrate')!.because
  expect(left).toContainEqual({ why: 'input-dropped', path: 'pictures/p99.png' })
  expect(left.filter(({ why }) => why === 'input-changed')).toEqual([])
})
