/**
 * Damaged models by the thousand: `npm run bench fuzz [count [first seed]]`, 5000 without. Counts by what became of them, the slowest,
 * the most memory. A child does the work: one that says nothing for half a minute hangs and is ended, one that dies has crashed.
 */
import { spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { table } from '../src/show/table.js'
import { smallModels, zooModels } from '../test/import/corpus.js'
import { follow } from '../test/import/follow.js'
import { mutated } from '../test/import/mutate.js'

interface Told {
  readonly seed: number
  readonly kind: string
  readonly end: string
  readonly milliseconds: number
  readonly megabytes: number
}

/** A child that has not told of one model after so long hangs. */
const patience = 30_000

const precisions = ['INT8', 'INT8', 'F16', 'F32'] as const

function work(from: number, to: number): void {
  const small = smallModels()
  const real = zooModels()
  for (let seed = from; seed < to; seed++) {
    // Every fifth is a real network: those are large.
    const models = seed % 5 === 0 && real.length > 0 ? real : small
    const { bytes, kind } = mutated(models[Math.floor(seed / 5) % models.length]!.bytes, seed)
    const start = performance.now()
    let end: string
    try {
      end = follow(bytes, 'm.onnx', precisions[seed % 4]).end
    } catch (error) {
      end = `CRASH ${(error as Error).message.split('\n')[0]}`
    }
    const told: Told = {
      seed,
      kind,
      end,
      milliseconds: performance.now() - start,
      megabytes: process.memoryUsage().rss / 2 ** 20,
    }
    writeSync(1, `${JSON.stringify(told)}\n`)
  }
}

/** @returns what the child told; it may have stopped before `to`. */
function child(from: number, to: number): Promise<{ told: Told[]; hung: boolean }> {
  return new Promise((resolve) => {
    const told: Told[] = []
    let [rest, hung] = ['', false]
    const args = ['--import', import.meta.resolve('tsx'), fileURLToPath(import.meta.url), 'work', `${from}`, `${to}`]
    const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const end = () => {
      hung = true
      process_.kill('SIGKILL')
    }
    let timer = setTimeout(end, 2 * patience)
    process_.stdout.setEncoding('utf8').on('data', (text: string) => {
      clearTimeout(timer)
      timer = setTimeout(end, patience)
      const lines = (rest + text).split('\n')
      rest = lines.pop()!
      told.push(...lines.map((line) => JSON.parse(line) as Told))
    })
    process_.on('close', () => {
      clearTimeout(timer)
      resolve({ told, hung })
    })
  })
}

async function main(count: number, first: number): Promise<void> {
  const all: Told[] = []
  const lost: string[] = []
  for (let from = first; from < first + count; ) {
    const { told, hung } = await child(from, first + count)
    all.push(...told)
    from += told.length
    if (from < first + count) lost.push(`seed ${from++}: ${hung ? 'hung' : 'died'}`)
  }
  const ends = new Map<string, number>()
  for (const { end } of all) ends.set(end, (ends.get(end) ?? 0) + 1)
  console.log(table([[`of ${count}`, 'models'], ...[...ends].sort().map(([end, n]) => [end, `${n}`])]))
  const slowest = all.toSorted((a, b) => b.milliseconds - a.milliseconds).slice(0, 5)
  const rows = slowest.map(({ seed, kind, end, milliseconds }) => [`${seed}`, kind, end, milliseconds.toFixed(0)])
  console.log(`\n${table([['slowest, seed', 'damage', 'end', 'ms'], ...rows])}`)
  console.log(`\nmost memory: ${Math.max(...all.map(({ megabytes }) => megabytes)).toFixed(0)} MB`)
  console.log(`hung or died: ${lost.length === 0 ? 'none' : lost.join(', ')}`)
  if (lost.length > 0 || [...ends.keys()].some((end) => end.startsWith('CRASH'))) process.exitCode = 1
}

const [what, a, b] = process.argv.slice(2)
if (what === 'work') work(Number(a), Number(b))
else await main(Number(what || 5000), Number(a ?? 0))
