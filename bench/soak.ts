/**
 * `npx tsx bench/soak.ts [steps [seed ...]]`: random edits, accidents and kills on a small pipeline, each build a process of its own. After
 * every step the incremental result must equal a clean build of the same sources in an empty folder, byte for byte.
 */
import { spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { build as bundle } from 'esbuild'

const [steps = 200, ...seeds] = process.argv.slice(2).map(Number)
const work = mkdtempSync(join(tmpdir(), 'quant-soak-'))
const child = join(work, 'child.mjs')
await bundle({
  entryPoints: [fileURLToPath(new URL('soak-child.ts', import.meta.url))],
  outfile: child,
  bundle: true,
  platform: 'node',
  format: 'esm',
})
let failures = 0
for (const seed of seeds.length > 0 ? seeds : [1]) failures += await soak(seed)
rmSync(work, { recursive: true })
process.exitCode = failures > 0 ? 1 : 0

async function soak(seed: number): Promise<number> {
  const random = generator(seed)
  const root = join(work, `seed-${seed}`)
  const file = (path: string): string => join(root, path)
  const some = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const word = (length = 1 + Math.floor(random() * 40)): string =>
    Array.from({ length }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join('')
  const write = (path: string, text: string): void => writeFileSync(file(path), text)
  const sources = (): string[] => readdirSync(file('in')).map((name) => `in/${name}`)
  const outputs = (): string[] => filesIn(file('out')).map((path) => `out/${path}`)
  const settings = (change: object): void =>
    write('settings.json', JSON.stringify({ ...JSON.parse(readFileSync(file('settings.json'), 'utf8')), ...change }))
  /** One byte of a file gets another value. */
  const spoil = (path: string): void => {
    const bytes = readFileSync(path)
    if (bytes.length === 0) return
    bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8)
    writeFileSync(path, bytes)
  }
  const inStore = (kind: string): string[] => filesIn(file('.quant/store')).filter((path) => path.startsWith(kind))
  const past: string[] = []

  mkdirSync(file('in'), { recursive: true })
  for (let n = 0; n < 4; n++) write(`in/s${n}`, word())
  write('settings.json', JSON.stringify({ factor: 1, shape: 'txt' }))

  const kinds: Record<string, () => void> = {
    edit: () => write(some(sources()), word()),
    touch: () => utimesSync(file(some(sources())), new Date(1e12 * random()), new Date(1e12 * random())),
    'same size, time put back': () => {
      const path = some(sources())
      const { atime, mtime, size } = statSync(file(path))
      write(path, word(size))
      utimesSync(file(path), atime, mtime)
    },
    'add a source': () => write(`in/s${Math.floor(random() * 12)}`, word()),
    'remove a source': () => void (sources().length > 1 && rmSync(file(some(sources())))),
    'extra file comes or goes': () => (existsSync(file('extra')) ? rmSync(file('extra')) : write('extra', word())),
    'change a setting': () => settings({ factor: Math.floor(random() * 5) }),
    'move an output': () => settings({ shape: some(['txt', 'csv', 'sub/json']) }),
    'delete an output': () => rmSync(file(some(outputs())), { force: true }),
    'edit an output': () => write(some(outputs()), word()),
    'delete all outputs': () => rmSync(file('out'), { recursive: true, force: true }),
    'spoil an object': () => inStore('objects').length > 0 && spoil(file(`.quant/store/${some(inStore('objects'))}`)),
    'spoil an action': () => inStore('actions').length > 0 && spoil(file(`.quant/store/${some(inStore('actions'))}`)),
    'delete an object': () => inStore('objects').length > 0 && rmSync(file(`.quant/store/${some(inStore('objects'))}`)),
    'spoil the state log': () => spoil(file('.quant/state.log')),
    'cut the state log': () => {
      const bytes = readFileSync(file('.quant/state.log'))
      writeFileSync(file('.quant/state.log'), bytes.subarray(0, Math.floor(random() * bytes.length)))
    },
    'spoil the lock file': () => spoil(file('quant.lock')),
    'an earlier state': () => {
      if (past.length === 0) return
      for (const path of ['in', 'extra', 'settings.json']) rmSync(file(path), { recursive: true, force: true })
      cpSync(some(past), root, { recursive: true })
    },
    'killed while building': () => void write(some(sources()), word()),
  }

  const counts = new Map<string, number>()
  let [ran, clean, killed, wrong] = [0, 0, 0, 0]
  runChild(root)
  for (let step = 1; step <= steps; step++) {
    const kind = some(Object.keys(kinds))
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    kinds[kind]!()
    if (kind === 'killed while building') {
      const victim = spawn(process.execPath, [child, root], { stdio: 'ignore' })
      const ended = new Promise<string | null>((resolve) => victim.on('exit', (_, signal) => resolve(signal)))
      await sleep(30 + random() * 120)
      victim.kill('SIGKILL')
      if ((await ended) === 'SIGKILL') killed++
    }
    const snapshot = join(work, `past-${seed}-${step}`)
    mkdirSync(snapshot)
    for (const path of ['in', 'extra', 'settings.json'])
      if (existsSync(file(path))) cpSync(file(path), join(snapshot, path), { recursive: true })
    past.push(snapshot)
    const incremental = runChild(root)
    ran += incremental.length
    const fresh = join(work, 'clean')
    rmSync(fresh, { recursive: true, force: true })
    cpSync(snapshot, fresh, { recursive: true })
    clean += runChild(fresh).length
    const difference = compare(root, fresh)
    if (difference !== undefined) {
      wrong++
      console.log(`seed ${seed}, step ${step}, ${kind}: ${difference}`)
    }
  }
  console.log(
    `seed ${seed}: ${steps} steps, ${wrong} wrong; ${ran} stages ran where clean builds ran ${clean}; ${killed} builds killed`,
  )
  console.log(
    `  ${[...counts]
      .sort()
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ')}`,
  )
  return wrong
}

function runChild(root: string): string[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, [child, root], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the build in ${root} failed:\n${stderr}`)
  return stdout.split('\n').filter((line) => line !== '')
}

/** Everything that the clean build has must be here as it is; what stages that are no more have written may be here, too; no leftovers. */
function compare(root: string, fresh: string): string | undefined {
  for (const path of [...filesIn(join(fresh, 'out')).map((path) => `out/${path}`), 'quant.lock'])
    if (!existsSync(join(root, path)) || !readFileSync(join(root, path)).equals(readFileSync(join(fresh, path))))
      return `${path} is not as in a clean build`
  const known = new Set(filesIn(join(fresh, 'out')))
  const odd = filesIn(join(root, 'out')).find((path) => !known.has(path) && !/^counts\/s\d+$/.test(path))
  if (odd !== undefined) return `out/${odd} is left over`
  const state = readdirSync(join(root, '.quant')).filter((name) => !['state.log', 'store'].includes(name))
  return state.length > 0 ? `.quant/${state[0]} is left over` : undefined
}

function filesIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

/** Numbers in [0, 1), the same for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (Math.imul(state ^ (state >>> 15), 2246822519) >>> 0) / 2 ** 32
  }
}
