/** The program as a user meets it: a process with arguments, output, exit codes and signals. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { takeLock } from '../src/engine/lock.js'
import { type BuildRig, buildRig, picture, tinyYaml } from './build/rig.js'

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))

interface Result {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function start(
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): { child: ChildProcess; ended: Promise<Result> } {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), cli, ...args], {
    cwd,
    env: { ...process.env, CI: '', GITHUB_ACTIONS: '', NO_COLOR: '', ...env },
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (text) => (out += text))
  child.stderr.on('data', (text) => (err += text))
  return { child, ended: new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err }))) }
}

const quant = (args: readonly string[], cwd: string, env?: Record<string, string>): Promise<Result> =>
  start(args, cwd, env).ended

let p: BuildRig
beforeAll(async () => {
  p = await buildRig({ 'quant.yaml': stringify(tinyYaml), 'deep/er/note.txt': '' })
})

test('build, then build again, from a folder below: figures both times, nothing run the second time', async () => {
  const first = await quant(['build'], p.root)
  expect(first.code, first.err).toBe(0)
  expect(first.out).toMatch(/^calibrate: done in .*4 pictures/m)
  expect(first.out).toMatch(/^mix +\S+ +\d+/m)
  expect(first.out).toContain('pictures/p1.png')
  const second = await quant(['build'], join(p.root, 'deep/er'))
  expect(second.code).toBe(0)
  expect(second.out).toMatch(/nothing to do: 10 up to date/)
})

test('status and why, as text and as JSON', async () => {
  const status = await quant(['status'], p.root)
  expect(status.out.split('\n').filter((line) => line.includes('up to date'))).toHaveLength(10)
  writeFileSync(join(p.root, 'quant.yaml'), stringify(tinyYaml).replace('score: 0.3', 'score: 0.35'))
  const why = await quant(['why', 'verify'], p.root)
  expect(why.out).toContain('verify.detector.score 0.3 -> 0.35')
  const lines = (await quant(['--json', 'status'], p.root)).out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(lines.find(({ stage }) => stage === 'verify')).toMatchObject({
    would: 'run',
    because: [{ why: 'param-changed', at: 'verify.detector.score', was: 0.3, now: 0.35 }],
  })
  writeFileSync(join(p.root, 'quant.yaml'), stringify(tinyYaml))
})

test('wrong usage: exit 2, and what was meant', async () => {
  expect(await quant(['bild'], p.root)).toMatchObject({ code: 2, err: expect.stringContaining('build') })
  expect(await quant(['build', 'mxi'], p.root)).toMatchObject({
    code: 2,
    err: expect.stringContaining('did you mean `mix`?'),
  })
  expect(await quant(['-C', '/', 'build'], p.root)).toMatchObject({
    code: 2,
    err: expect.stringContaining('there is no quant.yaml'),
  })
  expect(await quant(['build', '--jobs', 'many'], p.root)).toMatchObject({ code: 2 })
  const help = await quant(['--help'], p.root)
  expect(help).toMatchObject({ code: 0 })
  expect(help.out).toContain('Examples:')
})

test('a typo in quant.yaml: place, squiggle, suggestion, exit 1, no stack trace', async () => {
  const q = await buildRig({ 'quant.yaml': stringify(tinyYaml).replace('tune_num', 'tune_nun') })
  const { code, err } = await quant(['build'], q.root)
  expect(code).toBe(1)
  expect(err).toMatch(/^quant\.yaml:\d+:3: /)
  expect(err).toMatch(/did you mean [`"]tune_num[`"]\?/)
  expect(err).not.toMatch(/^\s+at /m)
})

test('init writes a description that builds as soon as there are pictures, and overwrites none', async () => {
  const q = await buildRig()
  expect(await quant(['init', 'tiny.onnx'], q.root)).toMatchObject({ code: 0 })
  const { code, err } = await quant(['build', 'int8'], q.root)
  expect(code, err).toBe(0)
  expect(q.read('build/tiny_int8_tpu.mlir')).toContain('tpu.Conv2D')
  expect(await quant(['init', 'tiny.onnx'], q.root)).toMatchObject({
    code: 2,
    err: expect.stringContaining('exists already'),
  })
})

test('events as JSON lines', async () => {
  const { code, out } = await quant(['--json', 'build'], p.root)
  expect(code).toBe(0)
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(events[0]).toMatchObject({ type: 'planned' })
  expect(events.at(-1)).toMatchObject({ type: 'done', ran: 0, failed: 0 })
})

test('colour only where it is wanted', async () => {
  const esc = String.fromCharCode(27)
  expect((await quant(['build'], p.root)).out).not.toContain(esc)
  expect((await quant(['build'], p.root, { FORCE_COLOR: '1' })).out).toContain(esc)
  expect((await quant(['build'], p.root, { FORCE_COLOR: '', NO_COLOR: '1' })).out).not.toContain(esc)
})

test('Ctrl-C: exit 130 at once, and the next build goes on from there', async () => {
  const q = await buildRig({ 'quant.yaml': stringify(tinyYaml) })
  for (let n = 5; n <= 120; n++) q.write(`pictures/p${n}.png`, await picture(n, 64, 64))
  const { child, ended } = start(['--json', 'build', '--jobs', '1'], q.root)
  await new Promise<void>((resolve) => {
    child.stdout!.on('data', (text: Buffer) => {
      if (/"stage":"calibrate","done":[1-9]/.test(text.toString())) resolve()
    })
  })
  child.kill('SIGINT')
  expect(await ended).toMatchObject({ code: 130 })
  const again = await quant(['--json', 'build'], q.root)
  expect(again.code).toBe(0)
  const reused = again.out.split('\n').flatMap((line) => {
    const event = line === '' ? {} : JSON.parse(line)
    return event.type === 'progress' && event.stage === 'calibrate' ? [event.reused] : []
  })
  expect(Math.max(...reused)).toBeGreaterThan(0)
})

test('a second terminal waits for the first, says so, and then goes on', async () => {
  const q = await buildRig({ 'quant.yaml': stringify(tinyYaml) })
  const first = await takeLock(join(q.root, '.quant'), () => {}, new AbortController().signal)
  const { child, ended } = start(['build'], q.root)
  const told = await new Promise<string>((resolve) => child.stderr!.on('data', (text) => resolve(String(text))))
  expect(told).toContain(`waiting for another build here (process ${process.pid})`)
  first.release()
  expect((await ended).code).toBe(0)
})

test('two terminals at once: the work is done once', async () => {
  const q = await buildRig({ 'quant.yaml': stringify(tinyYaml) })
  const both = await Promise.all([quant(['build'], q.root), quant(['build'], q.root)])
  expect(both.map(({ code }) => code)).toEqual([0, 0])
  expect(both.filter(({ out }) => out.includes('nothing to do'))).toHaveLength(1)
})

test('--no-wait: who has it and since when, exit 1 at once', async () => {
  const first = await takeLock(join(p.root, '.quant'), () => {}, new AbortController().signal)
  const { code, err } = await quant(['build', '--no-wait'], p.root)
  expect(code).toBe(1)
  expect(err).toMatch(
    new RegExp(`another build is running here \\(process ${process.pid}, since \\d\\d:\\d\\d:\\d\\d\\)`),
  )
  // What only looks does not ask for the lock.
  expect((await quant(['status'], p.root)).code).toBe(0)
  expect((await quant(['why', 'verify'], p.root)).code).toBe(0)
  first.release()
  expect((await quant(['build', '--no-wait'], p.root)).code).toBe(0)
})

test('--frozen holds a build to quant.lock, --twice runs a stage again', async () => {
  expect((await quant(['build', '--frozen'], p.root)).code).toBe(0)
  const twice = await quant(['build', '--twice', 'calibrate'], p.root)
  expect(twice.out).toMatch(/^calibrate: the same bytes, in /m)
  expect(twice.out).toMatch(/2 up to date, 2 the same twice$/m)
  writeFileSync(join(p.root, 'quant.yaml'), stringify(tinyYaml).replace('score: 0.3', 'score: 0.45'))
  const { code, err } = await quant(['build', '--frozen'], p.root)
  expect(code).toBe(1)
  expect(err).toContain('one thing is not as quant.lock says')
  expect(err).toContain('verify: verify.detector.score: 0.3 in quant.lock, 0.45 here')
  const asJson = await quant(['--json', 'build', '--frozen'], p.root)
  expect(JSON.parse(asJson.out.trim().split('\n').at(-1)!)).toMatchObject({ type: 'error', error: { code: 'frozen' } })
  expect((await quant(['build', '--frozen', '--dry-run'], p.root)).code).toBe(2)
  writeFileSync(join(p.root, 'quant.yaml'), stringify(tinyYaml))
})

test('clean removes what was made; the next build restores it', async () => {
  const before = readFileSync(join(p.root, 'build/tiny_cali_table'), 'utf8')
  const cleaned = await quant(['clean'], p.root)
  expect(cleaned.out).toMatch(/\d+ artifacts removed/)
  const { out } = await quant(['--json', 'build'], p.root)
  expect(JSON.parse(out.trim().split('\n').at(-1)!)).toMatchObject({ type: 'done', ran: 0, restored: 10 })
  expect(readFileSync(join(p.root, 'build/tiny_cali_table'), 'utf8')).toBe(before)
})
