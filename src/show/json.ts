import type { Emit } from '../events.js'

/** One event per line, as it is in `events.ts`; stack traces stay out. */
export const jsonReporter =
  (write: (text: string) => void): Emit =>
  (event) =>
    write(
      `${JSON.stringify(event.type === 'failed' ? { ...event, error: { ...event.error, stack: undefined } } : event)}\n`,
    )
