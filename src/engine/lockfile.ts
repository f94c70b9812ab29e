/**
 * The lock file: what a build of everything read, by which tools and settings, and the digests of what came out. It lies beside
 * the description (quant.yaml: quant.lock) and is committed with it; `quant build --frozen` fails where something is not as it says.
 *
 * YAML with every value as JSON on its line, so that equal builds give equal bytes and a merge shows what differs:
 *
 *     # Written by quant ...
 *     lock: 1
 *     quant: "0.1.0"                  the version that wrote it: for readers, never compared
 *     files:                          every file that a stage reads and none writes, sorted
 *       pictures/p1.png: "3f2a..."    SHA-256; paths relative to the description's folder, with '/'
 *     stages:                         in the order of the build
 *       calibrate:
 *         tool: "calibrate 1"         Stage.identity
 *         settings:                   Stage.params
 *           calibration.method: "kl"
 *         outputs:                    SHA-256; paths relative to the output folder
 *           tiny_cali_table: "9c01..."
 */
import { basename, dirname, extname, isAbsolute, join, relative, resolve } from 'node:path'
import * as disk from '../disk.js'
import { type Place, QuantError } from '../errors.js'
import { version } from '../version.js'
import type { Workspace } from './examine.js'
import { canonical } from './hash.js'
import type { Json } from './reason.js'
import type { Project, Stage } from './stage.js'
import type { State } from './state.js'

export interface LockedStage {
  readonly tool: string
  readonly settings: Readonly<Record<string, Json>>
  /** Path in the output folder -> SHA-256. */
  readonly outputs: Readonly<Record<string, string>>
}

export interface LockFile {
  /** Source file, relative to the project -> SHA-256. */
  readonly files: Readonly<Record<string, string>>
  readonly stages: Readonly<Record<string, LockedStage>>
}

/** Stage -> path -> SHA-256; undefined for a stage that did not end well. */
type Outputs = ReadonlyMap<string, Readonly<Record<string, string>> | undefined>

/** One thing that is not as the lock file says; undefined on the side where it does not exist. */
interface Difference {
  readonly what: string
  readonly locked: string | undefined
  readonly here: string | undefined
}

/** Where the lock file of a description lies: beside it. */
export const lockPathOf = (description: string): string =>
  join(dirname(description), `${basename(description, extname(description))}.lock`)

/** What the lock file says after a build in which every stage of the project ended well. */
function lockOf(project: Project, state: State): LockFile {
  const files: Record<string, string> = {}
  const stages: Record<string, LockedStage> = {}
  for (const stage of project.stages) {
    const { identity, params, inputs, outputs } = state.stage(stage.name)!
    for (const file of stage.files) if (inputs[file] !== undefined) files[nameOf(project, file)] = inputs[file]
    stages[stage.name] = { tool: identity, settings: params, outputs }
  }
  return { files, stages }
}

/** Writes the lock file, unless it says just that already: a file that did not change is not touched. */
export function writeLock(path: string, project: Project, state: State): void {
  const text = lockText(lockOf(project, state))
  if (!disk.exists(path) || disk.readText(path) !== text) disk.writeAtomic(path, text)
}

/**
 * Holds a build to its lock file.
 * @param stages all of the project, or those that are wanted with all that they need
 * @returns to be asked at the end: the error when outputs are not as the lock file says
 * @throws QuantError 'frozen' before anything runs, when files, tools, settings or names of outputs are not.
 */
export async function holdTo(
  path: string,
  work: Workspace,
  stages: readonly Stage[],
): Promise<(outputs: Outputs) => QuantError | undefined> {
  const lock = await readLock(path)
  const before = await unlikeBefore(work, stages, lock)
  work.files.flush()
  if (before.length > 0)
    throw frozenError(path, before, '`quant build` without --frozen takes what is here, and writes it anew')
  return (outputs) => {
    const after = unlikeAfter(outputs, lock)
    return after.length === 0
      ? undefined
      : frozenError(
          path,
          after,
          'the inputs are the same: another kind of machine, or a stage that is not repeatable (--twice tells)',
        )
  }
}

/**
 * @throws QuantError 'frozen', with its place, when the file is absent or is not what quant writes.
 */
async function readLock(path: string): Promise<LockFile> {
  const file = basename(path)
  if (!disk.exists(path))
    throw new QuantError('frozen', `there is no ${file}`, { hint: '`quant build` writes it; commit it' })
  return parseLock(disk.readText(path), file)
}

/** @throws QuantError 'frozen' with a place in `file`. */
export async function parseLock(text: string, file: string): Promise<LockFile> {
  const broken = (message: string, place: Place, hint = '`quant build` without --frozen writes it anew'): never => {
    throw new QuantError('frozen', `${file}: ${message}`, { place, hint })
  }
  const lines = text.split('\n')
  const conflict = lines.findIndex((line) => /^(<{7}|={7}|>{7})( |$)/.test(line))
  if (conflict >= 0)
    broken(
      'a merge left its conflict here',
      { file, line: conflict + 1, column: 1, length: 7, text: lines[conflict]! },
      '`quant build` without --frozen writes it anew for the merged project',
    )
  // The parser is loaded only where a lock file has to be read.
  const { LineCounter, parseDocument } = await import('yaml')
  const counter = new LineCounter()
  const doc = parseDocument(text, { lineCounter: counter, prettyErrors: false, logLevel: 'silent' })
  const [error] = doc.errors
  if (error) {
    const { line, col } = counter.linePos(error.pos[0])
    broken(error.message, { file, line, column: col, text: lines[line - 1] ?? '' })
  }
  const first = { file, line: 1, column: 1 }
  let value: unknown
  try {
    value = doc.toJS({ maxAliasCount: 0 })
  } catch {
    return broken('it has aliases, which quant never writes', first)
  }
  if (!isRecord(value)) return broken('it is not a lock file', first)
  if (value.lock !== 1) broken(`this quant reads \`lock: 1\`, it says ${JSON.stringify(value.lock)}`, first)
  const { files, stages } = value
  const good = isDigests(files) && isRecord(stages) && Object.values(stages).every(isStage)
  return good
    ? { files, stages: stages as LockFile['stages'] }
    : broken('a part of it is missing or of another kind', first)
}

/** The bytes of the lock file: equal content, equal bytes. */
export function lockText({ files, stages }: LockFile): string {
  // JSON is YAML.
  const map = (values: Readonly<Record<string, Json>>, indent: string): string => {
    const keys = Object.keys(values).sort()
    return keys.length === 0
      ? ' {}\n'
      : `\n${keys.map((key) => `${keyText(key, indent)} ${canonical(values[key])}\n`).join('')}`
  }
  const blocks = Object.entries(stages).map(
    ([name, { tool, settings, outputs }]) =>
      `${keyText(name, '  ')}\n    tool: ${canonical(tool)}\n` +
      `    settings:${map(settings, '      ')}    outputs:${map(outputs, '      ')}`,
  )
  return (
    '# Written by `quant build`: what it read, and the digests of what came out. Commit it: `quant build --frozen` holds builds to it.\n' +
    `lock: 1\nquant: ${canonical(version)}\nfiles:${map(files, '  ')}` +
    `stages:${blocks.length === 0 ? ' {}\n' : `\n${blocks.join('')}`}`
  )
}

/** What is surely text in YAML stays plain; any other key is quoted, and past YAML's limit for short keys made explicit. */
function keyText(key: string, indent: string): string {
  const plain = /^(\.\.\/)*[A-Za-z_][\w./:-]*\w$/.test(key) && !/^(true|false|null)$/i.test(key)
  const text = plain ? key : JSON.stringify(key)
  return text.length < 1000 ? `${indent}${text}:` : `${indent}? ${text}\n${indent}:`
}

/**
 * Whether files, tools, settings and output names are as the lock file says, before anything is built.
 * @param stages all of the project, or those that are wanted with all that they need
 */
async function unlikeBefore(work: Workspace, stages: readonly Stage[], lock: LockFile): Promise<Difference[]> {
  const { project } = work
  const whole = stages.length === project.stages.length
  const found: Difference[] = []
  const add = (what: string, locked: string | undefined, here: string | undefined): void => {
    if (locked !== here) found.push({ what, locked, here })
  }
  const files = new Map(stages.flatMap((stage) => stage.files).map((file) => [nameOf(project, file), file]))
  // Of a part of the project nobody knows which locked files belong to it: what is gone is told by a build of everything.
  for (const name of new Set([...files.keys(), ...(whole ? Object.keys(lock.files) : [])])) {
    const file = files.get(name)
    add(name, lock.files[name], file === undefined ? undefined : await work.files.digest(file))
  }
  if (whole)
    for (const name of Object.keys(lock.stages))
      if (!stages.some((stage) => stage.name === name)) add(`stage ${name}`, 'there', undefined)
  for (const stage of stages) {
    const locked = lock.stages[stage.name]
    if (!locked) {
      add(`stage ${stage.name}`, undefined, 'there')
      continue
    }
    add(`${stage.name}: tool`, locked.tool, stage.identity)
    for (const at of new Set([...Object.keys(locked.settings), ...Object.keys(stage.params)]))
      add(`${stage.name}: ${at}`, optional(locked.settings[at]), optional(stage.params[at]))
    for (const path of new Set([...Object.keys(locked.outputs), ...stage.outputs])) {
      const [was, is] = [path in locked.outputs, stage.outputs.includes(path)]
      if (was !== is) add(`${stage.name}: output ${path}`, was ? 'there' : undefined, is ? 'there' : undefined)
    }
  }
  return found
}

/** Whether what the stages gave is what the lock file says. */
function unlikeAfter(outputs: Outputs, lock: LockFile): Difference[] {
  return [...outputs].flatMap(([name, made]) =>
    Object.entries(made ?? {}).flatMap(([path, here]) => {
      const locked = lock.stages[name]?.outputs[path]
      return locked === here ? [] : [{ what: `${name}: output ${path}`, locked, here }]
    }),
  )
}

/** The error that names them, both sides each: the first ten. */
function frozenError(path: string, differences: readonly Difference[], hint: string): QuantError {
  const file = basename(path)
  const shown = differences
    .slice(0, 10)
    .map(({ what, locked, here }) => `${what}: ${short(locked)} in ${file}, ${short(here)} here`)
  const rest = differences.length - shown.length
  const count = differences.length === 1 ? 'one thing is' : `${differences.length} things are`
  return new QuantError('frozen', `${count} not as ${file} says`, {
    hint: [...shown, ...(rest > 0 ? [`and ${rest} more`] : []), hint].join('\n'),
  })
}

/** Eight digits tell two digests apart. */
function short(text: string | undefined): string {
  if (text === undefined) return 'absent'
  if (/^[0-9a-f]{64}$/.test(text)) return text.slice(0, 8)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

const optional = (value: Json | undefined): string | undefined => (value === undefined ? undefined : canonical(value))

/** Relative to the project where there is a way (on Windows none leads to another drive), with '/' everywhere. */
function nameOf({ root }: Project, file: string): string {
  const path = relative(root, resolve(root, file))
  return isAbsolute(path) ? path : path.replaceAll('\\', '/')
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isDigests = (value: unknown): value is Record<string, string> =>
  isRecord(value) && Object.values(value).every((digest) => typeof digest === 'string')

const isStage = (value: unknown): value is LockedStage =>
  isRecord(value) && typeof value.tool === 'string' && isRecord(value.settings) && isDigests(value.outputs)
