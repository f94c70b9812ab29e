import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { takeLock } from '../../src/engine/lock.js'
import { rig, temporaryFolder, upper } from './rig.js'

const never = new AbortController().signal

/** A process that runs a piece of JavaScript in which `takeLock` is known. */
const run = (script: string): ChildProcess =>
  spawn(process.execPath, [
    '--import',
    import.meta.resolve('tsx'),
    '--input-type=module',
    '-e',
    `import { appendFileSync, writeFileSync } from 'node:fs'
     import { takeLock } from ${JSON.stringify(new URL('../../src/engine/lock.ts', import.meta.url).href)}
     ${script}`,
  ])

/** Another process that has the lock and keeps it. */
async function holder(folder: string): Promise<{ child: ChildProcess }> {
  const child = run(`
    await takeLock(${JSON.stringify(folder)}, () => {}, new AbortController().signal)
    console.log('has it')
    setTimeout(() => {}, 1e6)`)
  await once(child.stdout!, 'data')
  return { child }
}

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

const taken = async (folder: string): Promise<void> => {
  const lock = await takeLock(folder, () => expect.unreachable(), never)
  expect(readdirSync(folder)).toEqual(['lock'])
  lock.release()
  expect(readdirSync(folder)).toEqual([])
}

/** What this process writes into its lock. */
async function ownName(): Promise<string> {
  const folder = temporaryFolder()
  const lock = await takeLock(folder, () => {}, never)
  const name = readFileSync(join(folder, 'lock'), 'utf8')
  lock.release()
  return name
}

test('the lock of a process that was killed is taken over without a word', async () => {
  const folder = temporaryFolder()
  const { child } = await holder(folder)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(readdirSync(folder)).toEqual(['lock'])
  await taken(folder)
})

test.skipIf(!existsSync('/proc/self/stat'))('a killed process whose parent does not look is dead, too', async () => {
  const parent = spawn('sh', ['-c', 'sleep 0.01 & echo $!; exec sleep 100'])
  try {
    const pid = Number(String((await once(parent.stdout, 'data'))[0]))
    const stat = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
    while (stat()[0] !== 'Z') await new Promise((resolve) => setTimeout(resolve, 5))
    const folder = temporaryFolder()
    const boot = (await ownName()).trim().split(' ')[2]
    writeFileSync(join(folder, 'lock'), `${pid} ${stat()[19]} ${boot}\n`)
    await taken(folder)
  } finally {
    parent.kill()
  }
})

test('a pid that another process has by now, or had before the machine started anew, is not mistaken for the owner', async () => {
  const [pid, start, boot] = (await ownName()).trim().split(' ')
  const folder = temporaryFolder()
  for (const owner of [`${pid} 1 ${boot}`, `${pid} ${start} another-boot`, `999999999 ${start} ${boot}`]) {
    writeFileSync(join(folder, 'lock'), `${owner}\n`)
    await taken(folder)
  }
})

test('a lock that names nobody is taken over: garbage at once, an empty or torn one when it is not just being written', async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'lock')
  for (const text of ['garbage\n', '\0\n', '../.. 1 2\n', '\n']) {
    writeFileSync(path, text)
    await taken(folder)
  }
  for (const text of ['', (await ownName()).trim()]) {
    writeFileSync(path, text)
    utimesSync(path, new Date(1e12), new Date(1e12))
    await taken(folder)
  }
})

test('a lock that cannot be read is an error, not endless waiting', async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'lock'))
  await expect(takeLock(folder, () => {}, never)).rejects.toMatchObject({
    code: 'disk',
    message: expect.stringContaining(join(folder, 'lock')),
  })
})

test('who does not want to wait is told by whom and since when it is held, and leaves the lock alone', async () => {
  const folder = temporaryFolder()
  const { child } = await holder(folder)
  const busy = new Error('busy')
  const told: unknown[] = []
  const second = takeLock(
    folder,
    (pid, since) => {
      told.push(pid, Math.abs(since.getTime() - statSync(join(folder, 'lock')).mtimeMs) < 1)
      throw busy
    },
    never,
  )
  await expect(second).rejects.toBe(busy)
  expect(told).toEqual([child.pid, true])
  expect(existsSync(join(folder, 'lock'))).toBe(true)
  child.kill()
  await once(child, 'exit')
})

test('of many that find the lock of a dead process, one has it at a time', async () => {
  const folder = temporaryFolder()
  const log = join(folder, 'log')
  writeFileSync(log, '')
  writeFileSync(join(folder, 'lock'), '999999999 1 x\n')
  const all = Array.from({ length: 4 }, () => {
    // Every other time it goes without releasing, as if it had died; then it lets the name of a dead one stand there.
    const child = run(`
      for (let i = 0; i < 12; i++) {
        const lock = await takeLock(${JSON.stringify(folder)}, () => {}, new AbortController().signal)
        appendFileSync(${JSON.stringify(log)}, process.pid + ' in\\n')
        await new Promise((resolve) => setTimeout(resolve, 1))
        appendFileSync(${JSON.stringify(log)}, process.pid + ' out\\n')
        if (i % 2) lock.release()
        else writeFileSync(${JSON.stringify(join(folder, 'lock'))}, '999999999 1 x\\n')
      }`)
    return once(child, 'exit')
  })
  expect((await Promise.all(all)).map(([code]) => code)).toEqual([0, 0, 0, 0])
  const lines = readFileSync(log, 'utf8').trim().split('\n')
  expect(lines).toHaveLength(4 * 12 * 2)
  for (let i = 0; i < lines.length; i += 2) expect(lines[i + 1]).toBe(lines[i]!.replace('in', 'out'))
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
