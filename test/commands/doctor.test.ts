import { appendFileSync, chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Check } from '../../src/commands/doctor/check.js'
import { checkFiles } from '../../src/commands/doctor/folder.js'
import { checkCmodel } from '../../src/commands/doctor/libraries.js'
import { checkNode, checkProcessor } from '../../src/commands/doctor/machine.js'
import { checkDescription, checkLock, checkRemote, checkStore } from '../../src/commands/doctor/project.js'
import { takeLock } from '../../src/engine/lock.js'
import { rig, temporaryFolder, upper } from '../engine/rig.js'
import { quant } from './process.js'

test('on this machine, in an empty folder: libraries work, only the project is missing', async () => {
  const root = temporaryFolder()
  const { code, out } = await quant(['--json', 'doctor'], root)
  const checks = out
    .trimEnd()
    .split('\n')
    .map((line): Check => JSON.parse(line))
  const { is: disk } = checks.find(({ name }) => name === 'disk')!
  expect(code).toBe(disk === 'fail' ? 1 : 0)
  expect(Object.fromEntries(checks.map(({ name, is }) => [name, is]))).toMatchObject({
    node: 'ok',
    onnxruntime: 'ok',
    sharp: 'ok',
    files: expect.stringMatching(/ok|warn/),
    'quant.yaml': 'warn',
  })
  expect(readdirSync(root)).toEqual([])
})

test('every mistake of quant.yaml is a line, and the exit code is 1', async () => {
  const root = temporaryFolder()
  writeFileSync(
    join(root, 'quant.yaml'),
    'model: { name: m, path: gone.onnx }\ncalibration: { method: kll, tune_num: x }\n',
  )
  const { code, out } = await quant(['doctor'], root)
  expect(code).toBe(1)
  expect(out).toMatch(/^fail {2}quant\.yaml +quant\.yaml:2: .*kll/m)
  expect(out).toMatch(/^fail {2}quant\.yaml +quant\.yaml:2: .*tune_num/m)
  expect(out).toMatch(/^2 failed/m)
})

test('a path that quant.yaml names and that is not there', () => {
  const root = temporaryFolder()
  writeFileSync(join(root, 'quant.yaml'), 'model: { name: m, path: gone.onnx }\nvariants: { f: { quantize: F16 } }\n')
  expect(checkDescription({ directory: root }).checks).toMatchObject([
    { is: 'fail', says: expect.stringContaining('gone.onnx') },
  ])
  expect(checkDescription({ directory: root, file: 'other.yaml' }).checks).toMatchObject([{ is: 'fail' }])
})

test.each([
  ['20.19.0', 'ok'],
  ['20.18.3', 'fail'],
  ['18.20.0', 'fail'],
  ['22.0.0', 'ok'],
])('Node %s', (version, is) => expect(checkNode(version).is).toBe(is))

test.skipIf(process.arch !== 'x64')('what the processor lacks', () => {
  const flags = (list: string) => checkProcessor(`processor : 0\nflags\t\t: fpu sse2 ${list}\nbugs : none\n`)
  expect(flags('avx2 avx512f avx512_vnni')).toMatchObject({ is: 'ok', says: 'AVX2, AVX-512, VNNI' })
  expect(flags('avx2')).toMatchObject({ is: 'ok', says: expect.stringContaining('without VNNI') })
  expect(flags('avx')).toMatchObject({ is: 'warn', hint: expect.stringContaining('slower') })
  expect(checkProcessor(undefined).is).toBe('ok')
})

test('a C-model that is none', async () => {
  expect(await checkCmodel('/nowhere/lib.so')).toMatchObject({
    is: 'fail',
    says: expect.stringContaining('does not exist'),
  })
  const file = join(temporaryFolder(), 'lib.so')
  writeFileSync(file, 'no library')
  expect((await checkCmodel(file)).is).toBe('fail')
})

test.skipIf(process.getuid?.() === 0)('a folder that nobody may write to', () => {
  const root = temporaryFolder()
  chmodSync(root, 0o500)
  expect(checkFiles(root)).toMatchObject({ is: 'fail', says: expect.stringContaining('permission') })
})

test('a file where the folder should be', () => {
  const root = temporaryFolder()
  writeFileSync(join(root, 'file'), '')
  expect(checkFiles(join(root, 'file')).is).toBe('fail')
})

test('the store: sound, then with a damaged object', async () => {
  const p = rig({ x: 'one' }, { a: upper('x', 'a.txt') })
  expect(await checkStore(p.project())).toMatchObject({ is: 'ok', says: expect.stringContaining('0 objects') })
  await p.build()
  expect(await checkStore(p.project())).toMatchObject({ is: 'ok', says: expect.stringContaining('1 objects') })
  const objects = join(p.project().store, 'objects')
  const [inner] = readdirSync(objects)
  const [object] = readdirSync(join(objects, inner!))
  const path = join(objects, inner!, object!)
  chmodSync(path, 0o600)
  appendFileSync(path, 'x')
  expect(await checkStore(p.project())).toMatchObject({
    is: 'fail',
    says: expect.stringContaining(`damaged: ${inner}${object}`.slice(0, 20)),
  })
})

test('the lock: free, held, left behind', async () => {
  const p = rig({ x: 'one' }, { a: upper('x', 'a.txt') })
  const { state } = p.project()
  mkdirSync(state, { recursive: true })
  expect(checkLock(p.project()).is).toBe('ok')
  const lock = await takeLock(state, () => {}, new AbortController().signal)
  expect(checkLock(p.project())).toMatchObject({ is: 'warn', says: expect.stringContaining(`process ${process.pid}`) })
  lock.release()
  writeFileSync(join(state, 'lock'), `${process.pid} 1 another-boot\n`)
  expect(checkLock(p.project())).toMatchObject({ is: 'ok', says: expect.stringContaining('killed') })
})

test.each([
  [200, 'ok'],
  [404, 'ok'],
  [401, 'warn'],
  [500, 'warn'],
])('a remote store that answers %d', async (status, is) => {
  const server = createServer((_, response) => response.writeHead(status).end())
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    expect(await checkRemote({ url, mode: 'read-only', timeoutMs: 2000, token: undefined })).toMatchObject({ is })
  } finally {
    server.close()
  }
  expect(await checkRemote({ url, mode: 'read-only', timeoutMs: 2000, token: undefined })).toMatchObject({ is: 'warn' })
})
