/** A user who edits while `quant watch` runs: what is built, what is told, and what is left alone. */
import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, test } from 'vitest'
import { stringify } from 'yaml'
import { type BuildRig, buildRig, picture, tinyDetector, tinyYaml, type Yaml } from '../build/rig.js'
import { aWhile, watching } from './watching.js'

const score = (value: number): Yaml => ({
  ...tinyYaml,
  verify: { ...tinyYaml.verify, detector: { ...tinyYaml.verify.detector, score: value } },
})
const project = (yaml: Yaml = tinyYaml): Promise<BuildRig> => buildRig({ 'quant.yaml': stringify(yaml) }, yaml)
/** As editors save: a new file, renamed over the old one. Written in place it may be seen half on a busy machine, as an error. */
function save(p: BuildRig, text: string): void {
  p.write('quant.yaml~', text)
  renameSync(join(p.root, 'quant.yaml~'), join(p.root, 'quant.yaml'))
}
const touch = (path: string): void => utimesSync(path, new Date(2020, 1, 1), new Date(2020, 1, 1))

test('an editing session: settings, mistakes, pictures, artifacts', async () => {
  const p = await project()
  const at = (path: string): string => join(p.root, path)
  const watch = watching(p.root)
  const first = await watch.next()
  expect(first.ran).toHaveLength(10)
  expect(first.end).toMatchObject({ type: 'round', moved: [] })

  // A setting: only what reads it, and what moved.
  save(p, stringify(score(0.9)))
  const scored = await watch.next()
  expect(scored.ran).toEqual(['verify'])
  expect(scored.end.because).toMatchObject([
    { why: 'param-changed', at: 'verify.detector.score', was: 0.3, now: 0.9, place: { file: 'quant.yaml' } },
  ])
  expect(p.read('quant.yaml').split('\n')[scored.end.because[0].place.line - 1]).toContain('score: 0.9')

  // A mistake is told, and the way back is no work.
  save(p, stringify(score(0.9)).replace('tune_num', 'tune_nun'))
  expect((await watch.next()).end).toMatchObject({ type: 'error', error: { code: 'config' } })
  save(p, stringify(score(0.3)))
  expect(await watch.next()).toMatchObject({ ran: [], restored: ['verify'], end: { type: 'round' } })

  // Touched, rewritten with the same content, strangers beside it: nothing.
  touch(at('tiny.onnx'))
  touch(at('pictures/p2.png'))
  save(p, stringify(score(0.3)))
  p.write('pictures/notes.md', 'no sample')
  await aWhile()

  // A picture comes, in a folder of its own, and goes.
  p.write('p5.png', await picture(5))
  mkdirSync(at('pictures/z'))
  renameSync(at('p5.png'), at('pictures/z/p5.png'))
  const more = await watch.next()
  expect(more.end.because).toMatchObject([{ why: 'input-changed', path: 'pictures/z/p5.png' }])
  expect(more.ran).toContain('calibrate')
  const table = p.read('build/tiny_cali_table')
  rmSync(at('pictures/z'), { recursive: true })
  const fewer = await watch.next()
  expect(fewer).toMatchObject({ ran: [], end: { because: [{ path: 'pictures/z/p5.png' }] } })
  expect(fewer.restored).toContain('calibrate')
  expect(p.read('build/tiny_cali_table')).not.toBe(table)

  // Artifacts are repaired.
  const good = p.read('build/tiny_cali_table')
  p.write('build/tiny_cali_table', 'edited by hand')
  const edited = await watch.next()
  expect(edited).toMatchObject({ ran: [], restored: ['calibrate'], end: { because: [{ why: 'output-edited' }] } })
  rmSync(at('build/detect/int8'), { recursive: true })
  expect((await watch.next()).restored).toEqual(['detect:int8', 'verify'])
  expect(p.read('build/tiny_cali_table')).toBe(good)

  await aWhile()
  expect(await watch.end()).toEqual({ code: 0, unread: 0 })
})

test('what it needs may come later, and its own writes into a watched folder are not news', async () => {
  const yaml = { ...tinyYaml, output: 'pictures/out' }
  const p = await project(yaml)
  rmSync(join(p.root, 'tiny.onnx'))
  const watch = watching(p.root)
  expect((await watch.next()).end).toMatchObject({
    type: 'error',
    error: { message: expect.stringContaining('tiny.onnx') },
  })
  await aWhile()
  p.write('tiny.onnx', tinyDetector())
  const built = await watch.next()
  expect(built.end.type).toBe('round')
  expect(built.ran).toHaveLength(10)
  expect(existsSync(join(p.root, 'pictures/out/detect/int8/p1.jpg'))).toBe(true)
  await aWhile()
  // Four pictures, not those that were drawn: and the round is this change's alone.
  save(p, stringify({ ...yaml, calibration: { ...yaml.calibration, tune_num: 1 } }))
  const next = await watch.next()
  expect(next.end.because).toMatchObject([{ at: 'calibration.tune_num' }])
  expect(p.read('pictures/out/tiny_cali_table')).toContain('# sample number: 4')
  expect(await watch.end()).toEqual({ code: 0, unread: 0 })
})

test('a change of what a build reads stops it; what comes out is as if there had been no first one', async () => {
  const search = (input_num: number): Yaml => ({
    ...tinyYaml,
    variants: { mix: { quantize: 'INT8', mix: { input_num, min_improvement: 0.0001, loss_table: 'exhaustive' } } },
  })
  const p = await project(search(200))
  // The same picture with other bytes behind its end: as much work as others.
  const one = await picture(9)
  for (let n = 0; n < 200; n++) p.write(`pictures/q${n}.png`, Buffer.concat([one, Buffer.from(`${n}`)]))
  save(p, stringify({ ...search(200), calibration: { dataset: 'pictures', tune_num: 0, input_num: 6 } }))
  const watch = watching(p.root)
  await watch.event(({ type, stage, done }) => type === 'progress' && stage === 'losses:mix' && done > 0)
  const yaml = stringify({ ...search(2), calibration: { dataset: 'pictures', tune_num: 0, input_num: 6 } })
  save(p, yaml)
  const stopped = await watch.next()
  expect(stopped.end).toEqual({ type: 'stopped' })
  expect(stopped.ran).not.toContain('losses:mix')
  const built = await watch.next()
  expect(built.end.type).toBe('round')
  expect(built.ran).not.toContain('calibrate')
  expect(await watch.end()).toEqual({ code: 0, unread: 0 })

  const clean = await project(search(2))
  for (const name of readdirSync(join(p.root, 'pictures')))
    clean.write(`pictures/${name}`, readFileSync(join(p.root, 'pictures', name)))
  clean.yaml = { ...search(2), calibration: { dataset: 'pictures', tune_num: 0, input_num: 6 } }
  await clean.build()
  for (const file of readdirSync(join(clean.root, 'build'), { recursive: true, encoding: 'utf8' }))
    if (/\.\w+$|_qtable|_cali_table/.test(file))
      expect(readFileSync(join(p.root, 'build', file)), file).toEqual(readFileSync(join(clean.root, 'build', file)))
})

test('two watches in one folder: one builds, the other finds it done', async () => {
  const p = await project()
  const [a, b] = [watching(p.root), watching(p.root)]
  const both = await Promise.all([a.next(), b.next()])
  expect(both.map(({ ran }) => ran.length).sort()).toEqual([0, 10])
  await Promise.all([a.end(), b.end()])
})

const hasScript = spawnSync('script', ['--version']).status === 0

it.skipIf(!hasScript)('keys in a terminal: r, w and q; the terminal is as it was', async () => {
  const p = await project()
  await p.build()
  const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
  const quant = `${process.execPath} --import ${import.meta.resolve('tsx')} ${cli} watch`
  const child = spawn('script', ['-qec', `stty -a; ${quant}; echo "code $?"; stty -a`, '/dev/null'], {
    cwd: p.root,
    env: { ...process.env, CI: '', NO_COLOR: '1', TERM: 'xterm', COLUMNS: '100' },
  })
  let out = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  const shows = async (text: string): Promise<void> => {
    while (!out.includes(text)) await new Promise((resolve) => child.stdout.once('data', resolve))
  }
  await shows('q ends')
  child.stdin.write('w')
  await shows('now: all 10 up to date')
  child.stdin.write('r')
  await shows('nothing moved')
  save(p, stringify(score(0.9)))
  await shows('verify.detector.score 0.3 -> 0.9')
  child.stdin.write('q')
  await new Promise((resolve) => child.on('close', resolve))
  expect(out).toContain('code 0')
  const settings = [...out.matchAll(/(-?icanon|-?echo)\b/g)].map(([word]) => word)
  expect(settings.slice(0, settings.length / 2)).toEqual(settings.slice(settings.length / 2))
  expect(settings).toContain('icanon')
})

test('a data set that is not there yet: told, and built when it comes', async () => {
  const p = await project()
  renameSync(join(p.root, 'pictures'), join(p.root, 'elsewhere'))
  const watch = watching(p.root)
  expect((await watch.next()).end.error.message).toContain('pictures')
  mkdirSync(join(p.root, 'pictures'))
  for (const name of readdirSync(join(p.root, 'elsewhere')))
    writeFileSync(join(p.root, 'pictures', name), readFileSync(join(p.root, 'elsewhere', name)))
  for (;;) {
    const { end, ran } = await watch.next()
    if (end.type !== 'round') continue
    expect(ran).toContain('calibrate')
    if (p.read('build/tiny_cali_table').includes('# sample number: 4')) break
  }
  expect((await watch.end()).code).toBe(0)
})
