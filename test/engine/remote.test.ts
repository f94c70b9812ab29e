/** A remote store: what it gives is used, what it does wrong costs a line and a bounded time, never a build. */
import { readdirSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { RemoteSettings } from '../../src/engine/stage.js'
import type { Event } from '../../src/events.js'
import { cacheServer, freePort, nginx, nginxProgram } from './cache-server.js'
import { join2, type Rig, rig, upper } from './rig.js'

type Mode = RemoteSettings['mode']

/** A checkout: four stages in a chain and beside it. Every one is a project of its own with the same content. */
function checkout(url: string, mode: Mode = 'read-write', more: Partial<RemoteSettings> = {}): Rig {
  const p = rig(
    { in: 'x', other: 'y' },
    { a: upper('in', 'mid'), b: upper('other', 'side'), c: join2('mid', 'side', 'end'), d: upper('end', 'last') },
  )
  const plain = p.project
  p.project = () => ({ ...plain(), remote: { url, mode, timeoutMs: 2000, token: undefined, ...more } })
  return p
}

const troubles = (p: Rig): string[] =>
  p.events.flatMap((event) => (event.type === 'remote-trouble' ? [event.trouble] : []))
const told = (p: Rig): Extract<Event, { type: 'remote' }> | undefined =>
  p.events.findLast((event): event is Extract<Event, { type: 'remote' }> => event.type === 'remote')
const outputs = (p: Rig): string[] => ['mid', 'side', 'end', 'last'].map((name) => p.read(`out/${name}`))
const right = ['X', 'Y', 'X+Y', 'X+Y']

describe('a good server', () => {
  test('two checkouts: the second restores everything and runs nothing; a third build asks nothing', async () => {
    const server = await cacheServer()
    const first = checkout(server.url)
    await first.build({ parallel: 1 })
    first.ran('a b c d')
    // `end` and `last` have the same bytes: sent once.
    expect([server.count('PUT', 'cas'), server.count('PUT', 'ac')]).toEqual([3, 4])
    expect(told(first)).toMatchObject({ restored: 0, uploaded: 4 })
    expect(told(first)!.uploadedBytes).toBeGreaterThan(0)

    const second = checkout(server.url, 'read-only')
    const result = await second.build({ parallel: 1 })
    second.ran('')
    expect(result.restored).toEqual(['a', 'b', 'c', 'd'])
    expect(outputs(second)).toEqual(right)
    expect(second.events.filter(({ type }) => type === 'restored')).toMatchObject(Array(4).fill({ remote: true }))
    expect(told(second)).toMatchObject({ restored: 4, restoredBytes: 5, uploaded: 0 })

    const asked = server.asked.length
    await second.build()
    expect(server.asked.length).toBe(asked)
    expect(second.events.at(-1)).toMatchObject({ type: 'done', fresh: 4 })
  })

  test('read-only sends nothing', async () => {
    const server = await cacheServer()
    const p = checkout(server.url, 'read-only')
    await p.build()
    expect(server.asked.every(({ method }) => method === 'GET')).toBe(true)
    expect(told(p)).toMatchObject({ restored: 0, uploaded: 0 })
    expect(troubles(p)).toEqual([])
  })

  test('what the local store has is not asked for', async () => {
    const server = await cacheServer()
    const p = checkout(server.url, 'read-only')
    await p.build()
    p.ran('a b c d')
    const asked = server.asked.length
    p.remove('out/end')
    await p.build()
    p.ran('')
    expect(server.asked.length).toBe(asked)
  })

  test('an object damaged in the local store comes from the remote', async () => {
    const server = await cacheServer()
    const p = checkout(server.url)
    await p.build()
    p.ran('a b c d')
    for (const folder of readdirSync(join(p.root, '.quant/store/objects')))
      for (const name of readdirSync(join(p.root, '.quant/store/objects', folder)))
        writeFileSync(join(p.root, '.quant/store/objects', folder, name), 'damaged')
    p.remove('out/last')
    await p.build()
    p.ran('')
    expect(outputs(p)).toEqual(right)
  })

  test('the token goes with every request, and into no event', async () => {
    const server = await cacheServer()
    server.spoil = (request, response) => {
      if (request.headers.authorization === 'Bearer secret') return false
      response.writeHead(401).end()
      return true
    }
    const p = checkout(server.url, 'read-write', { token: 'secret' })
    await p.build()
    expect(troubles(p)).toEqual([])
    expect(new Set(server.asked.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer secret']))
    expect(JSON.stringify(p.events)).not.toContain('secret')
    const without = checkout(server.url)
    await without.build()
    expect(outputs(without)).toEqual(right)
    expect(troubles(without)).toEqual(['answers 401 (see QUANT_REMOTE_TOKEN), going on without it'])
  })
})

describe('a server that is away or broken: the stages run, one line is said, few requests are made', () => {
  test('nobody listens', async () => {
    const p = checkout(`http://127.0.0.1:${await freePort()}`)
    await p.build()
    p.ran('a b c d')
    expect(outputs(p)).toEqual(right)
    expect(troubles(p)).toEqual(['not reachable (ECONNREFUSED), going on without it'])
  })

  const answer =
    (status: number, body = '') =>
    (response: ServerResponse): void =>
      void response.writeHead(status).end(body)

  const cases: [what: string, spoil: (response: ServerResponse, path: string) => void, said: RegExp, most: number][] = [
    ['500', answer(500), /^answers 500, going on/, 2],
    ['403', answer(403), /^answers 403 \(see QUANT_REMOTE_TOKEN\), going on/, 1],
    ['resets', (response) => response.destroy(), /^not reachable \(\w+\), going on/, 2],
    ['never answers', () => {}, /^too slow, waited 0.4 s, going on/, 1],
    [
      'stops amid the body',
      (response) => void response.writeHead(200, { 'content-length': 1000 }).write('x'),
      /^too slow/,
      1,
    ],
    [
      'breaks off amid the body',
      (response) => {
        response.writeHead(200, { 'content-length': 1000 }).write('x')
        setTimeout(() => response.destroy(), 30)
      },
      /^the connection broke \(\w+\), going on/,
      2,
    ],
    [
      'a byte now and then',
      (response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write('x'), 50)
        response.on('close', () => clearInterval(timer))
      },
      /^too slow, waited 0.4 s, going on/,
      1,
    ],
    ['html for everything', answer(200, '<html>log in here</html>'), /^sends something else than the result/, 1],
    ['an empty body', answer(200), /^sends something else than the result/, 1],
    ['an endless body', (response) => endless(response), /^sends something else than the result|^too slow/, 1],
  ]
  test.each(cases)('%s', async (_, spoil, said, most) => {
    const server = await cacheServer()
    server.spoil = (_, response, path) => {
      spoil(response, path)
      return true
    }
    const p = checkout(server.url, 'read-only', { timeoutMs: 400 })
    const { failed } = await p.build({ parallel: 1 })
    p.ran('a b c d')
    expect(failed).toEqual([])
    expect(outputs(p)).toEqual(right)
    expect(troubles(p)).toEqual([expect.stringMatching(said)])
    expect(server.asked.length).toBeLessThanOrEqual(most)
  })

  test('500 once: asked again, and used', async () => {
    const server = await cacheServer()
    await checkout(server.url).build()
    let first = true
    server.spoil = (_, response) => {
      if (!first) return false
      first = false
      answer(500)(response)
      return true
    }
    const p = checkout(server.url)
    await p.build()
    p.ran('')
    expect(troubles(p)).toEqual([])
  })

  test('slow, but each request in time: all of them together wait no longer than the time-out', async () => {
    const server = await cacheServer()
    await checkout(server.url).build()
    server.spoil = (_, response, path) => {
      setTimeout(() => response.writeHead(200).end(server.files.get(path)), 250)
      return true
    }
    const p = checkout(server.url, 'read-only', { timeoutMs: 700 })
    const asked = server.asked.length
    await p.build({ parallel: 1 })
    // Two answers of 250 ms fit into 700 ms: the result of `a` and its object; the third request is cut.
    expect(server.asked.length - asked).toBe(3)
    p.ran('b c d')
    expect(outputs(p)).toEqual(right)
    expect(troubles(p)).toEqual(['too slow, waited 0.7 s, going on without it'])
  })
})

describe('a server that lies', () => {
  type Files = Map<string, Buffer>
  const only = (files: Files, kind: string) => [...files.keys()].filter((path) => path.startsWith(kind))
  const lies: [what: string, lie: (files: Files) => void, said: string[], ran?: string][] = [
    [
      'other bytes of the same length',
      (files) => {
        for (const path of only(files, 'cas/')) files.set(path, Buffer.alloc(files.get(path)!.length, '?'))
      },
      ['sends wrong bytes for'],
    ],
    [
      'cut objects',
      (files) => {
        for (const path of only(files, 'cas/')) files.set(path, files.get(path)!.subarray(1))
      },
      ['sends wrong bytes for'],
    ],
    [
      'objects with more behind them',
      (files) => {
        for (const path of only(files, 'cas/')) files.set(path, Buffer.concat([files.get(path)!, Buffer.alloc(1e6)]))
      },
      ['sends wrong bytes for'],
    ],
    [
      'the result of another key',
      (files) => {
        const [one, other] = only(files, 'ac/')
        for (const path of only(files, 'ac/')) files.set(path, files.get(path === one ? other! : one!)!)
      },
      ['sends something else than the result for'],
    ],
    [
      'results cut anywhere',
      (files) => {
        for (const path of only(files, 'ac/')) files.set(path, files.get(path)!.subarray(0, -7))
      },
      ['sends something else than the result for'],
    ],
    [
      'results that name files outside',
      (files) => {
        for (const path of only(files, 'ac/'))
          files.set(path, Buffer.from(files.get(path)!.toString('latin1').replaceAll('mid', '../'), 'latin1'))
      },
      ['sends something else than the result for'],
    ],
    [
      'results whose objects are gone',
      (files) => {
        for (const path of only(files, 'cas/')) files.delete(path)
      },
      [],
      'a b c', // What `d` gives, `c` has given.
    ],
  ]
  test.each(lies)(
    '%s: the stages run, and what they give is uploaded in its place',
    async (_, lie, said, ran = 'a b c d') => {
      const server = await cacheServer()
      await checkout(server.url).build()
      const good = new Map(server.files)
      lie(server.files)
      const p = checkout(server.url)
      await p.build({ parallel: 1 })
      p.ran(ran)
      expect(outputs(p)).toEqual(right)
      expect(troubles(p)).toEqual(said.map((text) => expect.stringContaining(text)))
      expect([...server.files.keys()].sort()).toEqual([...good.keys()].sort())
      const next = checkout(server.url)
      await next.build()
      next.ran('')
      expect(outputs(next)).toEqual(right)
    },
  )

  test('nothing of a lie stays in the local store', async () => {
    const server = await cacheServer()
    await checkout(server.url).build()
    for (const path of only(server.files, 'cas/')) server.files.set(path, Buffer.from('?'))
    const p = checkout(server.url, 'read-only')
    await p.build()
    const names = readdirSync(join(p.root, '.quant/store/objects'), { recursive: true, encoding: 'utf8' })
    expect(names.filter((name) => name.includes('/')).every((name) => good.has(name.replace('/', '')))).toBe(true)
    expect(names.some((name) => name.includes('.part'))).toBe(false)
  })
  /** SHA-256 of X, Y and X+Y: `printf X | sha256sum`. */
  const good = new Set([
    '4b68ab3847feda7d6c62c1fbcbeebfa35eab7351ed5e78f4ddadea5df64b8015',
    '18f5384d58bcb1bba0bcd9e6a6781d1a6ac2cc280c330ecbab6cb7931b721552',
    'f97752674e148e9c3d827ceb0fef79c55d2a41320a2bf84c3e824ff07d3893ed',
  ])
})

describe('a server that takes nothing', () => {
  test.each([
    [507, 'answers 507, nothing is uploaded any more'],
    [413, 'answers 413, nothing is uploaded any more'],
    [403, 'answers 403 (see QUANT_REMOTE_TOKEN), nothing is uploaded any more'],
    [405, 'answers 405, nothing is uploaded any more'],
  ])('PUT is answered by %d: one upload is tried, reading goes on', async (status, said) => {
    const server = await cacheServer()
    await checkout(server.url).build()
    for (const path of [...server.files.keys()].filter((path) => path.startsWith('ac/')).slice(0, 1))
      server.files.delete(path)
    const before = server.asked.length
    server.spoil = (request, response) => {
      if (request.method === 'GET') return false
      request.resume().on('end', () => response.writeHead(status).end())
      return true
    }
    const p = checkout(server.url)
    const result = await p.build({ parallel: 1 })
    expect([result.ran.length, result.restored.length]).toEqual([1, 3])
    expect(troubles(p)).toEqual([said])
    expect(server.asked.slice(before).filter(({ method }) => method === 'PUT')).toHaveLength(1)
    expect(told(p)).toMatchObject({ restored: 3, uploaded: 0 })
  })

  test('uploads that never end are given up at the end of the build', async () => {
    const server = await cacheServer()
    server.spoil = (request) => request.method === 'PUT'
    const p = checkout(server.url, 'read-write', { timeoutMs: 300 })
    await p.build()
    p.ran('a b c d')
    expect(p.events.at(-1)).toMatchObject({ type: 'done', ran: 4, failed: 0 })
    expect(troubles(p)).toHaveLength(1)
    expect(troubles(p)[0]).toMatch(/^too slow|did not end within 0.3 s/)
  })
})

describe('--require-remote', () => {
  test('no remote is set: nothing runs', async () => {
    const p = rig({ in: 'x' }, { a: upper('in', 'mid') })
    await expect(p.build({ requireRemote: true })).rejects.toMatchObject({ code: 'usage' })
    p.ran('')
  })

  test('away, refusing, or not a cache: nothing runs', async () => {
    const away = checkout(`http://127.0.0.1:${await freePort()}`)
    await expect(away.build({ requireRemote: true })).rejects.toMatchObject({
      code: 'remote',
      message: expect.stringContaining('not reachable (ECONNREFUSED)'),
    })
    away.ran('')
    const server = await cacheServer()
    server.spoil = (_, response) => void response.writeHead(200).end('<html>') === undefined
    const portal = checkout(server.url)
    await expect(portal.build({ requireRemote: true })).rejects.toMatchObject({ code: 'remote' })
    server.spoil = (request, response) =>
      request.method === 'PUT' && void request.resume().on('end', () => response.writeHead(403).end()) === undefined
    await expect(checkout(server.url).build({ requireRemote: true })).rejects.toMatchObject({ code: 'remote' })
    // To read is all that read-only needs.
    const reader = checkout(server.url, 'read-only')
    await reader.build({ requireRemote: true })
    reader.ran('a b c d')
  })

  test('an empty cache is good enough', async () => {
    const p = checkout((await cacheServer()).url)
    await p.build({ requireRemote: true })
    p.ran('a b c d')
  })
})

test('Ctrl-C ends requests that are under way', async () => {
  const server = await cacheServer()
  const stop = new AbortController()
  server.spoil = () => {
    stop.abort()
    return true
  }
  const p = checkout(server.url, 'read-only', { timeoutMs: 60_000 })
  await expect(p.build({ signal: stop.signal })).rejects.toMatchObject({ code: 'interrupted' })
  p.ran('')
  expect(troubles(p)).toEqual([])
})

describe.skipIf(nginxProgram === undefined)('nginx with WebDAV', () => {
  test('two checkouts share it', async () => {
    const { url, folder } = await nginx()
    const first = checkout(url)
    await first.build({ requireRemote: true })
    first.ran('a b c d')
    expect(troubles(first)).toEqual([])
    expect(readdirSync(join(folder, 'ac'))).toHaveLength(4)
    const second = checkout(url, 'read-only')
    const { restored } = await second.build({ requireRemote: true })
    second.ran('')
    expect(restored).toHaveLength(4)
    expect(outputs(second)).toEqual(right)
  })

  test('that takes no large files: 413 ends uploading', async () => {
    const { url } = await nginx({ most: '1k' })
    const p = checkout(url)
    p.stages.a = { ...p.stages.a!, make: () => 'X'.repeat(5000) }
    const { failed } = await p.build({ parallel: 1 })
    expect(failed).toEqual([])
    expect(troubles(p)).toEqual(['answers 413, nothing is uploaded any more'])
  })
})

function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(65_536)
  response.writeHead(200)
  const more = (): void => {
    while (!response.destroyed && response.write(chunk));
  }
  response.on('drain', more)
  onTestFinished(() => void response.destroy())
  more()
}
