/** Pieces that share a file: what a killed or a second process does to it spoils no other piece. */
import { appendFileSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { appendRecord, holdsRecords, openRecords } from '../../src/engine/records.js'
import { temporaryFolder } from './rig.js'

const fresh = () => {
  const path = join(temporaryFolder(), 'ab', 'family.records')
  const used: string[] = []
  return { path, used, records: openRecords(path, (one) => used.push(one)) }
}
const bytes = (...values: number[]) => Uint8Array.from(values)

test('what is appended, by anybody, is there at the next look; the first of a key counts', () => {
  const { path, used, records } = fresh()
  records.refresh()
  expect([records.get('a'), used]).toEqual([undefined, []])
  appendRecord(path, 'a', bytes(1, 2, 255))
  appendRecord(path, 'b', bytes())
  expect(records.get('a')).toBeUndefined()
  records.refresh()
  expect([records.get('a'), records.get('b')]).toEqual([bytes(1, 2, 255), bytes()])
  expect(used).toEqual([path])
  appendRecord(path, 'a', bytes(9))
  appendRecord(path, 'c', bytes(3))
  records.refresh()
  expect([records.get('a'), records.get('c')]).toEqual([bytes(1, 2, 255), bytes(3)])
})

test('cut off at any byte, all records before hold, and all that are appended behind', () => {
  const { path } = fresh()
  for (const key of ['a', 'b']) appendRecord(path, key, bytes(7))
  const whole = readFileSync(path)
  const first = whole.indexOf('\n', 1) + 1
  for (let length = first; length < whole.length; length++) {
    writeFileSync(path, whole)
    truncateSync(path, length)
    const records = openRecords(path, () => {})
    records.refresh()
    expect(records.get('a'), `${length}`).toEqual(bytes(7))
    expect(records.get('b'), `${length}`).toBeUndefined()
    appendRecord(path, 'c', bytes(8))
    records.refresh()
    expect(records.get('c'), `${length}`).toEqual(bytes(8))
  }
})

test('a byte that changed costs its own record only', () => {
  const { path } = fresh()
  for (const key of ['a', 'b', 'c']) appendRecord(path, key, bytes(1, 2, 3, 4, 5, 6))
  const whole = readFileSync(path)
  let lost = 0
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole)
    damaged[at]! ^= 1
    writeFileSync(path, damaged)
    const records = openRecords(path, () => {})
    records.refresh()
    const found = ['a', 'b', 'c'].map((key) => records.get(key))
    for (const content of found) if (content) expect(content).toEqual(bytes(1, 2, 3, 4, 5, 6))
    const missing = found.filter((content) => content === undefined).length
    expect(missing).toBeLessThanOrEqual(1)
    lost += missing
  }
  expect(lost).toBeGreaterThan(whole.length / 2)
})

test('a file that went away and came back is read from its beginning', () => {
  const { path, records } = fresh()
  for (const key of ['a', 'b', 'c']) appendRecord(path, key, bytes(1))
  records.refresh()
  writeFileSync(path, '')
  appendRecord(path, 'd', bytes(2))
  records.refresh()
  expect([records.get('c'), records.get('d')]).toEqual([bytes(1), bytes(2)])
  expect(holdsRecords(path)).toBe(true)
  writeFileSync(path, 'damaged')
  appendFileSync(path, '\nno record at all\n')
  expect(holdsRecords(path)).toBe(false)
})
