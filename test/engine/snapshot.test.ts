/** The snapshot may only say "nothing to do" where a build would say so too. Every way to make it lie is tried. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { type BuildOptions, build } from '../../src/engine/build.js'
import { circumstances, readSnapshot } from '../../src/engine/snapshot.js'
import type { Event } from '../../src/events.js'
import { join2, type Rig, rig, upper } from './rig.js'

/** The disk, counted, with a clock that runs ahead: what was just written counts as old, unless a test says otherwise. */
const seen = vi.hoisted(() => ({ aheadNs: 0n, stats: 0, texts: 0, contents: 0, lists: 0 }))
vi.mock('../../src/disk.js', async (importOriginal) => {
  const disk = await importOriginal<typeof import('../../src/disk.js')>()
  const counted =
    <A extends unknown[], R>(what: 'stats' | 'texts' | 'contents' | 'lists', work: (...args: A) => R) =>
    (...args: A): R => {
      seen[what]++
      return work(...args)
    }
  return {
    ...disk,
    now: () => disk.now() + seen.aheadNs,
    stat: counted('stats', disk.stat),
    exists: counted('stats', disk.exists),
    readText: counted('texts', disk.readText),
    readBytes: counted('contents', disk.readBytes),
    readChunks: counted('contents', disk.readChunks),
    listDeep: counted('lists', disk.listDeep),
  }
})
beforeEach(() => {
  seen.aheadNs = 10_000_000_000n
})

const now = (p: Rig) => ({ program: 'one', file: join(p.root, 'quant.yaml'), environment: ['QUANT_STORE=/s'] })
const ask = (p: Rig, change: Partial<ReturnType<typeof now>> = {}) =>
  readSnapshot(join(p.root, '.quant'), { ...now(p), ...change })

async function buildHere(p: Rig, options: Partial<BuildOptions> = {}) {
  const disk = await import('../../src/disk.js')
  const events: Event[] = []
  const project = p.project()
  const result = await build(
    {
      ...project,
      stages: project.stages.map((stage) => ({ ...stage, files: [...stage.files, 'perhaps'] })),
      description: ['quant.yaml', 'pictures', 'pictures/more'].map((path) => join(p.root, path)),
    },
    {
      parallel: 2,
      signal: new AbortController().signal,
      emit: (event) => events.push(event),
      ending: {
        circumstances: now(p),
        since: disk.now(),
        also: [join(p.root, 'quant.lock')],
        epilogue: () => 'the figures\n',
      },
      ...options,
    },
  )
  return { result, events }
}

/** A project in which nothing is to be done, and which knows it. */
async function settled(): Promise<Rig> {
  const p = rig(
    { 'quant.yaml': 'x', a: 'one', b: 'two', 'pictures/p': '1', 'pictures/more/q': '2' },
    { first: upper('a', 'A'), second: join2('A', 'b', 'AB'), third: upper('AB', 'C') },
  )
  await buildHere(p)
  await buildHere(p)
  expect(ask(p)).toBeDefined()
  return p
}

test('says what a build would have said', async () => {
  const p = await settled()
  const said = ask(p)
  const { events, result } = await buildHere(p)
  expect(result.fresh).toHaveLength(3)
  const timeless = (list: readonly Event[]) =>
    list.map((event) => (event.type === 'done' ? { ...event, ms: 0 } : event))
  expect(timeless(said!.events)).toEqual(timeless(events))
  expect(said!.epilogue).toBe('the figures\n')
})

/** An edit that leaves size and mtime as they were. */
function sneak(path: string): void {
  const { atime, mtime } = statSync(path)
  writeFileSync(path, readFileSync(path, 'utf8').replace(/./, '#'))
  utimesSync(path, atime, mtime)
}

const changes: Record<string, (at: (path: string) => string) => void> = {
  'an input edited': (at) => appendFileSync(at('a'), '!'),
  'an input edited, same size, the time put back': (at) => sneak(at('b')),
  'an input touched': (at) => utimesSync(at('a'), 1, 1),
  'an input deleted': (at) => rmSync(at('b')),
  'an input appears that was not there': (at) => writeFileSync(at('perhaps'), ''),
  'an input replaced': (at) => {
    writeFileSync(at('new'), 'one')
    renameSync(at('new'), at('a'))
  },
  'an output edited in place': (at) => appendFileSync(at('out/AB'), '!'),
  'an output edited, same size, the time put back': (at) => sneak(at('out/A')),
  'an output deleted': (at) => rmSync(at('out/C')),
  'an output is a folder': (at) => {
    rmSync(at('out/C'))
    cpSync(at('pictures'), at('out/C'), { recursive: true })
  },
  'all outputs deleted': (at) => rmSync(at('out'), { recursive: true }),
  'quant.yaml edited': (at) => writeFileSync(at('quant.yaml'), 'y'),
  'quant.yaml edited, same size, the time put back': (at) => sneak(at('quant.yaml')),
  'quant.yaml deleted': (at) => rmSync(at('quant.yaml')),
  'a new picture': (at) => writeFileSync(at('pictures/new'), ''),
  'a new picture in a folder of the folder': (at) => writeFileSync(at('pictures/more/new'), ''),
  'a picture deleted': (at) => rmSync(at('pictures/more/q')),
  'a folder replaced by a link to one with the same content': (at) => {
    cpSync(at('pictures'), at('elsewhere'), { recursive: true, preserveTimestamps: true })
    rmSync(at('pictures'), { recursive: true })
    symlinkSync(at('elsewhere'), at('pictures'))
  },
  'a file in place of a folder on the way': (at) => {
    rmSync(at('pictures'), { recursive: true })
    writeFileSync(at('pictures'), '')
  },
  'a link to itself': (at) => {
    rmSync(at('a'))
    symlinkSync(at('a'), at('a'))
  },
  'quant.lock appears': (at) => writeFileSync(at('quant.lock'), ''),
  'the state log grows': (at) => appendFileSync(at('.quant/state.log'), 'x'),
  'the state log is gone': (at) => rmSync(at('.quant/state.log')),
  'everything that is known is gone': (at) => rmSync(at('.quant'), { recursive: true }),
}

test.each(Object.entries(changes))('%s: it says nothing', async (_, change) => {
  const p = await settled()
  change((path) => join(p.root, path))
  expect(ask(p)).toBeUndefined()
})

test('other circumstances: it says nothing', async () => {
  const p = await settled()
  expect(ask(p, { program: 'two' })).toBeUndefined()
  expect(ask(p, { file: join(p.root, 'other.yaml') })).toBeUndefined()
  expect(ask(p, { environment: [] })).toBeUndefined()
  expect(ask(p, { environment: ['QUANT_STORE=/t'] })).toBeUndefined()
  expect(ask(p)).toBeDefined()
})

test('of the environment only what settings hang on, and never a token; from the sources nothing is believed', () => {
  const env = { PATH: '/bin', QUANT_STORE: '/s', QUANT_REMOTE_TOKEN: 'secret', QUANT_REMOTE: 'http://h' }
  expect(circumstances('/q', env)).toBeUndefined()
  vi.stubGlobal('QUANT_PROGRAM', 'one')
  try {
    expect(circumstances('/q', env)).toEqual({
      program: 'one',
      file: '/q',
      environment: ['QUANT_REMOTE=http://h', 'QUANT_STORE=/s'],
    })
  } finally {
    vi.unstubAllGlobals()
  }
})

test('damaged in any way it is as good as absent', async () => {
  const p = await settled()
  const path = join(p.root, '.quant/snapshot')
  const good = readFileSync(path, 'latin1')
  const damaged = [
    '',
    'x',
    good.slice(0, -1),
    good.slice(0, 100),
    `${good}x`,
    good.replace('the figures', 'the fugures'),
    good.replace('"format":1', '"format":2'),
    `00000000\t${good.slice(9)}`,
  ]
  for (const text of damaged) {
    expect(text).not.toBe(good)
    writeFileSync(path, text)
    expect(ask(p)).toBeUndefined()
  }
  rmSync(path)
  expect(ask(p)).toBeUndefined()
  await buildHere(p)
  expect(ask(p)).toBeDefined()
})

test('while a build runs there is none, and none after one that failed or was of a part', async () => {
  const p = await settled()
  const path = join(p.root, '.quant/snapshot')
  const during: boolean[] = []
  p.write('a', 'three')
  p.stages.first = {
    ...p.stages.first!,
    make: ([text]) => {
      during.push(existsSync(path))
      if (text === 'three') throw new Error('no')
      return text!
    },
  }
  await buildHere(p)
  expect(during).toEqual([false])
  expect(existsSync(path)).toBe(false)
  p.write('a', 'one')
  await buildHere(p)
  await buildHere(p)
  expect(ask(p)).toBeDefined()
  await buildHere(p, { wanted: [p.project().stages[0]!] })
  expect(existsSync(path)).toBe(false)
})

test('what was written a moment ago may be written again within the same tick: such a build leaves none, a later one does', async () => {
  const p = await settled()
  const path = join(p.root, '.quant/snapshot')
  p.write('a', 'four')
  seen.aheadNs = 0n
  await buildHere(p)
  await buildHere(p)
  expect(existsSync(path)).toBe(false)
  seen.aheadNs = 10_000_000_000n
  await buildHere(p)
  expect(ask(p)).toBeDefined()
})

test.each([
  ['a file that was read by its digest', 'a'],
  ['an output', 'out/A'],
])('%s is edited while the build looks at the rest: the edit is seen', async (_, file) => {
  const p = await settled()
  await buildHere(p, {
    emit: (event) => {
      if (event.type === 'fresh' && event.stage === 'second') p.write(file, 'edited')
    },
  })
  expect(ask(p)).toBeUndefined()
})

test.each(['quant.yaml', 'pictures/new', 'quant.lock', 'nothing'])(
  '%s changes after the build read it: no snapshot',
  async (file) => {
    const p = await settled()
    // By this clock all that was there before the build is just old enough, and what comes later is not.
    seen.aheadNs = 2_000_000_000n
    await new Promise((resolve) => setTimeout(resolve, 50))
    await buildHere(p, {
      emit: ({ type }) => {
        if (type !== 'planned') return
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
        p.write(file, 'edited')
      },
    })
    expect(existsSync(join(p.root, '.quant/snapshot'))).toBe(file === 'nothing')
  },
)

test('a thousand inputs cost a stat each; nothing is listed, and one file is read', async () => {
  const names = Array.from({ length: 1000 }, (_, n) => `pictures/${n}.png`)
  const p = rig(
    { 'quant.yaml': 'x', 'pictures/more/q': '', ...Object.fromEntries(names.map((name) => [name, name])) },
    { all: { reads: names, writes: 'all', make: (texts) => texts.join('') } },
  )
  await buildHere(p)
  await buildHere(p)
  Object.assign(seen, { stats: 0, texts: 0, contents: 0, lists: 0 })
  expect(ask(p)).toBeDefined()
  // Inputs; the one that is not there, the output, quant.yaml, two folders, quant.lock, the state log.
  expect(seen).toMatchObject({ stats: 1000 + 7, texts: 1, contents: 0, lists: 0 })
})
