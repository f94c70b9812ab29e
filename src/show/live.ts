/**
 * For terminals. What is over goes into the scrollback, a line each; below it lives a small block with what is going on:
 *
 *     ✓ import  0.4 s  24 layers
 *     1 up to date
 *     ● calibrate  ━━━━━━━━━━────────── 45/100 pictures, 40 reused, 12 s left
 *     3 to go
 *
 * Events only change the state; a timer draws it ten times a second, so a thousand events a second cost nothing.
 */
import { createLogUpdate } from 'log-update'
import { reviveError, unreachable } from '../errors.js'
import type { Emit, Event, Warning } from '../events.js'
import { paint, printable, type Terminal } from './color.js'
import { formatError } from './error.js'
import { reasonsText } from './reason.js'
import { byteSize, duration, noteText, summary } from './words.js'

type Progress = Extract<Event, { type: 'progress' }>

interface Running {
  readonly started: number
  readonly because: string
  progress?: Progress
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
  let waiting = new Set<string>()
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
      ...(waiting.size > 0 ? [colors.dim(`${waiting.size} to go`)] : []),
    ]
    if (block.length > 0) log(block.join('\n'))
    else log.clear()
  }

  function runningLine(stage: string, { started, because, progress }: Running): string {
    const elapsed = performance.now() - started
    const head = `${colors.cyan('●')} ${stage}`
    const room = Math.max(0, width() - stage.length - 5)
    if (!progress) {
      const facts = [...(elapsed >= 1000 ? [duration(elapsed)] : []), because].filter((part) => part !== '').join('  ')
      return facts === '' ? head : `${head}  ${colors.dim(printable(facts).slice(0, room))}`
    }
    const counts = countsText(progress, elapsed)
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
        waiting = new Set(event.stages.map(({ name }) => name))
        break
      case 'fresh':
        fresh++
        waiting.delete(event.stage)
        warn(event.stage, event.warnings)
        break
      case 'restored':
        tell(colors.green('↺'), event.stage, `restored, ${byteSize(event.bytes)}`, reasonsText(event.because))
        warn(event.stage, event.warnings)
        break
      case 'started':
        waiting.delete(event.stage)
        running.set(event.stage, { started: performance.now(), because: reasonsText(event.because) })
        break
      case 'progress': {
        const state = running.get(event.stage)
        if (state) state.progress = event
        break
      }
      case 'warned':
        warn(event.stage, [event.warning])
        break
      case 'finished':
        tell(colors.green('✓'), event.stage, duration(event.ms), noteText(event))
        break
      case 'failed':
        tell(colors.red('✗'), event.stage, 'failed')
        finished.push(formatError(reviveError(event.error), { color }))
        break
      case 'blocked':
        tell(colors.yellow('-'), event.stage, `not run, because ${event.by} failed`)
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

/** Only pieces that were really computed tell how long the others take. */
function countsText({ done, of, reused, unit }: Progress, elapsed: number): string {
  const computed = done - reused
  const left = computed > 0 && elapsed > 1000 && done < of ? (elapsed / computed) * (of - done) : undefined
  return [
    `${done}/${of} ${unit}`,
    ...(reused > 0 ? [`${reused} reused`] : []),
    ...(left === undefined
      ? []
      : [`${left < 1000 ? '<1 s' : duration(Math.round(left / 1000) * 1000).replace('.0', '')} left`]),
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
