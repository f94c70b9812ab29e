/** Builds that are ended by SIGKILL, all their processes at once, in the middle of a search. For the test and for bench/kill.ts. */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Event } from '../../src/events.js'

/** The command line from the sources. */
export const fromSources = [
  '--import',
  import.meta.resolve('tsx'),
  fileURLToPath(new URL('../../src/cli.ts', import.meta.url)),
]

/** Pieces that are kept: prices of programs, a file each, and losses, a line each. Whether they hold is for those to say who read them. */
export function keptPieces(root: string): number {
  const memo = join(root, '.quant/store/memo')
  if (!existsSync(memo)) return 0
  return readdirSync(memo, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .reduce((sum, path) => sum + (path.endsWith('.records') ? wholeLines(path) : 1), 0)
}

const wholeLines = (path: string): number =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .filter((line) => line !== '').length

export interface Attempt {
  /** It came to its end before it was to be killed. */
  readonly ended: boolean
  /** What it found in the memo, and what it did itself, as far as it told: runs of the network, and programs. */
  readonly reused: number
  readonly done: number
}

/** @param after so much work of the stages that search, as it is told; Infinity: to the end */
export function buildUntil(root: string, command: readonly string[], after: number): Promise<Attempt> {
  const child = spawn(process.execPath, [...command, 'build', 'select:mix', '--json', '-C', root], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  let [reused, done, batch] = [0, 0, 0]
  let killed = false
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as Event
    if (event.type !== 'progress' || killed || (event.unit !== 'runs' && event.unit !== 'programs')) return
    // A stage works in batches, one after the other; each begins by telling what it found.
    if (event.done === event.reused) {
      reused += event.reused
      batch = 0
    }
    done += event.done - event.reused - batch
    batch = event.done - event.reused
    if (done < after) return
    killed = true
    process.kill(-child.pid!, 'SIGKILL')
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      if (!killed && code !== 0) reject(new Error(`the build ended with ${code}`))
      else resolve({ ended: !killed, reused, done })
    })
  })
}
