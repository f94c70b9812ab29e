/** `verify.require`: a build that does not hold what it promises fails, naming the figure and the limit; what it made stays. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { type BuildRig, buildRig, tinyYaml } from './rig.js'

let p: BuildRig
beforeAll(async () => {
  p = await buildRig()
})

const requiring = (require: Record<string, Record<string, string>>) => ({
  ...tinyYaml,
  verify: { ...tinyYaml.verify, require },
})

test('a gate that does not hold fails the build, with figure, limit and place', async () => {
  p.yaml = requiring({ int8: { sqnr: '>= 90', recall: '>= 0' } })
  const { failed, ran } = await p.build()
  expect(failed).toMatchObject([{ stage: 'require', error: { code: 'gate', place: { file: 'quant.yaml' } } }])
  expect(failed[0]!.error.message).toMatch(/^int8: sqnr is [\d.]+, required is >= 90$/)
  expect(ran).toContain('verify')
  expect(existsSync(join(p.root, 'build/verify.json'))).toBe(true)
  expect(existsSync(join(p.root, 'build/detect/int8/p1.jpg'))).toBe(true)
})

test('it fails again, however often, until it holds', async () => {
  expect((await p.build()).failed).toHaveLength(1)
  const { int8 } = JSON.parse(p.read('build/verify.json')).variants
  p.yaml = requiring({ int8: { sqnr: `>= ${int8.sqnr}`, missed: `<= ${int8.missed}` } })
  p.ran()
  expect((await p.build()).failed).toEqual([])
  expect(p.ran()).toEqual(['require'])
  await p.build()
  expect(p.ran()).toEqual([])
})

test('all gates that fail are told at once', async () => {
  p.yaml = requiring({ int8: { sqnr: '>= 90', mean_iou: '< 0' }, mix: { mean_iou: '< 0' } })
  const { failed } = await p.build()
  expect(failed[0]!.error.message).toMatch(/^int8: sqnr/)
  expect(failed[0]!.error.more?.map(({ message }) => message.split(' is')[0])).toEqual([
    'int8: mean_iou',
    'mix: mean_iou',
  ])
})
