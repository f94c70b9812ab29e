/** Where the store is, what `quant gc` says, and its usage errors. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { gcText } from '../../src/show/gc.js'
import { storePlaces } from '../../src/stages/store.js'
import { buildRig, tinyYaml } from '../build/rig.js'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

function quant(args: string[], cwd: string, env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), cli, ...args],
    { cwd, encoding: 'utf8', env: { ...process.env, CI: '', NO_COLOR: '1', ...env } },
  )
  return { code: status, out: stdout, err: stderr }
}

describe('settings', () => {
  const unset = { path: undefined, remote: undefined, mode: 'read-only', timeout: 5 } as const

  test('default, quant.yaml, environment', () => {
    expect(storePlaces(unset, '/p', {})).toEqual({ store: '/p/.quant/store', remote: undefined })
    const set = { path: '../s', remote: 'http://host:8080/', mode: 'read-write', timeout: 2.5 } as const
    expect(storePlaces(set, '/p', {})).toEqual({
      store: '/s',
      remote: { url: 'http://host:8080', mode: 'read-write', timeoutMs: 2500, token: undefined },
    })
    expect(
      storePlaces(set, '/p', { QUANT_STORE: '/ci', QUANT_REMOTE: 'https://other/a', QUANT_REMOTE_TOKEN: 't' }),
    ).toEqual({ store: '/ci', remote: { url: 'https://other/a', mode: 'read-write', timeoutMs: 2500, token: 't' } })
    expect(storePlaces(set, '/p', { QUANT_REMOTE: '' }).remote).toBeUndefined()
    expect(storePlaces(set, '/p', { QUANT_REMOTE_MODE: 'read-write' }).remote?.mode).toBe('read-write')
    expect(storePlaces(set, '/p', { QUANT_REMOTE_MODE: 'read-only' }).remote?.mode).toBe('read-only')
    expect(() => storePlaces(set, '/p', { QUANT_REMOTE_MODE: 'write' })).toThrow('QUANT_REMOTE_MODE is `write`')
  })

  test.each(['host:8080', 'ftp://host', 'http://user:word@host', 'http://host/?a=b', 'http:// host'])(
    '%s is no address',
    (url) => {
      expect(() => storePlaces(unset, '/p', { QUANT_REMOTE: url })).toThrow('QUANT_REMOTE is no http or https address')
    },
  )
})

test('what is said', () => {
  const report = {
    groups: [
      {
        kind: 'outputs' as const,
        name: 'calibrate',
        stays: { count: 1, bytes: 3000, ms: 12_000 },
        goes: { count: 2, bytes: 6000, ms: 25_000 },
        unusedDays: 0,
      },
      {
        kind: 'pieces' as const,
        name: 'losses',
        stays: { count: 0, bytes: 0, ms: 0 },
        goes: { count: 7, bytes: 700, ms: 0 },
        unusedDays: 20,
      },
    ],
    damaged: 1,
    projects: 2,
  }
  expect(gcText(report, '/s', true)).toBe(
    `stage      what     stays   bytes  to rebuild  would go   bytes  to rebuild  last used
calibrate  outputs      1  3.0 kB      12.0 s         2  6.0 kB      25.0 s  today
losses     pieces                                     7   700 B              20 days ago
1 damaged: would be dropped, builds make them again
/s, used by 2 projects: 6.7 kB would go, 3.0 kB would stay
`,
  )
})

test('a store elsewhere by the environment, and gc as text and as JSON', async () => {
  const p = await buildRig({ 'quant.yaml': stringify(tinyYaml), 'deep/note.txt': '' })
  const env = { QUANT_STORE: join(p.root, 'elsewhere') }
  const built = quant(['build', 'import'], p.root, env)
  expect(built.code, built.err).toBe(0)
  expect(existsSync(join(p.root, 'elsewhere/objects'))).toBe(true)
  expect(existsSync(join(p.root, '.quant/store'))).toBe(false)
  const text = quant(['gc', '--dry-run'], join(p.root, 'deep'), env)
  expect(text.code).toBe(0)
  expect(text.out).toMatch(/^import +outputs +1 .* today$/m)
  expect(text.out).toContain('used by 1 project: 0 B would go')
  const lines = quant(['--json', 'gc', '--days', '0', '--size', '1kB', '--verify'], p.root, env)
    .out.trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(lines).toMatchObject([
    { type: 'group', kind: 'outputs', name: 'import', stays: { count: 1 }, goes: { count: 0 } },
    { type: 'store', path: env.QUANT_STORE, damaged: 0, projects: 1, dryRun: false },
  ])
  expect(quant(['gc', '--days', 'soon'], p.root)).toMatchObject({
    code: 2,
    err: expect.stringContaining('--days soon'),
  })
  expect(quant(['gc', '--size', '2XB'], p.root)).toMatchObject({ code: 2, err: expect.stringContaining('--size 2XB') })
  expect(quant(['build', '--require-remote'], p.root)).toMatchObject({
    code: 2,
    err: expect.stringContaining('QUANT_REMOTE'),
  })
})
