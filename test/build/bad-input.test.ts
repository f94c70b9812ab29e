/** Bad input is an ordinary day: one clear error that names the thing, no stack trace, and the store stays valid. */
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { errorRecord } from '../../src/errors.js'
import { formatError } from '../../src/show/error.js'
import { type BuildRig, buildRig, picture, seeded, tinyDetector, tinyYaml, type Yaml } from './rig.js'

/** The errors of a build, as a user reads them. */
async function failure(p: BuildRig): Promise<string> {
  let text: string
  try {
    const { failed } = await p.build()
    expect(failed).toHaveLength(1)
    expect(failed[0]!.error.code, failed[0]!.error.stack).not.toBe('bug')
    const { reviveError } = await import('../../src/errors.js')
    text = formatError(reviveError(failed[0]!.error), { color: false })
  } catch (error) {
    expect(errorRecord(error).code, (error as Error).stack).not.toBe('bug')
    text = formatError(error, { color: false })
  }
  expect(text).not.toMatch(/^\s+at /m)
  return text
}

/** Mended, the same project builds. */
async function heals(p: BuildRig, mend: () => void): Promise<void> {
  mend()
  const { failed } = await p.build()
  expect(failed).toEqual([])
}

const restoreModel = (p: BuildRig) => () => p.write('tiny.onnx', tinyDetector())

test('a truncated ONNX file', async () => {
  const whole = tinyDetector()
  const p = await buildRig({ 'tiny.onnx': whole.subarray(0, whole.length / 2) })
  expect(await failure(p)).toMatch(/tiny\.onnx/)
  await heals(p, restoreModel(p))
})

test('random bytes as ONNX, an empty file, a text', async () => {
  const random = seeded(5)
  for (const content of [Uint8Array.from({ length: 5000 }, () => random() * 128 + 128), '', 'hello, I am no model\n'])
    expect(await failure(await buildRig({ 'tiny.onnx': content }))).toMatch(/tiny\.onnx/)
})

test('a NaN weight, an infinite weight', async () => {
  for (const poison of [Number.NaN, Number.POSITIVE_INFINITY])
    expect(await failure(await buildRig({ 'tiny.onnx': tinyDetector({ poison }) }))).toMatch(/conv1_w/)
})

test('a text file as .jpg, a truncated picture, an empty one among the calibration pictures', async () => {
  const whole = await picture(9)
  const bad: [string, Uint8Array | string][] = [
    ['pictures/text.jpg', 'not a picture'],
    ['pictures/cut.png', whole.subarray(0, whole.length / 2)],
    ['pictures/empty.png', ''],
  ]
  for (const [path, content] of bad) {
    const p = await buildRig({ [path]: content })
    expect(await failure(p)).toContain(path)
    await heals(p, () => rmSync(join(p.root, path)))
  }
})

test('a data set that is not there, an empty one, a list with a wrong line', async () => {
  const withDataset = (dataset: string): Yaml => ({ ...tinyYaml, calibration: { dataset } })
  expect(await failure(await buildRig({}, withDataset('nowhere')))).toMatch(
    /quant\.yaml:\d+:\d+.*nowhere does not exist/,
  )
  const empty = await buildRig({}, withDataset('empty'))
  mkdirSync(join(empty.root, 'empty'))
  expect(await failure(empty)).toMatch(/empty has no pictures/)
  const list = await buildRig({ 'list.txt': 'pictures/p1.png\npictures/p9.png\n' }, withDataset('list.txt'))
  expect(await failure(list)).toMatch(/list\.txt:2:1.*p9\.png/)
})

test('a model that is not there; outputs that it has not', async () => {
  expect(await failure(await buildRig({}, { ...tinyYaml, model: { name: 'tiny', path: 'gone.onnx' } }))).toMatch(
    /quant\.yaml:\d+:\d+.*gone\.onnx does not exist/,
  )
  const p = await buildRig({}, { ...tinyYaml, model: { name: 'tiny', path: 'tiny.onnx', outputs: ['haed'] } })
  const text = await failure(p)
  expect(text).toMatch(/quant\.yaml:\d+:\d+.*no tensor `haed`/)
  expect(text).toContain('did you mean `head`?')
  expect(p.ran()).toEqual([])
})

test('a calibration table with an unknown layer, and one that lacks a layer', async () => {
  const good = await buildRig()
  await good.build(['calibrate'])
  const table = good.read('build/tiny_cali_table')
  const given: Yaml = { ...tinyYaml, calibration: { table: 'table' }, variants: { int8: { quantize: 'INT8' } } }
  const unknown = await buildRig({ table: table.replace('leaky1_LeakyRelu', 'leaky7_LeakyRelu') }, given)
  expect(await failure(unknown)).toMatch(/leaky[17]_LeakyRelu/)
  const lacking = await buildRig({ table: table.replace(/^conv2_Conv.*\n/m, '') }, given)
  expect(await failure(lacking)).toContain('conv2_Conv')
  await heals(lacking, () => lacking.write('table', table))
})

test('a hand-written quantize table that names no layer', async () => {
  const variants = { mix: { quantize: 'INT8', mix: { table: 'my_qtable' } } }
  const p = await buildRig({ my_qtable: 'conv1_Conv F32\nconv9_Conv F32\n' }, { ...tinyYaml, variants })
  const text = await failure(p)
  expect(text).toMatch(/my_qtable:2:1/)
  expect(text).toContain('conv9_Conv')
  await heals(p, () => p.write('my_qtable', 'conv1_Conv F32\n'))
})

const servers: ReturnType<typeof createServer>[] = []
afterAll(() => {
  for (const server of servers) server.close()
})

test('a download: fetched once; with a wrong sha256 refused', async () => {
  let requests = 0
  const server = createServer((_, response) => {
    requests++
    response.end(tinyDetector())
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const { createHash } = await import('node:crypto')
  const sha256 = createHash('sha256').update(tinyDetector()).digest('hex')
  const url = `http://127.0.0.1:${port}/tiny.onnx`
  const p = await buildRig(
    {},
    { ...tinyYaml, model: { name: 'tiny', url, sha256: sha256.replace(/^./, (d) => (d === '0' ? '1' : '0')) } },
  )
  expect(await failure(p)).toContain(sha256)
  p.yaml = { ...tinyYaml, model: { name: 'tiny', url, sha256 } }
  expect((await p.build()).failed).toEqual([])
  const before = requests
  rmSync(join(p.root, 'build'), { recursive: true })
  expect((await p.build()).ran).toEqual([])
  expect(requests).toBe(before)
})

test('a file that cannot be read, an output folder that cannot be written', async () => {
  const p = await buildRig()
  symlinkSync('/dev/null/nothing', join(p.root, 'pictures/loop.png'))
  // A dangling link is no sample.
  expect((await p.build(['calibrate'])).failed).toEqual([])
  const blocked = await buildRig()
  writeFileSync(join(blocked.root, 'build'), 'a file where the folder should be')
  expect(await failure(blocked)).toMatch(/build.*a file stands where a folder should be/)
  await heals(blocked, () => rmSync(join(blocked.root, 'build')))
})

test.skipIf(!existsSync('/proc/self/mem'))('a picture that the system cannot read', async () => {
  const p = await buildRig()
  symlinkSync('/proc/self/mem', join(p.root, 'pictures/p9.png'))
  expect(await failure(p)).toMatch(/cannot read .*p9\.png: the system reports an input\/output error/)
  await heals(p, () => rmSync(join(p.root, 'pictures/p9.png')))
})

test.skipIf(!existsSync('/sys/kernel'))('an output folder on a file system that takes no files', async () => {
  const p = await buildRig({}, { ...tinyYaml, output: '/sys/kernel/quant' })
  expect(await failure(p)).toMatch(
    /cannot write \/sys\/kernel\/quant\S*: (permission denied|the file system is read-only)/,
  )
  p.yaml = tinyYaml
  // The stage ran, only its place could not be written: its result was kept.
  expect((await p.build()).failed).toEqual([])
})

test.skipIf(process.getuid?.() === 0)('without permission', async () => {
  const { chmodSync } = await import('node:fs')
  const p = await buildRig()
  chmodSync(join(p.root, 'pictures/p2.png'), 0)
  expect(await failure(p)).toMatch(/p2\.png: permission denied/)
})

test('a table at whose scales biases do not fit is used, and told', async () => {
  const layers = [
    'x',
    'conv1_Conv',
    'leaky1_LeakyRelu',
    'pool1_MaxPool',
    'conv2_Conv',
    'leaky2_LeakyRelu',
    'pool2_MaxPool',
    'head_Conv',
  ]
  const table = layers.map((name) => `${name} ${name === 'x' ? 0.0000001 : 1} -1 1\n`).join('')
  const { verify: _, ...yaml } = tinyYaml
  const p = await buildRig(
    { table },
    { ...yaml, calibration: { table: 'table' }, variants: { int8: { quantize: 'INT8' } } },
  )
  expect((await p.build()).failed).toEqual([])
  const told = p.events.flatMap((event) => (event.type === 'warned' ? [event.warning] : []))
  expect(told).toEqual([
    { about: 'conv1_Conv', message: '8 biases do not fit the 32-bit sums at the scale of the operand: clamped' },
  ])
})
