/** `quant diff`: two folders, a revision with artifacts, a revision with a lock file. */
import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { diffCommand } from '../../src/commands/diff.js'
import { openProject } from '../../src/commands/project.js'
import { build } from '../../src/engine/build.js'
import { lockPathOf } from '../../src/engine/lockfile.js'
import { type BuildRig, buildRig, tinyYaml, type Yaml } from '../build/rig.js'
import { printed, quant } from './process.js'

let p: BuildRig
const git = (...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: p.root, encoding: 'utf8' })
const method = (name: string): Yaml => ({
  ...tinyYaml,
  calibration: { dataset: 'pictures', tune_num: 0, method: name },
})

async function make(yaml: Yaml): Promise<void> {
  p.write('quant.yaml', stringify(yaml))
  const { project, pool } = openProject({ directory: p.root })
  const lockFile = { path: lockPathOf(join(p.root, 'quant.yaml')), frozen: false }
  try {
    await build(project, { parallel: 2, signal: new AbortController().signal, emit: () => {}, lockFile })
  } finally {
    pool.close()
  }
}

const diff = async (...[a, b]: [string, string?]) =>
  JSON.parse(await printed(() => diffCommand(a, b, { directory: p.root, json: true })))

beforeAll(async () => {
  p = await buildRig()
  await make(method('kl'))
  cpSync(join(p.root, 'build'), join(p.root, 'first'), { recursive: true })
  git('init', '-q')
  p.write('.gitignore', '.quant\nbuild\nfirst\n')
  git('add', '-A')
  git('commit', '-qm', 'with a lock file only')
  git('tag', 'locked')
  git('add', '-f', 'build')
  git('commit', '-qm', 'with artifacts')
  git('tag', 'whole')
  git('rm', '-rq', '--cached', 'build', 'quant.lock')
  git('commit', '-qm', 'with neither')
  git('tag', 'bare')
  await make(method('percentile'))
})

test('folders: thresholds that moved are those of the two tables', async () => {
  const { moved, before, after } = await diff('first')
  const thresholds = (table: string) =>
    Object.fromEntries(
      readFileSync(join(p.root, table), 'utf8')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => line.split(' '))
        .map(([name, threshold]) => [name, Number(threshold)]),
    )
  const [was, now] = [thresholds('first/tiny_cali_table'), thresholds('build/tiny_cali_table')]
  expect(before.thresholds).toEqual(was)
  expect(after.thresholds).toEqual(now)
  const count = Object.keys(now).filter((layer) => was[layer] !== now[layer]).length
  expect(count).toBeGreaterThan(0)
  expect(moved[0]).toMatchObject({ what: 'thresholds', moved: count, of: Object.keys(now).length })
  const verify = (folder: string) => JSON.parse(readFileSync(join(p.root, folder, 'verify.json'), 'utf8'))
  expect(moved).toContainEqual(
    expect.objectContaining({
      variant: 'int8',
      figure: 'SQNR',
      was: verify('first').variants.int8.sqnr,
      now: verify('build').variants.int8.sqnr,
    }),
  )
  expect((await diff('build', 'build')).moved).toEqual([])
})

test('revisions: what was committed, and what the store has by the digests of quant.lock, are the same build', async () => {
  const folder = await diff('first')
  expect(await diff('whole')).toEqual({ ...folder, a: 'whole' })
  expect(await diff('locked')).toEqual({ ...folder, a: 'locked' })
  expect((await diff('whole', 'locked')).moved).toEqual([])
})

test('from any folder, as text, exit 0 though things moved; what cannot be compared: exit 2 and what to do', async () => {
  const moved = await quant(['-f', join(p.root, 'quant.yaml'), 'diff', 'whole'], '/')
  expect(moved).toMatchObject({ code: 0, err: '' })
  expect(moved.out).toMatch(/^whole -> .*build\nthresholds +\d+ of \d+ moved/)
  for (const [args, says] of [
    [['bare'], 'git worktree add'],
    [['never-heard-of'], 'neither a folder nor a git revision'],
    [['--output=x'], 'unknown option'],
    [['pictures'], 'holds no artifacts'],
    [[], "missing required argument 'a'"],
  ] as const) {
    const { code, err } = await quant(['diff', ...args], p.root)
    expect(code, err).toBe(2)
    expect(err).toContain(says)
  }
})

test('a store that has lost the objects says so; a damaged file is named', async () => {
  const folder = join(p.root, '.quant/store/objects')
  rmSync(folder, { recursive: true })
  await expect(diff('locked')).rejects.toThrow(/is not in the store any more/)
  writeFileSync(join(p.root, 'first/verify.json'), '{')
  await expect(diff('first')).rejects.toThrow('verify.json is no JSON')
})
