/** The store: outputs cannot reach it, damage does not pass, projects and processes share it. */
import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import * as disk from '../../src/disk.js'
import { openStore } from '../../src/engine/store.js'
import { join2, type Rig, rig, temporaryFolder, upper } from './rig.js'

/** `printf X | sha256sum` */
const digestOfX = '4b68ab3847feda7d6c62c1fbcbeebfa35eab7351ed5e78f4ddadea5df64b8015'
const objectOf = (store: string, digest: string): string => join(store, 'objects', digest.slice(0, 2), digest.slice(2))

function shared(store: string, files: Record<string, string> = { in: 'x' }): Rig {
  const p = rig(files, { a: upper('in', 'mid') })
  const plain = p.project
  p.project = () => ({ ...plain(), store })
  return p
}

test('an output edited in place, through the open file, leaves the object as it was', async () => {
  const p = rig({ in: 'x' }, { a: upper('in', 'mid') })
  await p.build()
  p.ran('a')
  const object = objectOf(join(p.root, '.quant/store'), digestOfX)
  for (const round of ['after a run', 'after a restore']) {
    const output = join(p.root, 'out/mid')
    expect(statSync(output).ino, round).not.toBe(statSync(object).ino)
    const fd = openSync(output, 'r+')
    writeSync(fd, 'edited')
    closeSync(fd)
    expect(readFileSync(object, 'utf8'), round).toBe('X')
    await p.build()
    p.ran('')
    expect(p.read('out/mid')).toBe('X')
  }
})

test('a source file that a stage hands on as it is does not become the object itself', async () => {
  const p = rig({ in: 'x' }, { a: upper('in', 'mid') })
  p.stages.a = { reads: ['in'], writes: 'mid', make: ([text]) => text! }
  await p.build()
  expect(statSync(join(p.root, 'in')).nlink).toBe(1)
})

const otherDisk = ['/dev/shm'].find(
  (path) => existsSync(path) && statSync(path).dev !== statSync(temporaryFolder()).dev,
)

test.skipIf(otherDisk === undefined)('store and project on different file systems', async () => {
  const store = join(otherDisk!, `quant-store-${process.pid}`)
  try {
    const p = shared(store)
    await p.build()
    p.ran('a')
    p.remove('out/mid')
    await p.build()
    p.ran('')
    expect(p.read('out/mid')).toBe('X')
    expect(readFileSync(objectOf(store, digestOfX), 'utf8')).toBe('X')
  } finally {
    disk.remove(store)
  }
})

test('a damaged object, a damaged action, a missing object: the stage runs, and the store is whole again', async () => {
  const p = rig({ in: 'x' }, { a: upper('in', 'mid') })
  await p.build()
  p.ran('a')
  const store = join(p.root, '.quant/store')
  const object = objectOf(store, digestOfX)
  const [folder] = readdirSync(join(store, 'actions'))
  const [name] = readdirSync(join(store, 'actions', folder!))
  const action = join(store, 'actions', folder!, name!)
  const harm: (() => void)[] = [
    () => writeFileSync(object, 'Y'),
    () => writeFileSync(object, ''),
    () => disk.remove(object),
    () => writeFileSync(action, readFileSync(action, 'utf8').replace('mid', 'dim')),
    () => writeFileSync(action, ''),
    () => disk.remove(action),
  ]
  for (const damage of harm) {
    damage()
    p.remove('out/mid')
    await p.build()
    p.ran('a')
    expect(p.read('out/mid')).toBe('X')
    p.remove('out/mid')
    await p.build()
    p.ran('')
    expect(p.read('out/mid')).toBe('X')
  }
})

test('two projects share a store: what one built the other restores', async () => {
  const store = join(temporaryFolder(), 'store')
  const one = shared(store)
  await one.build()
  one.ran('a')
  const other = shared(store)
  const { restored } = await other.build()
  other.ran('')
  expect(restored).toEqual(['a'])
  expect(other.read('out/mid')).toBe('X')
  expect(readdirSync(join(store, 'projects'))).toHaveLength(2)
  expect(existsSync(join(one.root, '.quant/store'))).toBe(false)
})

test('several processes build into one store at once: every object is whole, every action there', async () => {
  const store = join(temporaryFolder(), 'store')
  const child = fileURLToPath(new URL('store-child.ts', import.meta.url))
  const codes = await Promise.all(
    [1, 2, 3].map(
      () =>
        new Promise((resolve) => {
          const args = ['--import', import.meta.resolve('tsx'), child, store, temporaryFolder()]
          spawn(process.execPath, args, { stdio: 'inherit' }).on('close', resolve)
        }),
    ),
  )
  expect(codes).toEqual([0, 0, 0])
  const opened = openStore(store)
  const target = join(temporaryFolder(), 'file')
  const digests = readdirSync(join(store, 'objects'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes('/'))
    .map((path) => path.replace('/', ''))
  expect(digests).toHaveLength(20)
  for (const digest of digests) expect(await opened.restore(digest, target), digest).toBe(true)
  const keys = readdirSync(join(store, 'actions'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes('/'))
    .map((path) => path.replace('/', ''))
  expect(keys).toHaveLength(20)
  for (const key of keys) expect(opened.action(key)).toBeDefined()
})

test('stages of one family find each other’s pieces, others do not', async () => {
  const seen: Record<string, boolean> = {}
  const p = rig({ in: 'x' }, {})
  const stage = (from: string, to: string, name: string) => ({
    reads: [from],
    writes: to,
    make: (
      [text]: string[],
      { memo }: { memo: { has(key: string): boolean; put(key: string, c: Uint8Array): void } },
    ) => {
      seen[name] = memo.has('ab12')
      memo.put('ab12', Buffer.from('piece'))
      return `${text}${name}`
    },
  })
  p.stages = { 'work:a': stage('in', '1', 'a'), 'work:b': stage('1', '2', 'b'), rest: stage('2', '3', 'c') }
  await p.build()
  expect(seen).toEqual({ a: false, b: true, c: false })
  expect(readdirSync(join(p.root, '.quant/store/memo')).sort()).toEqual(['rest', 'work'])
})

test('joined stages still restore from objects that several have in common', async () => {
  const p = rig({ in: 'x', other: 'x' }, { a: upper('in', 'm'), b: upper('other', 'n'), c: join2('m', 'n', 'end') })
  await p.build()
  p.ran('a b c')
  for (const output of ['m', 'n', 'end']) p.remove(`out/${output}`)
  await p.build()
  p.ran('')
  expect(p.read('out/end')).toBe('X+X')
})
