import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { takeLock } from '../../src/engine/lock.js'
import { rig, temporaryFolder, upper } from './rig.js'

const never = new AbortController().signal

test('the second waits until the first is done, and is told who it waits for', async () => {
  const folder = temporaryFolder()
  const first = await takeLock(folder, () => {}, never)
  const waited: number[] = []
  let got = false
  const second = takeLock(folder, (pid) => waited.push(pid), never).then((lock) => {
    got = true
    return lock
  })
  await new Promise((resolve) => setTimeout(resolve, 250))
  expect(got).toBe(false)
  expect(waited).toEqual([process.pid])
  first.release()
  ;(await second).release()
})

test('the lock of a dead process is taken over', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'lock'), '999999999 12345 some-boot\n')
  const lock = await takeLock(folder, () => expect.unreachable(), never)
  lock.release()
})

test('a pid that another process has by now is not mistaken for the owner', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'lock'), `${process.pid} 1 some-boot\n`)
  const lock = await takeLock(folder, () => expect.unreachable(), never)
  lock.release()
})

test('waiting can be interrupted', async () => {
  const folder = temporaryFolder()
  const first = await takeLock(folder, () => {}, never)
  const stop = new AbortController()
  const second = takeLock(folder, () => stop.abort(), stop.signal)
  await expect(second).rejects.toMatchObject({ code: 'interrupted' })
  first.release()
})

test('two builds at once: the second finds everything done', async () => {
  const p = rig({ in: 'x' }, { a: upper('in', 'mid') })
  const results = await Promise.all([p.build(), p.build()])
  p.ran('a')
  expect(results.map(({ fresh }) => fresh.length).sort()).toEqual([0, 1])
})
