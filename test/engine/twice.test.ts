import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { memoKey } from '../../src/engine/memo.js'
import { join2, rig, upper } from './rig.js'

test('each stage runs once more, whether it ran, was restored or was fresh, and is counted', async () => {
  const p = rig({ in: 'x', other: 'y' }, { a: upper('in', 'mid'), b: join2('mid', 'other', 'end') })
  await p.build({ twice: true })
  p.ran('a a b b')
  await p.build({ twice: true })
  p.ran('a b')
  p.remove('out/mid')
  const { restored, fresh } = await p.build({ twice: true })
  p.ran('a b')
  expect([restored, fresh]).toEqual([['a'], ['b']])
  expect(p.events.filter(({ type }) => type === 'done')).toMatchObject([
    { repeated: 2 },
    { repeated: 2 },
    { repeated: 2 },
  ])
  await p.build()
  p.ran('')
})

test('another result the second time fails the stage with its name, the file and the byte; the first result is kept', async () => {
  let n = 0
  const p = rig(
    { in: 'x', other: 'y' },
    { a: { ...upper('in', 'mid'), make: () => `result ${n++}` }, b: join2('mid', 'other', 'end') },
  )
  const { failed, blocked, ran } = await p.build({ twice: true })
  expect(failed).toMatchObject([
    { stage: 'a', error: { code: 'unrepeatable', message: 'a is not repeatable: mid differs from byte 7 on' } },
  ])
  expect([blocked, ran]).toEqual([['b'], []])
  expect(p.read('out/mid')).toBe('result 0')
  p.ran('a a')
  await p.build()
  p.ran('b')
  expect(p.read('out/end')).toBe('result 0+y')
})

test('a result that is longer the second time differs from where the first ended', async () => {
  let n = 0
  const p = rig({ in: 'x' }, { a: { ...upper('in', 'mid'), make: () => 'same'.padEnd(4 + n++, '.') } })
  const { failed } = await p.build({ twice: true })
  expect(failed[0]?.error.message).toBe('a is not repeatable: mid differs from byte 4 on')
})

test('the second run knows nothing of the first: pieces that the memo holds are made anew', async () => {
  let piece = 0
  const p = rig(
    { in: 'x' },
    {
      a: {
        ...upper('in', 'mid'),
        make: (_, { memo }) => {
          const key = memoKey('piece')
          if (!memo.has(key)) memo.put(key, Buffer.from(String(piece++)))
          return Buffer.from(memo.get(key)!).toString()
        },
      },
    },
  )
  await p.build()
  const { failed } = await p.build({ twice: true })
  expect(failed).toMatchObject([{ error: { code: 'unrepeatable' } }])
  expect(readFileSync(join(p.root, 'out/mid'), 'utf8')).toBe('0')
})
