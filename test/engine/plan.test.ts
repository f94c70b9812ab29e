/** What `status`, `why` and `build --dry-run` say before anything is done, held against what a build then does. */
import { expect, test } from 'vitest'
import { costOf, firstCauses, type Planned } from '../../src/engine/plan.js'
import { join2, type Rig, rig, upper } from './rig.js'

/** x -> a -> b -> d, y -> c -> d. */
const diamond = () =>
  rig(
    { x: 'one', y: 'two' },
    { a: upper('x', 'a.txt'), b: upper('a.txt', 'b.txt'), c: upper('y', 'c.txt'), d: join2('b.txt', 'c.txt', 'd.txt') },
  )

const words = (planned: readonly Planned[]): string =>
  planned.map(({ stage, would }) => `${stage.name} ${would}`).join(', ')
const of = (planned: readonly Planned[], name: string): Planned => planned.find(({ stage }) => stage.name === name)!
const change = (p: Rig, stage: string, params: Record<string, number>): void => {
  p.stages = { ...p.stages, [stage]: { ...p.stages[stage]!, params } }
}

test('before the first build every stage surely runs, for a reason of its own', async () => {
  const p = diamond()
  const planned = await p.plan()
  expect(words(planned)).toBe('a run, b run, c run, d run')
  for (const { because } of planned) expect(because).toEqual([{ why: 'never-built' }])
  expect(costOf(planned, 'run')).toEqual({ ms: 0, unknown: 4 })
})

test('behind a changed file nothing is sure; the first cause is found through those in between', async () => {
  const p = diamond()
  await p.build()
  p.write('x', 'other')
  const planned = await p.plan()
  expect(words(planned)).toBe('a run, b maybe, c stay, d maybe')
  expect(of(planned, 'd').because).toEqual([{ why: 'upstream-stale', stage: 'b' }])
  const [first, ...more] = firstCauses(planned, of(planned, 'd'))
  expect(more).toEqual([])
  expect(first).toMatchObject({ stage: { name: 'a' }, because: [{ why: 'input-changed', path: 'x' }] })
})

test('it may come out the same: what was maybe stays', async () => {
  const p = diamond()
  await p.build()
  p.ran('a c b d')
  p.write('x', 'ONE') // the same in capitals
  expect(words(await p.plan())).toBe('a run, b maybe, c stay, d maybe')
  await p.build()
  p.ran('a')
})

test('a setting of its own makes a stage run for sure, and that is its cause', async () => {
  const p = diamond()
  await p.build()
  p.write('x', 'other')
  change(p, 'd', { level: 3 })
  const planned = await p.plan()
  expect(words(planned)).toBe('a run, b maybe, c stay, d run')
  expect(of(planned, 'd').because).toEqual([{ why: 'param-changed', at: 'level', was: undefined, now: 3 }])
})

test('an input that comes from a stage that never ran is new', async () => {
  const p = diamond()
  await p.build()
  p.stages = { x2: upper('y', 'x2.txt'), ...p.stages, c: join2('y', 'x2.txt', 'c.txt') }
  const planned = await p.plan()
  expect(words(planned)).toBe('x2 run, a stay, b stay, c run, d maybe')
  expect(of(planned, 'c').because).toEqual([
    { why: 'upstream-changed', stage: 'x2', output: 'x2.txt', was: undefined, now: undefined },
  ])
})

test('an output that is gone is told of a stage that waits, too', async () => {
  const p = diamond()
  await p.build()
  p.write('x', 'other')
  p.remove('out/b.txt')
  expect(of(await p.plan(), 'b')).toMatchObject({
    would: 'maybe',
    because: [
      { why: 'output-missing', path: 'b.txt' },
      { why: 'upstream-stale', stage: 'a' },
    ],
  })
})

test('what the store has is restored, and what hangs on it is known', async () => {
  const p = diamond()
  await p.build()
  p.write('x', 'other')
  await p.build()
  p.write('x', 'one')
  expect(words(await p.plan())).toBe('a restore, b restore, c stay, d restore')
  p.remove('out/c.txt')
  expect(of(await p.plan(), 'c')).toMatchObject({
    would: 'restore',
    because: [{ why: 'output-missing', path: 'c.txt' }],
  })
})

test('the record keeps why a stage last ran, and that it was restored', async () => {
  const p = diamond()
  await p.build()
  p.write('x', 'other')
  await p.build()
  expect(of(await p.plan(), 'a').last).toMatchObject({
    because: [{ why: 'input-changed', path: 'x' }],
    restored: false,
  })
  expect(of(await p.plan(), 'c').last).toMatchObject({ because: [{ why: 'never-built' }], restored: false })
  p.write('x', 'one')
  await p.build()
  expect(of(await p.plan(), 'a').last).toMatchObject({ because: [{ why: 'input-changed', path: 'x' }], restored: true })
})

test('of many reasons the record keeps the first', async () => {
  const names = Array.from({ length: 50 }, (_, n) => `p${n}`)
  const p = rig(Object.fromEntries(names.map((name) => [name, name])), {
    all: { reads: names, writes: 'all.txt', make: (texts) => texts.join('') },
  })
  await p.build()
  for (const name of names) p.write(name, 'other')
  await p.build()
  expect((await p.plan())[0]!.last!.because).toHaveLength(20)
})

test('the last run tells what the next may take', async () => {
  const p = diamond()
  await p.build()
  p.write('x', 'other')
  const planned = await p.plan()
  const sum = (would: string): number =>
    planned.filter((one) => one.would === would).reduce((ms, { last }) => ms + last!.ms, 0)
  expect(costOf(planned, 'run')).toEqual({ ms: sum('run'), unknown: 0 })
  expect(costOf(planned, 'maybe')).toEqual({ ms: sum('maybe'), unknown: 0 })
})
