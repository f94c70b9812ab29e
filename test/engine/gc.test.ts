/** `quant gc`: what nobody needs goes, and only that; whatever goes, the next build is right. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as disk from '../../src/disk.js'
import { collect, type GcOptions, type GcReport } from '../../src/engine/gc.js'
import { openStore } from '../../src/engine/store.js'
import { type Rig, rig, type TextStage, temporaryFolder } from './rig.js'

const storeOf = (p: Rig): string => join(p.root, '.quant/store')

function gc(store: string, options: Partial<GcOptions> = {}): Promise<GcReport> {
  return collect(store, { days: 14, dryRun: false, verify: false, folders: [], ...options })
}

/** Makes everything in a folder look as if last written so many days ago. */
function age(folder: string, days: number): void {
  const at = new Date(Date.now() - days * 86_400_000)
  for (const path of filesIn(folder)) utimesSync(path, at, at)
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => join(folder, path))
    .filter((path) => !statSync(path).isDirectory())

const group = ({ groups }: GcReport, kind: string, name: string) =>
  groups.find((one) => one.kind === kind && one.name === name)

/** Two stages; the first keeps a piece per letter of its input. */
const stages: Record<string, TextStage> = {
  a: {
    reads: ['in'],
    writes: 'mid',
    make: ([text], { memo, progress }) => {
      const letters = [...text!]
      const missing = letters.filter((letter) => !memo.has(keyOf(letter)))
      for (const letter of missing) memo.put(keyOf(letter), Buffer.from(letter.toUpperCase()))
      progress(letters.length, letters.length, 'letters', letters.length - missing.length)
      return letters.map((letter) => Buffer.from(memo.get(keyOf(letter))!).toString()).join('')
    },
  },
  b: { reads: ['mid'], writes: 'end', make: ([text]) => `${text}!` },
}
const keyOf = (letter: string): string => Buffer.from(letter).toString('hex').padStart(64, '0')
const reused = (p: Rig): number | undefined => {
  const event = p.events.findLast(({ type }) => type === 'progress')
  return event?.type === 'progress' ? event.reused : undefined
}

test('an earlier state goes when nobody used it for so long, the present one stays', async () => {
  const p = rig({ in: 'xy' }, stages)
  await p.build()
  age(storeOf(p), 30)
  p.write('in', 'z')
  await p.build()
  p.ran('a b a b')
  const report = await gc(storeOf(p))
  expect(group(report, 'outputs', 'a')).toMatchObject({ stays: { count: 1 }, goes: { count: 1 }, unusedDays: 0 })
  expect(group(report, 'pieces', 'a')).toMatchObject({ stays: { count: 1 }, goes: { count: 2 } })
  p.remove('out/mid')
  await p.build()
  p.ran('')
  p.write('in', 'xy')
  await p.build()
  p.ran('a b')
  expect(p.read('out/end')).toBe('XY!')
})

test('the present state stays, however old; one picture more costs one picture', async () => {
  const p = rig({ in: 'xyz' }, stages)
  await p.build()
  p.ran('a b')
  const before = filesIn(storeOf(p))
  // As if built a hundred days ago: the records know when they were made.
  const made = Date.now() - 100 * 86_400_000
  for (const path of filesIn(join(storeOf(p), 'actions'))) rewrite(path, made)
  age(storeOf(p), 100)
  const report = await gc(storeOf(p), { size: 0 })
  expect(report.groups.map(({ goes }) => goes.count)).toEqual([0, 0, 0])
  expect(filesIn(storeOf(p))).toEqual(before)
  p.write('in', 'xyzw')
  await p.build()
  p.ran('a b')
  expect(reused(p)).toBe(3)
})

test('a dry run tells the same and deletes nothing', async () => {
  const p = rig({ in: 'x' }, stages)
  await p.build()
  age(storeOf(p), 30)
  p.write('in', 'y')
  await p.build()
  const before = filesIn(storeOf(p))
  const told = await gc(storeOf(p), { dryRun: true })
  expect(filesIn(storeOf(p))).toEqual(before)
  const done = await gc(storeOf(p))
  expect(done.groups).toEqual(told.groups)
  const bytes = done.groups.reduce((sum, { goes }) => sum + goes.bytes, 0)
  expect(bytes).toBeGreaterThan(0)
  expect(filesIn(storeOf(p)).length).toBeLessThan(before.length)
})

test('what a build used is not old: restoring an earlier state spares it', async () => {
  const p = rig({ in: 'x' }, stages)
  await p.build()
  p.write('in', 'y')
  await p.build()
  age(storeOf(p), 30)
  p.write('in', 'x')
  await p.build()
  p.write('in', 'y')
  await p.build()
  p.ran('a b a b')
  // Both states were used a moment ago.
  const report = await gc(storeOf(p))
  expect(group(report, 'outputs', 'a')).toMatchObject({ stays: { count: 2 }, goes: { count: 0 } })
})

test('down to a size: what was not used for longest goes first, until it fits', async () => {
  const p = rig({ in: '' }, { a: { reads: ['in'], writes: 'mid', make: ([text]) => text!.repeat(10_000) } })
  for (const [letter, days] of [
    ['c', 5],
    ['a', 4],
    ['b', 3],
    ['now', 2],
  ] as const) {
    p.write('in', letter)
    await p.build()
    // Touches what this build wrote: everything else is older already.
    for (const path of filesIn(storeOf(p))) if (Date.now() - statSync(path).mtimeMs < 43_200_000) age2(path, days)
  }
  p.ran('a a a a')
  const report = await gc(storeOf(p), { size: 45_000 })
  expect(group(report, 'outputs', 'a')).toMatchObject({ stays: { count: 2 }, goes: { count: 2 } })
  p.write('in', 'b')
  await p.build()
  p.ran('')
  p.write('in', 'c')
  await p.build()
  p.ran('a')
})

test('what is younger than an hour stays, whoever it is of', async () => {
  const p = rig({ in: 'x' }, stages)
  await p.build()
  p.write('in', 'y')
  await p.build()
  const orphan = join(storeOf(p), 'objects/ab/'.padEnd(73, 'c'))
  disk.writeAtomic(orphan, 'put by a build that has not recorded its action yet')
  const report = await gc(storeOf(p), { days: 0, size: 0 })
  expect(report.groups.every(({ goes }) => goes.count === 0)).toBe(true)
  expect(existsSync(orphan)).toBe(true)
  age(join(storeOf(p), 'objects/ab'), 1)
  expect(group(await gc(storeOf(p)), 'nobody', '')).toMatchObject({ goes: { count: 1 } })
  expect(existsSync(orphan)).toBe(false)
})

test('what a build of another project has just looked at stays', async () => {
  const p = rig({ in: 'xy' }, stages)
  await p.build()
  p.write('in', 'z')
  await p.build()
  age(storeOf(p), 30)
  const made = Date.now() - 86_400_000
  for (const path of filesIn(join(storeOf(p), 'actions'))) rewrite(path, made)
  expect(openStore(storeOf(p)).memo('a').has(keyOf('x'))).toBe(true)
  const report = await gc(storeOf(p), { days: 0, size: 0 })
  expect(group(report, 'pieces', 'a')).toMatchObject({ stays: { count: 1 }, goes: { count: 2 } })
  expect(openStore(storeOf(p)).memo('a').has(keyOf('x'))).toBe(true)
})

test('what killed writes left goes after an hour, in the store and beside it', async () => {
  const p = rig({ in: 'x' }, stages)
  await p.build()
  const left = ['.quant/store/objects/ab/.cdef.123.part', '.quant/.state.log.77.part', 'out/.mid.9.part']
  const similar = 'out/mine.9.part'
  for (const path of [...left, similar]) {
    p.write(path, 'half')
    age2(join(p.root, path), 1)
  }
  p.write('out/.end.8.part', 'being written')
  const report = await gc(storeOf(p), { folders: [join(p.root, '.quant'), join(p.root, 'out')] })
  expect(group(report, 'leftovers', '')).toMatchObject({ goes: { count: 3, bytes: 12 }, stays: { count: 1 } })
  expect(left.filter((path) => existsSync(join(p.root, path)))).toEqual([])
  expect([similar, 'out/.end.8.part'].every((path) => existsSync(join(p.root, path)))).toBe(true)
})

test('a shared store keeps what other projects need, and forgets projects that are gone', async () => {
  const store = join(temporaryFolder(), 'store')
  const make = (text: string): Rig => {
    const p = rig({ in: text }, stages)
    const plain = p.project
    p.project = () => ({ ...plain(), store })
    return p
  }
  const [one, other] = [make('x'), make('y')]
  await one.build()
  await other.build()
  age(store, 30)
  expect(await gc(store)).toMatchObject({ projects: 2 })
  one.remove('out/mid')
  await one.build()
  one.ran('a b')
  age(store, 30)
  disk.remove(other.root)
  const report = await gc(store)
  expect(report.projects).toBe(1)
  expect(group(report, 'outputs', 'a')).toMatchObject({ stays: { count: 1 }, goes: { count: 1 } })
})

test('--verify finds what is damaged, drops it, and the next build makes it again', async () => {
  const p = rig({ in: 'xy' }, stages)
  await p.build()
  p.ran('a b')
  const [object] = filesIn(join(storeOf(p), 'objects'))
  const [piece] = filesIn(join(storeOf(p), 'memo'))
  writeFileSync(object!, 'damaged')
  writeFileSync(piece!, 'damaged')
  expect((await gc(storeOf(p))).damaged).toBe(0)
  expect((await gc(storeOf(p), { verify: true, dryRun: true })).damaged).toBe(2)
  expect(existsSync(object!)).toBe(true)
  expect((await gc(storeOf(p), { verify: true })).damaged).toBe(2)
  expect(existsSync(object!)).toBe(false)
  expect((await gc(storeOf(p), { verify: true })).damaged).toBe(0)
  for (const output of ['mid', 'end']) p.remove(`out/${output}`)
  await p.build()
  expect(p.read('out/end')).toBe('XY!')
})

test('an empty store, and one that is not there', async () => {
  const folder = temporaryFolder()
  expect(await gc(folder)).toEqual({ groups: [], damaged: 0, projects: 0 })
  expect(await gc(join(folder, 'none'))).toEqual({ groups: [], damaged: 0, projects: 0 })
})

function age2(path: string, days: number): void {
  const at = new Date(Date.now() - days * 86_400_000)
  utimesSync(path, at, at)
}

/** Gives a record another time of making. */
function rewrite(path: string, made: number): void {
  const record = JSON.parse(readFileSync(path, 'utf8').slice(65)) as object
  const json = JSON.stringify({ ...record, made })
  writeFileSync(path, `${createHash('sha256').update(json).digest('hex')} ${json}`)
}
