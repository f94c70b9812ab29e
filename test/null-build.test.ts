/** A build with nothing to do, by the program as it is shipped: what it touches, what it says, and when it is not one. */
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { takeLock } from '../src/engine/lock.js'
import { type BuildRig, buildRig, picture, tinyYaml } from './build/rig.js'
import { type Bundle, makeBundle, type Ran } from './bundle.js'

const yaml = { ...tinyYaml, variants: { int8: { quantize: 'INT8' } } }
let p: BuildRig
let quant: Bundle
const build = (args: readonly string[] = [], env?: Record<string, string>): Promise<Ran> =>
  quant.run('quant.cjs', ['build', ...args], p.root, env)
const inProject = (paths: readonly string[]): string[] =>
  [...new Set(paths)].map((path) => relative(p.root, path)).filter((path) => !path.startsWith('..'))
/** Whether the answer came from the snapshot alone. */
const wasQuick = ({ trace }: Ran): boolean => inProject(trace.reads).join() === '.quant/snapshot'

/** Builds until nothing changes any more: files must be a moment old before they are believed by their times. */
async function settle(): Promise<void> {
  expect((await build()).code).toBe(0)
  await new Promise((resolve) => setTimeout(resolve, 2100))
  await build()
  const quick = await build()
  expect(wasQuick(quick), quick.err).toBe(true)
}

beforeAll(async () => {
  p = await buildRig({ 'quant.yaml': stringify(yaml), 'deep/er/note.txt': '' })
  quant = await makeBundle()
  await settle()
})

test('reads two files at most, hashes none, lists no folder, and loads no package but the colours', async () => {
  const { trace, out, code } = await build()
  expect(code).toBe(0)
  expect(out).toMatch(/nothing to do: 6 up to date/)
  expect(inProject(trace.reads).length).toBeLessThanOrEqual(2)
  expect(trace.lists).toEqual([])
  expect(trace.addons).toEqual([])
  expect(trace.packages).toEqual(['picocolors'])
  // One look at every file: the model, four pictures, quant.yaml, their folder, and what was made.
  const looked = inProject(trace.stats)
  expect(looked).toEqual(expect.arrayContaining(['tiny.onnx', 'quant.yaml', 'pictures', 'build/verify.json']))
  expect(looked.filter((path) => /^pictures\/p\d\.png$/.test(path))).toHaveLength(4)
  // The same questions put to the whole program: the hook does see what is loaded.
  const whole = await quant.run('cli.js', ['build'], p.root)
  expect(whole.trace.packages).toEqual(expect.arrayContaining(['commander', 'yaml']))
  expect(inProject(whole.trace.reads)).toContain('quant.yaml')
  expect(whole.trace.lists.length).toBeGreaterThan(0)
})

const timeless = (text: string): string => text.replaceAll(/\(\d+ ms\)|"ms":[\d.]+\}/g, 'TIME')

test.each([
  ['a pipe', [], {}],
  ['colours', [], { FORCE_COLOR: '1', NO_COLOR: '' }],
  ['no colours', [], { FORCE_COLOR: '1', NO_COLOR: '1' }],
  ['CI', [], { CI: 'true' }],
  ['GitHub', [], { GITHUB_ACTIONS: 'true' }],
  ['JSON', ['--json'], {}],
  ['another time zone', [], { TZ: 'Asia/Tokyo' }],
  ['workers', ['-j', '3'], {}],
] as const)('says what the whole program says: %s', async (_, args, env) => {
  const whole = await quant.run('cli.js', ['build', ...args], p.root, env)
  const quick = await build(args, env)
  expect(timeless(quick.out)).toBe(timeless(whole.out))
  expect(quick).toMatchObject({ code: 0, err: whole.err })
  expect(wasQuick(quick)).toBe(!('GITHUB_ACTIONS' in env))
})

const script = spawnSync('script', ['--version']).status === 0

test.skipIf(!script)('leaves in a terminal what the live view leaves', () => {
  const inTerminal = (file: string): string =>
    execFileSync('script', ['-qec', `${process.execPath} ${quant.path(file)} build`, '/dev/null'], {
      cwd: p.root,
      encoding: 'utf8',
      env: { ...process.env, CI: '', NO_COLOR: '', TERM: 'xterm' },
    })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the cursor that is hidden and shown
  const still = (text: string): string => timeless(text).replaceAll(/\u001b\[\?25[lh]/g, '')
  const whole = inTerminal('cli.js')
  expect(whole).toContain('nothing to do')
  expect(still(inTerminal('quant.cjs'))).toBe(still(whole))
})

test('found from below, from elsewhere, and by its file', async () => {
  const runs = [
    await quant.run('quant.cjs', ['build'], join(p.root, 'deep/er')),
    await quant.run('quant.cjs', ['-C', p.root, 'build'], '/'),
    await quant.run('quant.cjs', ['build', '--directory', 'er'], join(p.root, 'deep')),
    await build(['-f', 'quant.yaml']),
    await build(['--file', join(p.root, 'quant.yaml'), '--jobs', '2', '--json']),
  ]
  expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
  expect(runs.map(wasQuick)).toEqual([true, true, true, true, true])
})

test('whatever else is asked for goes to the whole program, which answers as ever', async () => {
  const others: [string[], number][] = [
    [['build', 'int8'], 0],
    [['build', 'nothing-of-that-name'], 2],
    [['build', '--jobs', 'many'], 2],
    [['build', '--jobs'], 2],
    [['-j', '2', 'build'], 2],
    [['build', '-f', 'missing.yaml'], 2],
    [['build', '--help'], 0],
    [['--version'], 0],
    [['status'], 0],
  ]
  for (const [args, code] of others) {
    const ran = await quant.run('quant.cjs', args, p.root)
    expect([args, ran.code, wasQuick(ran)]).toEqual([args, code, false])
  }
  await build() // the build of a part took the snapshot away
  expect(wasQuick(await build())).toBe(true)
})

test('another description in the same folder, and another store, are other builds', async () => {
  p.write('other.yaml', stringify({ ...yaml, output: 'elsewhere', verify: {} }))
  const other = await build(['-f', 'other.yaml'])
  expect(other).toMatchObject({ code: 0, err: '' })
  expect(wasQuick(other)).toBe(false)
  expect(existsSync(join(p.root, 'elsewhere'))).toBe(true)
  expect(wasQuick(await build())).toBe(false)
  expect(wasQuick(await build())).toBe(true)
  expect(wasQuick(await build([], { QUANT_STORE: join(p.root, 'store2') }))).toBe(false)
  expect(wasQuick(await build())).toBe(false)
  expect(wasQuick(await build())).toBe(true)
})

test('what is edited is seen by the very next build, and what that build does is right', async () => {
  const made = join(p.root, 'build/tiny_cali_table')
  const before = readFileSync(made, 'utf8')
  const { atime, mtime } = statSync(made)
  writeFileSync(made, before.replace(/\d/, '9'))
  utimesSync(made, atime, mtime)
  rmSync(join(p.root, 'build/verify.json'))
  const repaired = await build()
  expect(repaired.out).toMatch(/^calibrate: restored/m)
  expect(repaired.out).toMatch(/^verify: restored/m)
  expect(readFileSync(made, 'utf8')).toBe(before)
  await settle()
  p.write('pictures/p5.png', await picture(5))
  expect((await build()).out).toMatch(/^calibrate: done .*5 pictures/m)
  rmSync(join(p.root, 'pictures/p5.png'))
  expect((await build()).out).toMatch(/^calibrate: restored/m)
  appendFileSync(join(p.root, 'quant.yaml'), 'nonsense: 1\n')
  expect(await build()).toMatchObject({ code: 1, err: expect.stringContaining('nonsense') })
  p.write('quant.yaml', stringify(yaml))
  expect((await build()).out).toMatch(/nothing to do/)
})

test('where another build is at work there is no quick answer', async () => {
  const lock = await takeLock(join(p.root, '.quant'), () => {}, new AbortController().signal)
  rmSync(join(p.root, '.quant/snapshot'), { force: true }) // as every build does first
  const waiting = build()
  await new Promise((resolve) => setTimeout(resolve, 1500))
  lock.release()
  expect((await waiting).err).toContain('waiting for another build')
})
