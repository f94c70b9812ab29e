/**
 * What a build that found nothing to do looked at, and what it said: `snapshot` in the state folder. While all looks the same, so will the next.
 * With it a build that has nothing to do stats files and reads nothing else: no quant.yaml, no state log, no content.
 *
 * One line: crc32 in hex, tab, JSON of `Snapshot`. Damaged or of another format is as good as absent; it can be deleted at any time.
 *
 * It must never say "nothing to do" where the build itself would find something. So
 *   - every build removes it before it does anything, and writes it only at its end, both under the lock;
 *   - files with a digest are taken from the records that the digests came with, not looked at again: an edit in between shows;
 *   - what was read without a digest (quant.yaml, lists, folders) must have been still since well before the build began;
 *   - nothing of it is written while a record is racy (see files.ts): the next build does.
 */
import { isAbsolute, join, relative, resolve } from 'node:path'
import { crc32 } from 'node:zlib'
import * as disk from '../disk.js'
import type { Event } from '../events.js'
import type { Workspace } from './examine.js'
import type { FileRecord } from './state.js'

/** What a build hangs on besides files. Only under equal circumstances a snapshot holds. */
export interface Circumstances {
  /** Digest of the program. */
  readonly program: string
  /** quant.yaml, absolute. */
  readonly file: string
  /** `NAME=value` of the variables that stand above quant.yaml. */
  readonly environment: readonly string[]
}

export interface Snapshot extends Circumstances {
  readonly format: number
  /** What that build told. */
  readonly events: readonly Event[]
  /** What it printed last, for people. */
  readonly epilogue: string
  /** By turns an absolute path and how it looked. */
  readonly looked: readonly string[]
}

const format = 1
/** As in files.ts: file times move in ticks. */
const grainNs = 2_000_000_000n

const pathIn = (state: string): string => join(state, 'snapshot')

/** Set by the bundler; running from the sources there is none, and no snapshot is written or believed. */
declare const QUANT_PROGRAM: string | undefined

/** @param env variables of the process; a token is no setting, and must not reach the disk. */
export function circumstances(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Circumstances | undefined {
  if (typeof QUANT_PROGRAM === 'undefined') return undefined
  const environment = Object.keys(env)
    .filter((name) => name.startsWith('QUANT_') && !name.endsWith('_TOKEN'))
    .sort()
    .map((name) => `${name}=${env[name]}`)
  return { program: QUANT_PROGRAM, file, environment }
}

/** What there is to say when nothing has changed; undefined when something may have. */
export function readSnapshot(state: string, now: Circumstances): Pick<Snapshot, 'events' | 'epilogue'> | undefined {
  try {
    const [sum, json] = disk.readText(pathIn(state)).split('\t', 2)
    if (json === undefined || sum !== checksum(json)) return undefined
    const was = JSON.parse(json) as Snapshot
    if (was.format !== format || was.program !== now.program || was.file !== now.file) return undefined
    if (was.environment.join('\0') !== now.environment.join('\0')) return undefined
    for (let i = 0; i < was.looked.length; i += 2)
      if (lookOf(disk.stat(was.looked[i]!)) !== was.looked[i + 1]) return undefined
    return was
  } catch {
    // Not there, not ours to read, a path that cannot be looked at: the build tells.
    return undefined
  }
}

export function dropSnapshot(state: string): void {
  disk.remove(pathIn(state))
}

export interface Ending {
  readonly circumstances: Circumstances
  /** By the disk's clock, before quant.yaml was read. */
  readonly since: bigint
  /** Files beside the project's own that the end of a build looks at, absolute. */
  readonly also: readonly string[]
  readonly epilogue: () => string
}

/**
 * At the end of a build in which every stage was fresh, under its lock.
 * @param events all that it told
 */
export function writeSnapshot(work: Workspace, ending: Ending, events: readonly Event[]): void {
  const looked = looksOf(work, ending)
  if (!looked || !events.every(({ type }) => type === 'planned' || type === 'fresh' || type === 'done')) return
  const snapshot: Snapshot = {
    ...ending.circumstances,
    format,
    events,
    epilogue: ending.epilogue(),
    looked: [...looked].flat(),
  }
  const json = JSON.stringify(snapshot)
  try {
    disk.writeAtomic(pathIn(work.project.state), `${checksum(json)}\t${json}`, { synced: false })
  } catch {
    // It only saves time. A disk that is full or in the way is told where it matters.
  }
}

/** Absolute path -> how it looked when it was read; undefined when that is not certain of all. */
function looksOf({ project, state }: Workspace, { since, also }: Ending): Map<string, string> | undefined {
  const looked = new Map<string, string>()
  const nameOf = (path: string): string => (isAbsolute(path) ? relative(project.root, path) : path)
  const keep = (path: string, look: string | undefined): boolean => {
    const full = resolve(project.root, path)
    const before = looked.get(full)
    if (look === undefined || (before !== undefined && before !== look)) return false
    looked.set(full, look)
    return true
  }
  const still = (path: string): string | undefined => {
    const at = disk.stat(path)
    return at && at.ctimeNs > since - grainNs ? undefined : lookOf(at)
  }
  const known = (path: string, digest: string | undefined): string | undefined => {
    if (digest === undefined) return disk.exists(resolve(project.root, path)) ? undefined : lookOf(undefined)
    const record = state.file(nameOf(path))
    return record && !record.racy && record.sha256 === digest ? lookOf(record) : undefined
  }
  for (const path of [...project.description, ...also]) if (!keep(path, still(path))) return undefined
  for (const stage of project.stages) {
    const record = state.stage(stage.name)
    if (!record) return undefined
    for (const file of stage.files) if (!keep(file, known(file, record.inputs[file]))) return undefined
    for (const [output, digest] of Object.entries(record.outputs)) {
      const path = join(project.output, output)
      if (!keep(path, known(path, digest))) return undefined
    }
  }
  const log = join(project.state, 'state.log')
  return keep(log, lookOf(disk.stat(log))) ? looked : undefined
}

/** Two files that look the same hold the same, by the rules of files.ts. Nothing there is a look, too. */
const lookOf = (at: disk.FileStat | FileRecord | undefined): string =>
  at === undefined ? '' : `${at.size} ${at.mtimeNs} ${at.ctimeNs} ${at.ino}`

const checksum = (json: string): string => crc32(json).toString(16).padStart(8, '0')
