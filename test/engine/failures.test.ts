import { appendFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { memoKey, openMemo } from '../../src/engine/memo.js'
import { openState } from '../../src/engine/state.js'
import { QuantError } from '../../src/errors.js'
import { join2, rig, temporaryFolder, upper } from './rig.js'

test('a failed stage blocks those behind it, the others go on; mended, only the missing is done', async () => {
  let broken = true
  const p = rig(
    { in: 'x', other: 'y' },
    {
      a: {
        ...upper('in', 'mid'),
        make: () => {
          if (broken) throw new QuantError('input', 'in is broken')
          return 'good'
        },
      },
      b: join2('mid', 'other', 'end'),
      c: upper('other', 'side'),
    },
  )
  const result = await p.build()
  expect(result.failed).toMatchObject([{ stage: 'a', error: { code: 'input', message: 'in is broken' } }])
  expect(result.blocked).toEqual(['b'])
  p.ran('a c')
  broken = false
  await p.build()
  p.ran('a b')
})

test('a state log cut at any byte gives a right build', async () => {
  const p = rig({ in: 'x', other: 'y' }, { a: upper('in', 'mid'), b: join2('mid', 'other', 'end') })
  await p.build()
  p.write('in', 'z')
  await p.build()
  p.ran('a b a b')
  const log = join(p.root, '.quant/state.log')
  const whole = readFileSync(log)
  for (let cut = 0; cut < whole.length; cut += 37) {
    writeFileSync(log, whole)
    truncateSync(log, cut)
    const result = await p.build()
    expect(result.failed).toEqual([])
    expect(p.read('out/end')).toBe('Z+y')
    // Whatever was torn off, the store still knows the results.
    p.ran('')
    expect((await p.build()).fresh).toEqual(['a', 'b'])
  }
})

test('a damaged line of the state log is skipped, the others hold', () => {
  const folder = temporaryFolder()
  const record = { key: 'k', identity: '1', params: {}, inputs: {}, outputs: {}, warnings: [], note: '', ms: 1 }
  const state = openState(folder)
  state.recordStage({ ...record, stage: 'a' })
  state.recordStage({ ...record, stage: 'b' })
  const path = join(folder, 'state.log')
  writeFileSync(path, readFileSync(path, 'utf8').replace('"stage":"a"', '"stage":"q"'))
  appendFileSync(path, 'torn')
  const reopened = openState(folder)
  expect(reopened.stage('a')).toBeUndefined()
  expect(reopened.stage('q')).toBeUndefined()
  expect(reopened.stage('b')).toMatchObject({ key: 'k' })
  reopened.recordStage({ ...record, stage: 'c' })
  expect(openState(folder).stage('c')).toMatchObject({ key: 'k' })
  expect(openState(folder).stage('b')).toMatchObject({ key: 'k' })
})

test('a long state log is rewritten without losing what holds', () => {
  const folder = temporaryFolder()
  const record = { key: '', identity: '1', params: {}, inputs: {}, outputs: {}, warnings: [], note: '', ms: 1 }
  const state = openState(folder)
  for (let i = 0; i < 1000; i++) state.recordStage({ ...record, stage: `s${i % 3}`, key: String(i) })
  expect(readFileSync(join(folder, 'state.log'), 'utf8').split('\n').length).toBeLessThan(300)
  expect(openState(folder).stage('s0')).toMatchObject({ key: '999' })
  expect(openState(folder).stage('s1')).toMatchObject({ key: '997' })
})

test('a damaged store object is never restored: the stage runs', async () => {
  const p = rig({ in: 'x' }, { a: upper('in', 'mid') })
  await p.build()
  p.ran('a')
  const objects = join(p.root, '.quant/store/objects')
  for (const folder of readdirSync(objects))
    for (const name of readdirSync(join(objects, folder))) writeFileSync(join(objects, folder, name), 'Q')
  p.remove('out/mid')
  await p.build()
  p.ran('a')
  expect(p.read('out/mid')).toBe('X')
})

test('interrupted, a stage goes on from the pieces it had', async () => {
  const stop = new AbortController()
  const made: number[] = []
  const p = rig({ in: 'x' }, {})
  p.stages.a = {
    ...upper('in', 'mid'),
    make: ([text], { memo, signal }) => {
      for (let i = 0; i < 10; i++) {
        const key = memoKey('piece', i, text!)
        if (memo.has(key)) continue
        made.push(i)
        memo.put(key, new Uint8Array([i]))
        if (i === 4 && !stop.signal.aborted) stop.abort()
        if (signal.aborted) throw new QuantError('interrupted', 'interrupted')
      }
      return 'all'
    },
  }
  await expect(p.build({ signal: stop.signal })).rejects.toMatchObject({ code: 'interrupted' })
  await p.build()
  expect(made).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(p.read('out/mid')).toBe('all')
})

test('a damaged piece of the memo is as good as absent', () => {
  const folder = temporaryFolder()
  const memo = openMemo(folder)
  const key = memoKey('a', 1)
  memo.put(key, new TextEncoder().encode('content'))
  expect(Buffer.from(memo.get(key)!).toString()).toBe('content')
  const [sub] = readdirSync(folder)
  const [name] = readdirSync(join(folder, sub!))
  appendFileSync(join(folder, sub!, name!), 'x')
  expect(memo.get(key)).toBeUndefined()
  expect(memo.has(key)).toBe(false)
})
