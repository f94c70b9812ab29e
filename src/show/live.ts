/**
 * For terminals. What is over goes into the scrollback, a line each; below it lives a small block with what is going on:
 *
 *     ✓ import  0.4 s  24 layers
 *     1 up to date
 *     ● calibrate  ━━━━━━━━━━────────── 45/100 pictures, 40 reused, 12 s left
 *     3 to go, about 40 s left
 *
 * Events only change the state; a timer draws it ten times a second, so a thousand events a second cost nothing.
 */
import { createLogUpdate } from 'log-update'
import { reviveError, unreachable } from '../errors.js'
import type { Emit, Event, Warning } from '../events.js'
import { paint, printable, type Terminal } from './color.js'
import { formatError } from './error.js'
import { reasonsText } from './reason.js'
import { byteSize, duration, noteText, remoteText, summary } from './words.js'

type Progress = Extract<Event, { type: 'progress' }>

interface Running {
  readonly started: number
  /** What it took last time. */
  readonly lastMs: number | undefined
  readonly because: string
  progress?: Progress
  /** When what it counts now began, and how much of it was computed by then: some stages count pictures first and layers later. */
  since: number
  before: number
}

export interface LiveReporter extends Emit {
  /** Draws what is left to draw and gives the cursor back. Safe to call at any time, also twice. */
  stop(): void
}

const hideCursor = '\u001b[?25l'
const showCursor = '\u001b[?25h'

export function liveReporter(stream: Terminal, { color = true }: { color?: boolean } = {}): LiveReporter {
  const colors = paint(color)
  const width = () => stream.columns || 80
  const log = createLogUpdate(screen(stream), { showCursor: true })
  const running = new Map<string, Running>()
  let finished: string[] = []
  let fresh = 0
  /** Stages that have not begun, and what they took last time. */
  let waiting = new Map<string, number | undefined>()
  let timer: NodeJS.Timeout | undefined

  const restoreCursor = () => void stream.write(showCursor)
  const begin = () => {
    if (timer) return
    stream.write(hideCursor)
    process.once('exit', restoreCursor)
    timer = setInterval(draw, 100)
    timer.unref()
  }
  const stop = () => {
    if (!timer) return
    clearInterval(timer)
    timer = undefined
    draw()
    log.done()
    restoreCursor()
    process.removeListener('exit', restoreCursor)
  }

  function draw() {
    if (finished.length > 0) {
      // Not by log.persist: that cuts what is higher than the terminal, and errors may be.
      log.clear()
      stream.write(`${finished.join('\n')}\n`)
      finished = []
    }
    const block = [
      ...(fresh > 0 ? [colors.dim(`${fresh} up to date`)] : []),
      ...[...running].map(([stage, state]) => runningLine(stage, state)),
      ...(waiting.size > 0 ? [colors.dim(`${waiting.size} to go${leftText()}`.slice(0, width() - 1))] : []),
    ]
    if (block.length > 0) log(block.join('\n'))
    else log.clear()
  }

  /** By the last runs of what waits, some of which may turn out to be up to date. Nothing where one never ran. */
  function leftText(): string {
    const waits = [...waiting.values()]
    const runs = [...running.values()].map((state) => {
      const { started, lastMs } = state
      return leftMs(state) ?? (lastMs === undefined ? undefined : Math.max(0, lastMs - (performance.now() - started)))
    })
    const all = [...waits, ...runs]
    if (!all.every((ms) => ms !== undefined)) return ''
    return `, about ${wholeSeconds(all.reduce((sum, ms) => sum + ms, 0))} left`
  }

  function runningLine(name: string, state: Running): string {
    const { started, lastMs, because, progress } = state
    const elapsed = performance.now() - started
    const stage = name.slice(0, Math.max(1, width() - 3))
    const head = `${colors.cyan('●')} ${stage}`
    const room = Math.max(0, width() - stage.length - 5)
    if (!progress) {
      const time = `${duration(elapsed)}${lastMs !== undefined && lastMs > elapsed ? ` of about ${duration(lastMs)}` : ''}`
      const facts = [...(elapsed >= 1000 ? [time] : []), because].filter((part) => part !== '').join('  ')
      return facts === '' ? head : `${head}  ${colors.dim(printable(facts).slice(0, room))}`
    }
    const counts = countsText(progress, leftMs(state))
    const bar = Math.min(20, room - counts.length - 1)
    if (bar < 5) return `${head}  ${counts.slice(0, room)}`
    const full = Math.round(bar * Math.min(1, progress.of > 0 ? progress.done / progress.of : 0))
    return `${head}  ${colors.cyan('━'.repeat(full))}${colors.dim('─'.repeat(bar - full))} ${counts}`
  }

  const tell = (mark: string, stage: string, ...facts: string[]) => {
    running.delete(stage)
    waiting.delete(stage)
    const rest = facts.filter((fact) => fact !== '').map((fact) => `  ${printable(fact)}`)
    finished.push(`${mark} ${stage}${colors.dim(rest.join(''))}`)
  }
  const warn = (stage: string, warnings: readonly Warning[]) => {
    for (const { about, message } of warnings)
      finished.push(`${colors.yellow('!')} ${stage}  ${printable(`${about}: ${message}`)}`)
  }

  const emit = (event: Event): void => {
    begin()
    switch (event.type) {
      case 'planned':
        waiting = new Map(event.stages.map(({ name, lastMs }) => [name, lastMs]))
        break
      case 'fresh':
        fresh++
        waiting.delete(event.stage)
        warn(event.stage, event.warnings)
        break
      case 'restored':
        tell(
          colors.green('↺'),
          event.stage,
          `restored${event.remote ? ' from the remote' : ''}, ${byteSize(event.bytes)}`,
          reasonsText(event.because),
        )
        warn(event.stage, event.warnings)
        break
      case 'started':
        running.set(event.stage, beginning(reasonsText(event.because), waiting.get(event.stage)))
        waiting.delete(event.stage)
        break
      case 'progress': {
        const state = running.get(event.stage)
        if (!state) break
        if (state.progress && state.progress.unit !== event.unit) {
          state.since = performance.now()
          state.before = event.done - event.reused
        }
        state.progress = event
        break
      }
      case 'warned':
        warn(event.stage, [event.warning])
        break
      case 'finished':
        tell(colors.green('✓'), event.stage, duration(event.ms), noteText(event))
        break
      case 'repeating':
        running.set(event.stage, beginning('a second time', undefined))
        break
      case 'repeated':
        tell(colors.green('='), event.stage, duration(event.ms), 'the same bytes')
        break
      case 'failed':
        tell(colors.red('✗'), event.stage, 'failed')
        finished.push(formatError(reviveError(event.error), { color }))
        break
      case 'blocked':
        tell(colors.yellow('-'), event.stage, `not run, because ${event.by} failed`)
        break
      case 'remote-trouble':
        finished.push(`${colors.yellow('!')} ${printable(remoteText(event))}`)
        break
      case 'remote':
        finished.push(colors.dim(printable(remoteText(event))))
        break
      case 'done':
        finished.push(event.failed > 0 ? colors.red(summary(event)) : colors.bold(summary(event)))
        fresh = 0
        waiting.clear()
        running.clear()
        stop()
        break
      default:
        unreachable(event)
    }
  }
  return Object.assign(emit, { stop })
}

function beginning(because: string, lastMs: number | undefined): Running {
  const started = performance.now()
  return { started, lastMs, because, since: started, before: 0 }
}

/** Only pieces that were really computed tell how long the others take, and not the very first. */
function leftMs({ progress, since, before }: Running): number | undefined {
  if (!progress) return undefined
  const { done, of, reused } = progress
  const computed = done - reused - before
  const elapsed = performance.now() - since
  return computed > 0 && elapsed > 1000 && done < of ? (elapsed / computed) * (of - done) : undefined
}

const wholeSeconds = (ms: number): string =>
  ms < 1000 ? '<1 s' : duration(Math.round(ms / 1000) * 1000).replace('.0', '')

function countsText({ done, of, reused, unit }: Progress, left: number | undefined): string {
  return [
    `${done}/${of} ${unit}`,
    ...(reused > 0 ? [`${reused} reused`] : []),
    ...(left === undefined ? [] : [`${wholeSeconds(left)} left`]),
  ].join(', ')
}

/** What log-update sees of the stream: a pseudo-terminal may have 0 columns and 0 rows, which would swallow everything. */
const screen = (stream: Terminal): NodeJS.WritableStream =>
  ({
    isTTY: stream.isTTY,
    write: (text: string) => stream.write(text),
    get columns() {
      return stream.columns || 80
    },
    get rows() {
      return stream.rows || 24
    },
  }) as unknown as NodeJS.WritableStream
