/** Events in, words out: the one place that decides how a build is shown. */
import type { Emit } from '../events.js'
import { type Terminal, useColor } from './color.js'
import { jsonReporter } from './json.js'
import { plainReporter } from './plain.js'

export interface Reporter extends Emit {
  /** To be called at the end, also after a failure or Ctrl-C: gives the terminal back. */
  stop(): void
}

/** JSON when asked for; a live view in a terminal that can show one; plain lines in pipes, in CI and in dumb terminals. */
export async function chooseReporter({
  json,
  stream,
  env,
}: {
  json: boolean
  stream: Terminal
  env: Readonly<Record<string, string | undefined>>
}): Promise<Reporter> {
  const color = useColor(stream, env)
  const write = (text: string) => void stream.write(text)
  const inCI = env.CI !== undefined && !['', '0', 'false'].includes(env.CI)
  if (json) return Object.assign(jsonReporter(write), { stop: () => {} })
  if (stream.isTTY === true && !inCI && env.TERM !== 'dumb') {
    // Its libraries are loaded only where something can be drawn.
    const { liveReporter } = await import('./live.js')
    return liveReporter(stream, { color })
  }
  return Object.assign(plainReporter(write, { color }), { stop: () => {} })
}
