/** Events in, words out: the one place that decides how a build is shown. */
import type { Emit } from '../events.js'
import { type Terminal, useColor } from './color.js'
import { jsonReporter } from './json.js'
import { plainReporter } from './plain.js'

export const reporterNames = ['live', 'plain', 'json', 'github'] as const
export type ReporterName = (typeof reporterNames)[number]

export interface Reporter extends Emit {
  /** To be called at the end, also after a failure or Ctrl-C: gives the terminal back. */
  stop(): void
  /** Tells an error that ended everything before or beside the stages; the command line prints it anyway. */
  fail?(error: unknown): void
  /** Takes the tables that are printed after the build. */
  figures?(text: string): void
}

interface Surroundings {
  readonly json: boolean
  readonly stream: Terminal
  readonly env: Readonly<Record<string, string | undefined>>
  /** What the user asked for. */
  readonly wanted?: ReporterName | undefined
}

/**
 * JSON when asked for; a live view in a terminal that can show one; annotations in GitHub's workflows; plain lines in pipes, in CI and in
 * dumb terminals.
 */
export function reporterName({ json, stream, env, wanted }: Surroundings): ReporterName {
  if (json) return 'json'
  if (wanted !== undefined) return wanted
  const inCI = env.CI !== undefined && !['', '0', 'false'].includes(env.CI)
  if (stream.isTTY === true) return inCI || env.TERM === 'dumb' ? 'plain' : 'live'
  return env.GITHUB_ACTIONS === 'true' ? 'github' : 'plain'
}

/** @param folders absolute: where relative paths in errors may begin, the likeliest first; for annotations. */
export async function chooseReporter({
  folders = [],
  ...surroundings
}: Surroundings & { readonly folders?: readonly string[] }): Promise<Reporter> {
  const { stream, env } = surroundings
  const color = useColor(stream, env)
  const write = (text: string) => void stream.write(text)
  // What only some need is loaded only there.
  switch (reporterName(surroundings)) {
    case 'json':
      return Object.assign(jsonReporter(write), { stop: () => {} })
    case 'live':
      return (await import('./live.js')).liveReporter(stream, { color })
    case 'github':
      return (await import('./github.js')).githubReporter(write, { folders, env })
    case 'plain':
      return Object.assign(plainReporter(write, { color }), { stop: () => {} })
  }
}
