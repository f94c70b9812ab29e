/** `quant run`: arrays or a picture in, arrays out. The program is written by hand: y = 3 x. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it, test } from 'vitest'
import { stringify } from 'yaml'
import { writeBmodel } from '../../src/bm1684x/bmodel/write.js'
import { runCommand } from '../../src/commands/run.js'
import { readNpz, writeNpz } from '../../src/ir/npz.js'
import { scaling } from '../bm1684x/programs.js'
import { picture, tinyYaml } from '../build/rig.js'
import { temporaryFolder } from '../engine/rig.js'
import { printed, quant } from './process.js'

const root = temporaryFolder()
const x = Float32Array.from({ length: 96 }, (_, i) => i - 40)
beforeAll(async () => {
  writeFileSync(join(root, 'net.bmodel'), writeBmodel(scaling(3)))
  writeFileSync(join(root, 'x.npz'), writeNpz([['x', { shape: [1, 3, 4, 8], data: x }]]))
  writeFileSync(join(root, 'short.npz'), writeNpz([['x', { shape: [5], data: x.slice(0, 5) }]]))
  writeFileSync(join(root, 'p.png'), await picture(1, 8, 4))
})

const outputs = (file: string) => readNpz(new Uint8Array(readFileSync(join(root, file))), file)

test('arrays by name, on our machine', async () => {
  const { code, out, err } = await quant(['run', 'net.bmodel', '--input', 'x.npz', '--output', 'y.npz'], root)
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/^y +1x3x4x8 +-120 +165 +22\.5$/m)
  expect(outputs('y.npz')).toEqual(new Map([['y', { shape: [1, 3, 4, 8], data: x.map((one) => 3 * one) }]]))
})

test('a picture is prepared as quant.yaml says; without one that is told', async () => {
  const without = await quant(['run', 'net.bmodel', '--input', 'p.png'], root)
  expect(without).toMatchObject({ code: 2, err: expect.stringContaining('there is no quant.yaml') })
  const preprocess = { pixel_format: 'rgb', scale: [1, 1, 1] }
  writeFileSync(join(root, 'quant.yaml'), stringify({ ...tinyYaml, preprocess }))
  const { code, out, err } = await quant(['--json', 'run', 'net.bmodel', '--input', 'p.png', '-o', 'p.npz'], root)
  expect([code, err]).toEqual([0, ''])
  const data = Array.from(outputs('p.npz').get('y')!.data, Number)
  expect(JSON.parse(out)).toMatchObject({
    outputs: [{ name: 'y', shape: [1, 3, 4, 8], max: Math.max(...data) }],
  })
  // Pixels from 0 to 255, of the same size as the input: not resized, three times as large.
  expect(data.every((value) => value % 3 === 0 && value <= 765)).toBe(true)
  expect(new Set(data).size).toBeGreaterThan(20)
})

it.skipIf(!process.env.QUANT_CMODEL)("on the vendor's model the same comes out", async () => {
  const on = ['--on', `cmodel:${process.env.QUANT_CMODEL}`]
  const { code, err } = await quant(['run', 'net.bmodel', '-i', 'x.npz', '-o', 'c.npz', ...on], root)
  expect([code, err]).toEqual([0, ''])
  expect(outputs('c.npz').get('y')!.data).toEqual(x.map((one) => 3 * one))
})

test('what cannot be run is told in one line', async () => {
  writeFileSync(join(root, 'cut.bmodel'), writeBmodel(scaling(3)).subarray(0, 5000))
  const run = (model: string, input: string, on = 'machine') =>
    printed(() => runCommand(model, { directory: root, input, on }))
  await expect(run('none.bmodel', 'x.npz')).rejects.toThrow('none.bmodel: there is no such file')
  await expect(run('cut.bmodel', 'x.npz')).rejects.toThrow('the file is cut off')
  await expect(run('x.npz', 'x.npz')).rejects.toThrow('x.npz is no .bmodel file')
  await expect(run('net.bmodel', 'short.npz')).rejects.toThrow("array 'x' is [5], the input [1, 3, 4, 8]")
  await expect(run('net.bmodel', 'x.npz', 'moon')).rejects.toThrow('--on moon: not a place to run')
  await expect(run('net.bmodel', 'x.npz', 'cmodel:none.so')).rejects.toThrow('there is no C-model at none.so')
  const { code, err } = await quant(['run', 'net.bmodel'], root)
  expect(code).toBe(2)
  expect(err).toContain('--input')
})
