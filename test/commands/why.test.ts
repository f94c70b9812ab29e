/** status, why, build --dry-run and graph on a real project: the line of a setting, the first causes, the same in all. */

import { beforeAll, beforeEach, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { dryRun } from '../../src/commands/dry-run.js'
import { graphCommand } from '../../src/commands/graph.js'
import { statusCommand } from '../../src/commands/status.js'
import { whyCommand } from '../../src/commands/why.js'
import { parseConfig } from '../../src/config/load.js'
import { type BuildRig, buildRig, tinyYaml } from '../build/rig.js'
import { printed, quant } from './process.js'

const yaml = stringify(tinyYaml)
const lineOf = (text: string, part: string): number => text.split('\n').findIndex((line) => line.includes(part)) + 1

let p: BuildRig
beforeAll(async () => {
  p = await buildRig({ 'quant.yaml': yaml })
  await p.build()
})
beforeEach(() => p.write('quant.yaml', yaml))

const rows = (text: string): string[] => text.trimEnd().split('\n')
const here = () => ({ directory: p.root })

test('up to date: why has nothing to tell, and still knows why a stage last ran', async () => {
  expect(await printed(() => whyCommand(undefined, here()))).toBe('everything is up to date\n')
  const one = await printed(() => whyCommand('calibrate', here()))
  expect(rows(one)[0]).toBe('calibrate (thresholds) is up to date')
  expect(one).toMatch(/^last time .*; ran because: never built$/m)
  expect(await printed(() => whyCommand(undefined, { ...here(), json: true }))).toBe('')
})

test('two settings: their lines, what surely runs, what may', async () => {
  const changed = yaml.replace('tune_num: 2', 'tune_num: 1').replace('min_improvement: 0.0001', 'min_improvement: 0.5')
  p.write('quant.yaml', changed)
  const [tune, share] = [lineOf(changed, 'tune_num'), lineOf(changed, 'min_improvement')]
  const why = await printed(() => whyCommand(undefined, here()))
  expect(rows(why).map((line) => line.replace(/\S*quant\.yaml/, 'quant.yaml'))).toEqual([
    'calibrate would run, because',
    `  quant.yaml:${tune}: calibration.tune_num 2 -> 1`,
    'select:mix would run, because',
    `  quant.yaml:${share}: variants.mix.mix.min_improvement 0.0001 -> 0.5`,
    expect.stringMatching(/^may run, if those before them give other outputs: compile:int8, losses:mix, compile:mix, /),
  ])
  const last = await printed(() => whyCommand('verify', here()))
  expect(last).toContain('verify (figures and pictures) may run')
  expect(last).toContain(`:${tune}: calibration.tune_num 2 -> 1`)
  expect(last).toContain(`:${share}: variants.mix.mix.min_improvement`)

  const lines = rows(await printed(() => statusCommand({ ...here(), json: true }))).map((line) => JSON.parse(line))
  expect(lines.find(({ stage }) => stage === 'select:mix')).toMatchObject({
    would: 'run',
    because: [{ at: 'variants.mix.mix.min_improvement', was: 0.0001, now: 0.5, place: { line: share } }],
  })
  expect(lines.find(({ stage }) => stage === 'verify')).toMatchObject({
    would: 'maybe',
    firstCauses: [{ stage: 'calibrate' }, { stage: 'select:mix' }],
  })
  // The dry run of all is the same plan, of one variant the part of it that is needed.
  const dry = await printed(() => dryRun([], { ...here(), json: true }))
  expect(rows(dry).map((line) => JSON.parse(line))).toEqual(lines)
  const part = rows(await printed(() => dryRun(['compile:int8'], here())))
  expect(part[0]).toMatch(/^calibrate +would run /)
  expect(part.at(-1)).toMatch(/^1 would run, 1 may run, 1 up to date: .* by the last runs, at most /)
  // Nothing of this did anything.
  expect(p.ran().filter((name) => name === 'select:mix')).toHaveLength(1)
})

test('a new picture is named, with its digest in JSON', async () => {
  p.write('pictures/p9.png', p.read('pictures/p1.png'))
  try {
    const why = JSON.parse(await printed(() => whyCommand('calibrate', { ...here(), json: true })))
    expect(why).toMatchObject({
      stage: 'calibrate',
      would: 'run',
      last: { note: expect.stringContaining('4 pictures') },
    })
    expect(why.because).toEqual([
      { why: 'input-changed', path: 'pictures/p9.png', now: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ])
  } finally {
    const { rmSync } = await import('node:fs')
    rmSync(`${p.root}/pictures/p9.png`)
  }
})

test('graph: by the name of the file, or as asked', async () => {
  const text = await printed(() => graphCommand(['compile:int8'], here()))
  expect(rows(text).map((line) => line.replace(/ +\d\S* m?s/, ''))).toEqual([
    '1  import        up to date',
    '2  calibrate     up to date  <- import',
    '3  compile:int8  up to date  <- calibrate',
  ])
  await printed(() => graphCommand([], { ...here(), output: 'stages.svg' }))
  expect(p.read('stages.svg')).toMatch(/^<svg [\s\S]*compile:mix[\s\S]*<\/svg>\n$/)
  expect(await printed(() => graphCommand([], { ...here(), format: 'mermaid' }))).toMatch(/^flowchart TB\n/)
  const json = rows(await printed(() => graphCommand(['compile:int8'], { ...here(), json: true }))).map((line) =>
    JSON.parse(line),
  )
  expect(json[2]).toMatchObject({ name: 'compile:int8', would: 'stay', after: ['calibrate'] })
})

test('wrong names: exit 2 and what was meant', async () => {
  expect(await quant(['why', 'calibrat'], p.root)).toMatchObject({
    code: 2,
    err: expect.stringContaining('did you mean `calibrate`?'),
  })
  expect(await quant(['build', '--reporter', 'gitlab'], p.root)).toMatchObject({
    code: 2,
    err: expect.stringContaining('github'),
  })
})

test('build --reporter github tells a mistake in quant.yaml as an annotation', async () => {
  p.write('quant.yaml', yaml.replace('tune_num: 2', 'tune_num: many'))
  const { code, out } = await quant(['build', '--reporter', 'github'], p.root)
  expect(code).toBe(1)
  expect(out).toMatch(/^::error file=quant\.yaml,line=\d+,col=\d+,endColumn=\d+,title=quant::.*tune_num/m)
})

test('settings whose names have dots are found', () => {
  const text =
    'model:\n  name: m\n  path: m.onnx\n  inputs:\n    x: [1]\n    x.1: [1, 3, 8, 8]\n    x.1.b: [2]\nvariants: { f: { quantize: F16 } }\n'
  const { placeOfSetting } = parseConfig(text, 'q.yaml')
  const line = (at: string) => placeOfSetting(at).line
  expect(line('model.inputs.x')).toBe(5)
  expect(line('model.inputs.x.1')).toBe(6)
  expect(line('model.inputs.x.1.b')).toBe(7)
  expect(line('variants.f.quantize')).toBe(8)
  // What the file does not say: the section that would.
  expect(line('model.inputs.gone.1')).toBe(4)
  expect(line('calibration.method')).toBe(1)
})
