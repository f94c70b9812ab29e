/**
 * Killed at any moment, the next build is right: a build in a process of its own is ended by SIGKILL before each single call that changes
 * something on disk, and in the middle of each that writes bytes.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import { build as bundle } from 'esbuild'
import { beforeAll, expect, test } from 'vitest'
import { build } from '../../src/engine/build.js'
import { textProject } from './project.js'
import { rig, temporaryFolder } from './rig.js'
import { scenarios } from './scenarios.js'

const child = join(temporaryFolder(), 'child.mjs')
beforeAll(async () => {
  await bundle({
    entryPoints: [fileURLToPath(new URL('kill-child.ts', import.meta.url))],
    outfile: child,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  })
})

const long = (letter: string): string => letter.repeat(200)
const sha256 = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex')
/** What a clean build gives, written down by hand. */
const results = {
  before: { 'out/mid': long('X'), 'out/end': `${long('X')}+${long('y')}`, 'out/side': long('Y') },
  after: { 'out/mid': long('Z'), 'out/final/end': `${long('Z')}+${long('w')}`, 'out/side': long('W') },
}
type Scenario = keyof typeof results
const outputOf: Record<Scenario, Record<string, string>> = {
  before: { a: 'out/mid', b: 'out/end', c: 'out/side' },
  after: { a: 'out/mid', b: 'out/final/end', c: 'out/side' },
}

/** Builds in this process, and gives the stages that ran, sorted. */
async function buildHere(root: string, scenario: Scenario): Promise<string[]> {
  const ran: string[] = []
  const result = await build(
    textProject(root, scenarios[scenario], (name) => ran.push(name)),
    {
      parallel: 1,
      signal: new AbortController().signal,
      emit: () => {},
      lockFile: { path: join(root, 'quant.lock'), frozen: false },
    },
  )
  expect(result.failed).toEqual([])
  return ran.sort()
}

/** A folder with the old outputs in place and the new inputs written. */
async function edited(): Promise<string> {
  const { root, write } = rig({ in: long('x'), other: long('y') }, {})
  await buildHere(root, 'before')
  write('in', long('z'))
  write('other', long('w'))
  return root
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

/** Which stages' actions with the new results stand in the store, each under its final name. */
function recorded(root: string, scenario: Scenario): string[] {
  const actions = join(root, '.quant/store/actions')
  const texts = filesIn(actions)
    .filter((path) => !path.endsWith('.part'))
    .map((path) => readFileSync(join(actions, path), 'utf8'))
  const made = results[scenario] as Record<string, string>
  return Object.entries(outputOf[scenario]).flatMap(([stage, path]) =>
    texts.some((text) => text.includes(sha256(made[path]!))) ? [stage] : [],
  )
}

function expectReadableLog(root: string): void {
  const path = join(root, '.quant/state.log')
  const lines = readFileSync(path, 'utf8').split('\n')
  expect(lines[0]).toBe('quant state 1')
  for (const line of lines.slice(1, -1)) {
    const [sum, json] = line.split('\t') as [string, string]
    expect(crc32(json).toString(16).padStart(8, '0')).toBe(sum)
  }
}

function expectClean(root: string, scenario: Scenario): void {
  const made = results[scenario] as Record<string, string>
  for (const [path, text] of Object.entries(made)) expect(readFileSync(join(root, path), 'utf8')).toBe(text)
  const names = filesIn(root).filter((path) => !path.startsWith('.quant/store/'))
  expect(names).toEqual(['.quant/state.log', 'in', 'other', 'quant.lock', ...Object.keys(made)].sort())
  for (const digest of Object.values(made).map(sha256))
    expect(readFileSync(join(root, 'quant.lock'), 'utf8')).toContain(digest)
}

interface Death {
  readonly call: string
  readonly path: string
}

/** Kills at N = 1, 2, 3 ... until the build lives; gives what it died at. */
async function killEverywhere(
  template: string,
  scenario: Scenario,
  mode: 'before' | 'half',
  filter = '',
): Promise<Death[]> {
  const deaths: Death[] = []
  const oldLock = readFileSync(join(template, 'quant.lock'), 'utf8')
  let newLock: string | undefined
  for (let n = 1; ; n++) {
    const root = join(temporaryFolder(), 'p')
    cpSync(template, root, { recursive: true })
    const { signal, code, out } = await run([child, root, scenario, mode, String(n), filter])
    if (signal !== 'SIGKILL') {
      expect(code).toBe(0)
      expectClean(root, scenario)
      rmSync(root, { recursive: true })
      return deaths
    }
    const [call, path] = out.trim().split(' ') as [string, string]
    deaths.push({ call, path: path.slice(root.length + 1) })
    expectReadableLog(root)
    const lock = readFileSync(join(root, 'quant.lock'), 'utf8')
    const known = recorded(root, scenario)
    const missing = ['a', 'b', 'c'].filter((stage) => !known.includes(stage))
    expect(await buildHere(root, scenario), out).toEqual(missing)
    expectClean(root, scenario)
    newLock ??= readFileSync(join(root, 'quant.lock'), 'utf8')
    expect([oldLock, newLock]).toContain(lock)
    expect(await buildHere(root, scenario)).toEqual([])
    rmSync(root, { recursive: true })
  }
}

function run(args: string[]): Promise<{ signal: string | null | undefined; code: unknown; out: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, out, err) => {
      if (error && error.signal !== 'SIGKILL') out += err
      resolve({ signal: error?.signal, code: error ? error.code : 0, out })
    })
  })
}

const at = (deaths: readonly Death[], call: string, path: RegExp): boolean =>
  deaths.some((death) => death.call === call && path.test(death.path))

test.concurrent('before each change on disk', async () => {
  const deaths = await killEverywhere(await edited(), 'after', 'before')
  // Before the first byte of an output, before its rename, after it (= before what comes next), before the log line.
  expect(at(deaths, 'copyFileSync', /^out\/\.mid\.\d+\.part$/)).toBe(true)
  expect(at(deaths, 'renameSync', /^out\/final\/end$/)).toBe(true)
  expect(at(deaths, 'renameSync', /^\.quant\/store\/actions\//)).toBe(true)
  expect(at(deaths, 'appendFileSync', /^\.quant\/state\.log$/)).toBe(true)
  expect(at(deaths, 'rmSync', /^out\/end$/)).toBe(true)
  expect(at(deaths, 'renameSync', /^quant\.lock$/)).toBe(true)
  expect(at(deaths, 'writeFileSync', /^\.quant\/lock$/)).toBe(true)
})

test.concurrent('in the middle of each file', async () => {
  const deaths = await killEverywhere(await edited(), 'after', 'half')
  expect(at(deaths, 'copyFileSync', /^out\/\.mid\.\d+\.part$/)).toBe(true)
  expect(at(deaths, 'appendFileSync', /^\.quant\/state\.log$/)).toBe(true)
  expect(at(deaths, 'writeSync', /^\.quant\/store\/actions\//)).toBe(true)
})

test.concurrent('while it restores an earlier state, behind the lock of a dead owner: nothing runs', async () => {
  const root = await edited()
  await buildHere(root, 'after')
  for (const [path, letter] of [
    ['in', 'x'],
    ['other', 'y'],
  ] as const)
    writeFileSync(join(root, path), long(letter))
  writeFileSync(join(root, '.quant/lock'), '999999999 1 another-boot\n')
  const deaths = await killEverywhere(root, 'before', 'before')
  expect(at(deaths, 'renameSync', /^out\/end$/)).toBe(true)
  expect(at(deaths, 'rmSync', /^\.quant\/lock$/)).toBe(true)
})

test.concurrent('while the state log is rewritten', async () => {
  const root = await edited()
  const log = join(root, '.quant/state.log')
  const [header, ...lines] = readFileSync(log, 'utf8').split('\n')
  const body = lines.filter((line) => line !== '')
  writeFileSync(
    log,
    `${[
      header,
      ...Array(Math.ceil(200 / body.length))
        .fill(body)
        .flat(),
    ].join('\n')}\n`,
  )
  for (const mode of ['before', 'half'] as const) {
    const deaths = await killEverywhere(root, 'after', mode, 'state.log')
    expect(at(deaths, mode === 'half' ? 'writeSync' : 'renameSync', /state\.log/)).toBe(true)
  }
  expect(existsSync(log)).toBe(true)
})
