/**
 * For GitHub's workflows: plain lines, with
 *
 *   - a folded group per stage that ran (https://docs.github.com/actions/reference/workflow-commands-for-github-actions):
 *     `::group::calibrate, 12.3 s: 37 thresholds`, what it told on the way, `::endgroup::`. Stages run side by side and groups cannot,
 *     so a stage is written when it is over;
 *   - an annotation per error and warning, `::error file=quant.yaml,line=23,col=11,title=calibrate::...`, which GitHub shows beside the
 *     line in the change; paths are relative to the checked-out repository, others are left out;
 *   - a summary in Markdown, appended to the file that $GITHUB_STEP_SUMMARY names.
 */
import { isAbsolute, relative, resolve } from 'node:path'
import * as disk from '../disk.js'
import { QuantError, reviveError } from '../errors.js'
import type { Emit, Event, Warning } from '../events.js'
import { formatError } from './error.js'
import type { Reporter } from './index.js'
import { plainReporter } from './plain.js'
import { reasonsText } from './reason.js'
import { byteSize, duration, noteText, summary } from './words.js'

interface GithubOptions {
  /** Where relative paths may begin, absolute, the likeliest first. */
  readonly folders: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

export function githubReporter(write: (text: string) => void, { folders, env }: GithubOptions): Reporter {
  const workspace = env.GITHUB_WORKSPACE || folders[0] || ''
  /** Of each stage that runs: what it told. */
  const told = new Map<string, string[]>()
  const rows: string[][] = []
  const problems: string[] = []

  const line = (text: string): void => write(`${harmless(text)}\n`)
  /** The words of the plain view. */
  const plain = (event: Event): string => {
    let text = ''
    plainReporter((piece) => {
      text += piece
    })(event)
    return text.trimEnd()
  }
  const summarise = (markdown: string): void => {
    if (env.GITHUB_STEP_SUMMARY) disk.append(env.GITHUB_STEP_SUMMARY, markdown)
  }

  function annotate(level: 'error' | 'warning', title: string, error: QuantError | Error, message: string): void {
    const place = error instanceof QuantError ? error.place : undefined
    const file = place && inWorkspace(place.file, folders, workspace)
    const { line: row, column, length } = place ?? {}
    const at =
      file === undefined
        ? {}
        : {
            file,
            ...(row === undefined ? {} : { line: row }),
            ...(row === undefined || column === undefined ? {} : { col: column }),
            ...(row === undefined || column === undefined || length === undefined
              ? {}
              : { endColumn: column + length }),
          }
    write(`${command(level, { ...at, title }, message)}\n`)
  }

  function fail(title: string, error: unknown): void {
    const known = error instanceof Error ? error : new Error(String(error))
    for (const one of known instanceof QuantError ? [known, ...known.more] : [known]) {
      const { hint, place } = one instanceof QuantError ? one : {}
      const where = place && !one.message.startsWith(place.file) ? `${place.file}: ` : ''
      // Of a file outside the repository the message has to tell: no place goes with it.
      const said =
        place && inWorkspace(place.file, folders, workspace) !== undefined ? one.message : `${where}${one.message}`
      annotate('error', title, one, [said, ...(hint === undefined ? [] : [hint])].join('\n'))
      problems.push(`**${cell(title)}**: ${cell(`${where}${one.message}`)}`)
    }
  }

  function warn(stage: string, warnings: readonly Warning[]): void {
    for (const { about, message } of warnings) {
      annotate('warning', stage, new Error(message), `${about}: ${message}`)
      problems.push(`${cell(stage)}: ${cell(`${about}: ${message}`)}`)
    }
  }

  function group(title: string, lines: readonly string[]): void {
    write(`::group::${escapeData(title)}\n`)
    for (const text of lines) line(text)
    write('::endgroup::\n')
  }

  const emit: Emit = (event) => {
    switch (event.type) {
      case 'progress':
        return
      case 'fresh':
        rows.push([event.stage, 'up to date', '', ''])
        return warn(event.stage, event.warnings)
      case 'restored':
        rows.push([event.stage, 'restored', byteSize(event.bytes), reasonsText(event.because)])
        line(plain({ ...event, warnings: [] }))
        return warn(event.stage, event.warnings)
      case 'started': {
        const text = plain(event)
        told.set(event.stage, [text])
        return line(text)
      }
      case 'warned':
        told.get(event.stage)?.push(plain(event))
        return warn(event.stage, [event.warning])
      case 'finished': {
        const note = noteText(event)
        rows.push([event.stage, 'ran', duration(event.ms), note])
        return group(
          `${event.stage}, ${duration(event.ms)}${note === '' ? '' : `: ${note}`}`,
          told.get(event.stage) ?? [],
        )
      }
      case 'failed': {
        const error = reviveError(event.error)
        rows.push([event.stage, 'failed', '', error.message])
        for (const text of [`${event.stage}: failed`, ...formatError(error).split('\n')]) line(text)
        return fail(event.stage, error)
      }
      case 'blocked':
        rows.push([event.stage, 'not run', '', `${event.by} failed`])
        return line(plain(event))
      case 'done':
        line(plain(event))
        return summarise(markdown(event, rows, problems))
      default:
        return line(plain(event))
    }
  }
  return Object.assign(emit, {
    stop: () => {},
    fail(error: unknown) {
      fail('quant', error)
      summarise(`### quant build failed\n\n${problems.map((text) => `- ${text}\n`).join('')}\n`)
    },
    figures: (text: string) => summarise(`\`\`\`text\n${text.trim().replaceAll('```', "'''")}\n\`\`\`\n\n`),
  })
}

function markdown(
  done: Extract<Event, { type: 'done' }>,
  rows: readonly (readonly string[])[],
  problems: readonly string[],
): string {
  const acted = rows.filter(([, what]) => what !== 'up to date')
  const lines = [
    `### quant build: ${cell(summary(done))}`,
    '',
    ...(acted.length === 0
      ? []
      : [
          '| stage | | | |',
          '| --- | --- | ---: | --- |',
          ...acted.map((row) => `| ${row.map(cell).join(' | ')} |`),
          '',
        ]),
    ...problems.map((text) => `- ${text}`),
    ...(problems.length > 0 ? [''] : []),
  ]
  return `${lines.join('\n')}\n`
}

/** Text that is only text in Markdown, also in a table. */
const cell = (text: string): string =>
  text.replaceAll(/\s+/g, ' ').replaceAll(/[\\`*_{}[\]<>|#&~]/g, (character) => `&#${character.charCodeAt(0)};`)

/** The path in the repository, with '/', or undefined for a file outside. */
function inWorkspace(file: string, folders: readonly string[], workspace: string): string | undefined {
  const candidates = isAbsolute(file) ? [file] : folders.map((folder) => resolve(folder, file))
  const full = candidates.find((path) => disk.exists(path)) ?? candidates[0]
  if (full === undefined) return undefined
  const path = relative(workspace, full).replaceAll('\\', '/')
  return path.startsWith('../') || isAbsolute(path) || path === '' ? undefined : path
}

const command = (name: string, properties: Readonly<Record<string, string | number>>, data: string): string =>
  `::${name} ${Object.entries(properties)
    .map(([key, value]) => `${key}=${escapeProperty(String(value))}`)
    .join(',')}::${escapeData(data)}`

const escapeData = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')

const escapeProperty = (text: string): string => escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')

/** What comes from files and names must not be taken for a command: those begin a line with `::`, old ones stand anywhere as `##[`. */
const harmless = (text: string): string => text.replaceAll(/^(\s*):(?=:)/gm, '$1: ').replaceAll('##[', '# #[')
