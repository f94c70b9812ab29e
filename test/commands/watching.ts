/** `quant watch` as a process, told in rounds. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

// biome-ignore lint/suspicious/noExplicitAny: events as a program reads them
export type Told = any

const children: ChildProcess[] = []
// Those of tests that failed.
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

export interface Watching {
  readonly child: ChildProcess
  /**
   * What ended next: `ran`: finished stages, sorted, `restored`: likewise, `end`: the event that ended it (round, error, stopped).
   * Rounds come in order; none is lost.
   */
  next(): Promise<{ ran: string[]; restored: string[]; end: Told }>
  /** Resolves at the next event that fits. */
  event(fits: (event: Told) => boolean): Promise<Told>
  /** Ctrl-C. @returns the exit code and how many rounds nobody asked for. */
  end(): Promise<{ code: number | null; unread: number }>
}

export function watching(root: string): Watching {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), cli, '--json', 'watch'], {
    cwd: root,
    env: { ...process.env, CI: '', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const rounds: Awaited<ReturnType<Watching['next']>>[] = []
  const hopes = new Set<{ fits: (event: Told) => boolean; resolve: (event: Told) => void }>()
  let events: Told[] = []
  let wake = (): void => {}
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const event = JSON.parse(line)
    events.push(event)
    for (const hope of hopes) {
      if (!hope.fits(event)) continue
      hopes.delete(hope)
      hope.resolve(event)
    }
    if (!['round', 'error', 'stopped'].includes(event.type)) return
    const stages = (type: string): string[] =>
      events
        .filter((one) => one.type === type)
        .map(({ stage }) => stage)
        .sort()
    rounds.push({ ran: stages('finished'), restored: stages('restored'), end: event })
    events = []
    wake()
  })
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve))
  return {
    child,
    async next() {
      while (rounds.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      return rounds.shift()!
    },
    event: (fits) => new Promise((resolve) => hopes.add({ fits, resolve })),
    async end() {
      child.kill('SIGINT')
      return { code: await closed, unread: rounds.length }
    },
  }
}

/** Longer than a watch waits for quiet: what it would do by itself it has begun. */
export const aWhile = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 500))
