/**
 * Builds, and builds again when something that a stage reads has changed, or an output is not as it was made:
 *
 *   waiting --(a change of content, quiet for a moment)--> building --(done)--> what moved is told --> waiting
 *   building --(something that it reads changed)--> it is stopped, what it finished is kept --> building
 *
 * quant.yaml is read anew at each look; while it is wrong its errors are shown and the watch goes on. Workers stay, with all that they
 * have open, and the lock is held only while it builds: other terminals can build, too.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from '../engine/build.js'
import { lockPathOf } from '../engine/lockfile.js'
import { type Planned, plan } from '../engine/plan.js'
import type { Reason } from '../engine/reason.js'
import { errorRecord, QuantError } from '../errors.js'
import type { Emit } from '../events.js'
import { paint, useColor } from '../show/color.js'
import { formatError } from '../show/error.js'
import { chooseReporter } from '../show/index.js'
import { type Movement, movements, movementsText } from '../show/movements.js'
import { causeLines, wouldWords } from '../show/plan.js'
import { type PlaceOfSetting, reasonJson, reasonsText } from '../show/reason.js'
import { type Results, readResults } from '../stages/results.js'
import { artifactsIn } from './artifacts.js'
import { findFile } from './find.js'
import { type OpenedProject, openWorkers, type ProjectOptions } from './project.js'
import { summarize } from './summary.js'
import { openChanges } from './watch/changes.js'
import { listenToKeys } from './watch/keys.js'
import { look, type Sight, type Watched } from './watch/sight.js'

export interface WatchOptions extends ProjectOptions {
  readonly json?: boolean
  readonly trace?: boolean
}

/** What the watch is asked to do next; `look` builds only when the content of something differs. */
type Wish = 'look' | 'rebuild' | 'why' | 'end'

/** Ends with `q`, Ctrl-C or SIGTERM. @throws QuantError 'usage' when there is nothing to watch. */
export async function watchCommand(given: WatchOptions): Promise<number> {
  // The same file for good: while an editor replaces it, one in a folder above must not take its place.
  const options = { ...given, file: findFile(given) }
  const pool = openWorkers(options)
  const wishes = openWishes()
  const rounds = openRounds(options, pool, (watched) => changes.follow(watched))
  const changes = openChanges(({ inputs }) => {
    if (inputs) void rounds.stopIfPointless()
    wishes.add('look')
  })
  const end = (): void => {
    wishes.add('end')
    rounds.stop()
  }
  const actions: Record<string, () => void> = {
    r: () => wishes.add('rebuild'),
    w: () => wishes.add('why'),
    q: end,
    '\x03': end,
  }
  const keys = listenToKeys((key) => actions[key]?.())
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  try {
    wishes.add('look')
    for (let wish = await wishes.next(); wish !== 'end'; wish = await wishes.next()) {
      if (wish === 'why') await rounds.tellWhy()
      // What changed meanwhile, and our own writes: the content tells.
      else if (await rounds.bring(wish === 'rebuild')) wishes.add('look')
    }
    return 0
  } finally {
    keys.close()
    process.off('SIGINT', end)
    process.off('SIGTERM', end)
    pool.close()
    await changes.close()
  }
}

function openWishes() {
  const wishes = new Set<Wish>()
  let wake = (): void => {}
  return {
    add(wish: Wish): void {
      wishes.add(wish)
      wake()
    },
    async next(): Promise<Wish> {
      while (wishes.size === 0)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      const wish = wishes.has('end') ? 'end' : [...wishes][0]!
      wishes.delete(wish)
      return wish
    },
  }
}

/** What rounds know of each other: what was seen, what was made, why. */
function openRounds(
  options: WatchOptions & { file: string },
  pool: OpenedProject['pool'],
  follow: (watched: Watched) => void,
) {
  const json = options.json === true
  const color = useColor(process.stdout, process.env)
  const colors = paint(color)
  const say = (text: string): void => void process.stdout.write(text)
  const tell = (event: object): void => say(`${JSON.stringify(event)}\n`)

  let count = 0
  /** The last look that was acted upon; undefined when the build that followed was stopped. */
  let acted: Sight | undefined
  let results: Results | undefined
  let last: { readonly stages: readonly Planned[]; readonly because: string } | undefined
  let running: { readonly sight: Sight; readonly stop: AbortController } | undefined

  /** Looks; builds when that is not what was seen last, or anyway. @returns whether it built */
  async function bring(anyway: boolean): Promise<boolean> {
    const stop = new AbortController()
    const workers = pool.until(stop.signal)
    let sight = await look(options, workers)
    if ('error' in sight.opened) {
      // A file that is just being written was perhaps seen half.
      await sleep(100)
      sight = await look(options, workers)
    }
    const { opened } = sight
    // Before the build, so that it can be stopped.
    follow(sight.watched)
    if (!anyway && acted && alike(acted, sight)) return false
    const before = acted
    acted = sight
    if ('error' in opened) {
      tellError(opened.error)
      return false
    }
    running = { sight, stop }
    try {
      await round(opened, stop.signal, before)
    } catch (error) {
      if (!(error instanceof QuantError && error.code === 'interrupted')) tellError(error)
      else {
        acted = undefined
        if (json) tell({ type: 'stopped' })
      }
    } finally {
      running = undefined
    }
    return true
  }

  async function round(opened: OpenedProject, signal: AbortSignal, before: Sight | undefined): Promise<void> {
    const { project, placeOfSetting } = opened
    const first = ++count === 1
    const planned = await plan(project)
    const because = firstReasons(planned)
    const recovered = before !== undefined && 'error' in before.opened
    const why = because.length > 0 ? reasonsText(because, placeOfSetting) : recovered ? 'quant.yaml is right again' : ''
    last = { stages: planned, because: why }
    if (!json && !first) say(`\n${colors.bold(why === '' ? 'again' : why)}\n`)
    const reporter = await chooseReporter({ json, stream: process.stdout, env: process.env })
    const emit: Emit = first || json ? reporter : onlyNews(reporter)
    try {
      const result = await build(project, {
        parallel: pool.size + 1,
        signal,
        emit,
        onWait: (pid) => void process.stderr.write(`waiting for another build here (process ${pid})\n`),
        lockFile: { path: lockPathOf(options.file), frozen: false },
      })
      reporter.stop()
      if (options.trace) for (const { error } of result.failed) process.stderr.write(`${error.stack}\n`)
      const good = result.failed.length + result.blocked.length === 0
      const judged = [...result.ran, ...result.fresh, ...result.restored].includes('verify')
      const now = good || judged ? readResults(artifactsIn(project.output)) : undefined
      const moved = results && now ? movements(results, now) : []
      if (json) tellRound(because, moved, placeOfSetting)
      else if (now && results) say(movementsText(moved, { color }))
      else if (judged) say(summarize(project))
      results = now ?? results
      // After a good build all is as it was recorded; what was edited since must show at the next look.
      if (acted) acted = { ...acted, damaged: good ? '' : (await look(options, pool)).damaged }
      if (first) startWaiting()
    } finally {
      reporter.stop()
    }
  }

  function startWaiting(): void {
    if (!json) say(`\nwatching; ${process.stdin.isTTY ? 'r rebuilds, w tells why, q ends' : 'Ctrl-C ends'}\n`)
    pool.warm()
  }

  function tellRound(because: readonly Reason[], moved: readonly Movement[], placeOf: PlaceOfSetting): void {
    tell({ type: 'round', because: because.map((reason) => reasonJson(reason, placeOf)), moved })
  }

  function tellError(error: unknown): void {
    const { stack, ...record } = errorRecord(error)
    if (json) tell({ type: 'error', error: options.trace ? { ...record, stack } : record })
    else {
      process.stderr.write(`\n${formatError(error, { color: useColor(process.stderr, process.env) })}\n`)
      if (options.trace) process.stderr.write(`${stack}\n`)
    }
  }

  return {
    bring,
    stop: () => running?.stop.abort(),
    /** A build that goes on with what is not so any more is in the way. */
    async stopIfPointless(): Promise<void> {
      const now = running
      if (!now) return
      const { reads } = await look(options, pool)
      if (reads !== now.sight.reads) now.stop.abort()
    },
    async tellWhy(): Promise<void> {
      if (json) return
      const { opened } = await look(options, pool)
      if ('error' in opened) return tellError(opened.error)
      const { project, placeOfSetting } = opened
      const lines = [
        ...(last
          ? [`last round: ${last.because || 'nothing was to be done'}`, ...whyLines(last.stages, placeOfSetting)]
          : []),
        ...nowLines(await plan(project), placeOfSetting),
      ]
      say(`\n${lines.join('\n')}\n`)
    },
  }
}

const alike = (a: Sight, b: Sight): boolean => a.reads === b.reads && a.damaged === b.damaged

/** What set stages going by itself, each once: not what follows from another stage. */
function firstReasons(planned: readonly Planned[]): Reason[] {
  const reasons = planned
    .flatMap(({ because }) => because)
    .filter(({ why }) => why !== 'upstream-stale' && why !== 'upstream-changed')
  return [...new Map(reasons.map((reason) => [JSON.stringify(reason), reason])).values()]
}

/** What is up to date was told in the first round. */
const onlyNews =
  (reporter: Emit): Emit =>
  (event) => {
    if (event.type !== 'planned' && event.type !== 'fresh') reporter(event)
  }

function whyLines(planned: readonly Planned[], placeOf: PlaceOfSetting): string[] {
  return planned
    .filter(({ would }) => would !== 'stay')
    .flatMap((one) => [`  ${one.stage.name} ${wouldWords[one.would]}`, ...causeLines(planned, one, placeOf, '    ')])
}

function nowLines(planned: readonly Planned[], placeOf: PlaceOfSetting): string[] {
  const lines = whyLines(planned, placeOf)
  return lines.length === 0 ? [`now: all ${planned.length} up to date`] : ['now:', ...lines]
}
