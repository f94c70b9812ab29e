/** For pipes and CI: lines that only ever get more, each of which says by itself what it is about. */
import { reviveError, unreachable } from '../errors.js'
import type { Emit, Event, Warning } from '../events.js'
import { paint, printable } from './color.js'
import { formatError } from './error.js'
import { reasonsText } from './reason.js'
import { byteSize, duration, noteText, remoteText, summary } from './words.js'

/**
 * A line per event; of progress only each further quarter.
 * @param write takes whole lines, with their newline.
 */
export function plainReporter(write: (text: string) => void, { color = false }: { color?: boolean } = {}): Emit {
  const colors = paint(color)
  const quarters = new Map<string, number>()
  const say = (stage: string, text: string) => write(`${colors.bold(stage)}: ${printable(text)}\n`)
  const warn = (stage: string, warnings: readonly Warning[]) => {
    for (const { about, message } of warnings)
      write(`${colors.bold(stage)}: ${colors.yellow('warning:')} ${printable(`${about}: ${message}`)}\n`)
  }
  return (event: Event) => {
    switch (event.type) {
      case 'planned':
        return write(`${event.stages.length} stages: ${event.stages.map(({ name }) => name).join(', ')}\n`)
      case 'fresh':
        say(event.stage, 'up to date')
        return warn(event.stage, event.warnings)
      case 'restored':
        say(
          event.stage,
          because(`restored from the ${event.remote ? 'remote store' : 'store'}, ${byteSize(event.bytes)}`, event),
        )
        return warn(event.stage, event.warnings)
      case 'started':
        quarters.delete(event.stage)
        return say(event.stage, because('runs', event))
      case 'progress': {
        const { stage, done, of, reused, unit } = event
        const quarter = Math.floor((4 * done) / of)
        if (!(quarter > (quarters.get(stage) ?? 0))) return
        quarters.set(stage, quarter)
        return say(stage, `${done}/${of} ${unit}${reused > 0 ? `, ${reused} reused` : ''}`)
      }
      case 'warned':
        return warn(event.stage, [event.warning])
      case 'finished': {
        const note = noteText(event)
        return say(event.stage, `done in ${duration(event.ms)}${note === '' ? '' : `: ${note}`}`)
      }
      case 'repeating':
        quarters.delete(event.stage)
        return say(event.stage, 'runs a second time')
      case 'repeated':
        return say(event.stage, `the same bytes, in ${duration(event.ms)}`)
      case 'failed':
        return write(
          `${colors.bold(event.stage)}: ${colors.red('failed')}\n${formatError(reviveError(event.error), { color })}\n`,
        )
      case 'blocked':
        return say(event.stage, `not run, because ${event.by} failed`)
      case 'remote-trouble':
        return write(`${colors.yellow('warning:')} ${printable(remoteText(event))}\n`)
      case 'remote':
        return write(`${printable(remoteText(event))}\n`)
      case 'done':
        return write(`${event.failed > 0 ? colors.red(summary(event)) : summary(event)}\n`)
      default:
        return unreachable(event)
    }
  }
}

const because = (text: string, event: Extract<Event, { type: 'started' | 'restored' }>) =>
  event.because.length === 0 ? text : `${text}: ${reasonsText(event.because)}`
