import type { Emit } from '../events.js'
import { paint, printable } from './color.js'
import { summary } from './words.js'

/** What the live view (live.ts) leaves in a terminal of a build that had nothing to do, without the libraries that it draws with. */
export function stillReporter(write: (text: string) => void, { color = true }: { color?: boolean } = {}): Emit {
  const colors = paint(color)
  return (event) => {
    if (event.type === 'done') write(`${colors.bold(summary(event))}\n`)
    if (event.type !== 'fresh') return
    for (const { about, message } of event.warnings)
      write(`${colors.yellow('!')} ${event.stage}  ${printable(`${about}: ${message}`)}\n`)
  }
}
