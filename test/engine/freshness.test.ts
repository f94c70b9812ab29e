import { expect, test } from 'vitest'
import type { Warning } from '../../src/events.js'
import { join2, rig, type TextStage, upper } from './rig.js'

const chain = () =>
  rig({ in: 'x', other: 'y' }, { a: upper('in', 'mid'), b: join2('mid', 'other', 'end'), c: upper('other', 'side') })

test('the second build runs nothing', async () => {
  const p = chain()
  await p.build()
  p.ran('a c b')
  expect(p.read('out/end')).toBe('X+y')
  const again = await p.build()
  p.ran('')
  expect(again.fresh).toEqual(['a', 'c', 'b'])
})

test('only what reads a changed file runs, and says why', async () => {
  const p = chain()
  await p.build()
  p.ran('a c b')
  p.write('other', 'z')
  await p.build()
  p.ran('c b')
  expect(p.read('out/end')).toBe('X+z')
  expect(p.reasons('b')).toMatchObject([{ why: 'input-changed', path: 'other' }])
})

test('a stage that writes under another name is not fresh', async () => {
  const p = rig({ in: 'x' }, { a: upper('in', 'mid') })
  await p.build()
  p.stages.a = upper('in', 'moved')
  await p.build()
  p.ran('a a')
  expect(p.read('out/moved')).toBe('X')
  expect(() => p.read('out/mid')).toThrow()
  expect(p.reasons('a')).toEqual([
    { why: 'output-missing', path: 'moved' },
    { why: 'output-dropped', path: 'mid' },
  ])
})

test('a wanted stage builds only what it needs', async () => {
  const p = chain()
  await p.build({ wanted: ['a'] })
  p.ran('a')
  await p.build()
  p.ran('c b')
})

test('the plan says the same as the build does', async () => {
  const p = chain()
  expect((await p.plan()).map(({ stage, would }) => `${stage.name} ${would}`)).toEqual(['a run', 'b run', 'c run'])
  await p.build()
  expect((await p.plan()).every(({ would }) => would === 'stay')).toBe(true)
  p.write('in', 'n')
  const planned = await p.plan()
  expect(planned.map(({ would }) => would)).toEqual(['run', 'maybe', 'stay'])
  expect(planned[1]!.because).toEqual([{ why: 'upstream-stale', stage: 'a' }])
  p.write('in', 'x')
  p.remove('out/mid')
  expect((await p.plan()).map(({ would }) => would)).toEqual(['restore', 'stay', 'stay'])
})

const warnThen = (warning: Warning): TextStage['make'] => {
  return ([text], context) => {
    context.warn(warning)
    return text!
  }
}

test('warnings of a stage are given again when its result is used again', async () => {
  const warning = { about: 'tensor t', message: 'is constant' }
  const p = rig({ in: 'x' }, { a: { ...upper('in', 'mid'), make: warnThen(warning) } })
  await p.build()
  await p.build()
  expect(p.events).toContainEqual({ type: 'fresh', stage: 'a', warnings: [warning] })
})
