import { createHash } from 'node:crypto'
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import manifest from '../../package.json' with { type: 'json' }
import { lockPathOf, lockText, parseLock } from '../../src/engine/lockfile.js'
import { version } from '../../src/version.js'
import { join2, type Rig, rig, upper } from './rig.js'

const plain = (p: Rig) => p.build({ lockFile: { path: join(p.root, 'quant.lock'), frozen: false } })
const frozen = (p: Rig, wanted?: string[]) =>
  p.build({ lockFile: { path: join(p.root, 'quant.lock'), frozen: true }, ...(wanted ? { wanted } : {}) })

/** What an error says, below its first line. */
const linesOf = async (built: Promise<unknown>): Promise<string[]> => {
  const error = await built.then(
    () => expect.unreachable(),
    (thrown) => thrown,
  )
  expect(error).toMatchObject({ code: 'frozen' })
  return [error.message, ...(error.hint ?? '').split('\n')]
}

async function locked(): Promise<Rig> {
  const p = rig(
    { in: 'x', 'sub/other': 'y' },
    { a: { ...upper('in', 'mid'), params: { 'way.far': { score: 0.5 } } }, b: join2('mid', 'sub/other', 'end') },
  )
  await plain(p)
  p.ran('a b')
  return p
}

test('it says what was read, by what, and what came out', async () => {
  const p = await locked()
  const digests = {
    x: '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
    y: 'a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa',
    X: '4b68ab3847feda7d6c62c1fbcbeebfa35eab7351ed5e78f4ddadea5df64b8015',
  }
  const text = p.read('quant.lock')
  expect(text).toMatch(/^# Written by `quant build`/)
  expect(parse(text)).toMatchObject({
    lock: 1,
    quant: manifest.version,
    files: { in: digests.x, 'sub/other': digests.y },
    stages: {
      a: { tool: '1', settings: { 'way.far': { score: 0.5 } }, outputs: { mid: digests.X } },
      b: { tool: '1', settings: {}, outputs: { end: expect.stringMatching(/^[0-9a-f]{64}$/) } },
    },
  })
  expect(version).toBe(manifest.version)
  expect(lockPathOf('/a/b.c/quant.yaml')).toBe(join('/a/b.c', 'quant.lock'))
  expect(lockPathOf('/a/other.yml')).toBe(join('/a', 'other.lock'))
})

test('written only when it says something new, and only by a build of everything that ended well', async () => {
  const p = await locked()
  const path = join(p.root, 'quant.lock')
  const before = [p.read('quant.lock'), statSync(path).ino]
  await plain(p)
  p.write('in', 'z')
  await p.build({ wanted: ['a'], lockFile: { path, frozen: false } })
  p.stages.b = {
    ...p.stages.b!,
    make: () => {
      throw new Error('no')
    },
  }
  await plain(p)
  expect([p.read('quant.lock'), statSync(path).ino]).toEqual(before)
  p.stages.b = join2('mid', 'sub/other', 'end')
  await plain(p)
  expect(p.read('quant.lock')).not.toBe(before[0])
})

test('frozen, from a fresh clone: builds, and leaves the file alone', async () => {
  const p = await locked()
  const text = p.read('quant.lock')
  for (const folder of ['.quant', 'out']) rmSync(join(p.root, folder), { recursive: true })
  const { failed, drift } = await frozen(p)
  expect([failed, drift]).toEqual([[], undefined])
  p.ran('a b')
  expect(p.read('out/end')).toBe('X+y')
  expect(p.read('quant.lock')).toBe(text)
})

test('frozen: every difference of files, settings, tools, stages and outputs is told with both sides, and nothing runs', async () => {
  const p = await locked()
  p.write('in', 'changed')
  p.remove('sub/other')
  p.write('extra', 'e')
  p.stages = {
    a: { ...p.stages.a!, params: { 'way.far': { score: 0.6 } } },
    c: upper('extra', 'side'),
    b: { ...join2('mid', 'sub/other', 'moved'), identity: '2' },
  }
  const lines = await linesOf(frozen(p))
  expect(lines).toEqual([
    '8 things are not as quant.lock says',
    `in: 2d711642 in quant.lock, ${createHash('sha256').update('changed').digest('hex').slice(0, 8)} here`,
    'extra: absent in quant.lock, 3f79bb7b here',
    'sub/other: a1fce436 in quant.lock, absent here',
    'a: way.far: {"score":0.5} in quant.lock, {"score":0.6} here',
    'stage c: absent in quant.lock, there here',
    'b: tool: 1 in quant.lock, 2 here',
    'b: output end: there in quant.lock, absent here',
    'b: output moved: absent in quant.lock, there here',
    expect.stringContaining('without --frozen'),
  ])
  p.ran('')
})

test('frozen: of very many differences the first ten', async () => {
  const names = Array.from({ length: 30 }, (_, n) => `picture ${n}`)
  const p = rig(Object.fromEntries(names.map((name) => [name, 'x'])), {
    a: { reads: names, writes: 'all', make: (texts) => texts.join('') },
  })
  await plain(p)
  for (const name of names) p.write(name, 'y')
  const lines = await linesOf(frozen(p))
  expect(lines).toHaveLength(1 + 10 + 1 + 1)
  expect(lines[11]).toBe('and 20 more')
})

test('frozen, of a part: only what that part reads', async () => {
  const p = await locked()
  p.write('sub/other', 'changed')
  expect((await frozen(p, ['a'])).drift).toBeUndefined()
  expect(await linesOf(frozen(p, ['b']))).toContainEqual(expect.stringMatching(/^sub\/other: a1fce436 in/))
})

test('frozen: outputs that come out otherwise are told after the build, which is done all the same', async () => {
  const p = await locked()
  rmSync(join(p.root, '.quant'), { recursive: true })
  p.stages.a = { ...p.stages.a!, make: () => 'drifted' }
  const { drift, failed } = await frozen(p)
  expect(failed).toEqual([])
  expect(drift).toMatchObject({ code: 'frozen', message: '2 things are not as quant.lock says' })
  expect(drift?.hint).toMatch(/^a: output mid: 4b68ab38 in quant.lock, [0-9a-f]{8} here\nb: output end: /)
  expect(p.read('out/end')).toBe('drifted+y')
})

test('frozen: a missing or broken file has its place; a plain build writes it anew', async () => {
  const p = await locked()
  const path = join(p.root, 'quant.lock')
  const good = p.read('quant.lock')
  rmSync(path)
  expect(await linesOf(frozen(p))).toEqual(['there is no quant.lock', '`quant build` writes it; commit it'])
  const half = good.split('\n')
  const broken: [string, object, RegExp][] = [
    [[...half.slice(0, 4), '<<<<<<< HEAD', ...half.slice(4)].join('\n'), { line: 5, column: 1 }, /a merge left/],
    [good.replace('  in: "', '  in: ["'), { line: 6 }, /./],
    [good.replace('lock: 1', 'lock: 2'), { line: 1 }, /lock: 1/],
    [good.slice(0, good.indexOf('stages:')), { line: 1 }, /missing/],
    ['\0\u0001garbage', { line: 1 }, /./],
    ['', { line: 1 }, /not a lock file/],
    ['a: &x [*x, *x]', {}, /./],
  ]
  for (const [text, place, message] of broken) {
    writeFileSync(path, text)
    await expect(frozen(p), text).rejects.toMatchObject({
      code: 'frozen',
      message: expect.stringMatching(message),
      place: { file: 'quant.lock', ...place },
    })
    expect(p.read('quant.lock')).toBe(text)
    await plain(p)
    expect(p.read('quant.lock')).toBe(good)
  }
})

test('any name and any setting survives writing and reading, by our reader and by a YAML parser', async () => {
  const names = [
    'a b',
    'a: b',
    '# c',
    '"',
    "'",
    '- x',
    '?',
    '.5',
    '1e3',
    'null',
    'true',
    'on',
    '~',
    '../up/x.jpg',
    'ü/日本.jpg',
    'tab\there',
    'new\nline',
    '\u2028',
    '\u0085',
    '{x}',
    '*a',
    '&a',
    '!t',
    '%',
    '@',
    '`',
    '<<',
    'x'.repeat(3000),
    '"'.repeat(1200),
    'y:',
    '',
    ' ',
  ]
  const lock = {
    files: Object.fromEntries(names.map((name, n) => [name, String(n).padStart(64, '0')])),
    stages: Object.fromEntries(
      names.map((name) => [
        name,
        { tool: name, settings: { [name]: [null, 1e-9, -0.5, { [name]: name }] }, outputs: { [name]: 'f'.repeat(64) } },
      ]),
    ),
  }
  const text = lockText(lock)
  expect(await parseLock(text, 'quant.lock')).toEqual(lock)
  expect(parse(text)).toMatchObject(lock)
  // The order in which a thing was found is not told.
  const turned = { files: Object.fromEntries(Object.entries(lock.files).reverse()), stages: lock.stages }
  expect(lockText(turned)).toBe(text)
})
