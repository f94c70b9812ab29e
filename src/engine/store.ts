/**
 * The content-addressed store: every output that was ever built, by the SHA-256 of its bytes, and for every stage key which
 * outputs it gave. Going back to an earlier state restores from here. It lies in the project's state folder, or is shared by projects.
 *
 *   objects/ab/cdef...   the bytes; the name is their SHA-256
 *   actions/ab/cdef...   by stage key, written after its objects: SHA-256 of the JSON, a blank, the JSON (ActionRecord and `made`,
 *                        ms since the epoch). The file's mtime says when a build last needed it, to half an hour
 *   memo/FAMILY/         see memo.ts
 *   projects/HASH        the state folder of a project that builds into this store: what its state needs, gc.ts keeps
 *
 * Everything is written aside, synced and renamed (or linked, whole, from a file that nobody writes to any more), so an object that
 * exists is whole, and any number of processes may build into one store. Outputs are copies, never links: an output edited by hand
 * cannot reach the store.
 */
import * as disk from '../disk.js'
import type { Warning } from '../events.js'
import { hashFile, sha256 } from './hash.js'
import { type Memo, openMemo, usedGraceMs } from './memo.js'

export interface ActionRecord {
  readonly stage: string
  /** Family of the pieces that the stage keeps in the memo. */
  readonly memo: string
  /** Path in the output folder -> SHA-256. */
  readonly outputs: Readonly<Record<string, string>>
  readonly warnings: readonly Warning[]
  readonly note: string
  /** How long it took. */
  readonly ms: number
}

export interface StoredAction extends ActionRecord {
  /** When it was recorded here, ms since the epoch. */
  readonly made: number
}

export interface Store {
  memo(family: string): Memo
  /** Takes a file in that nobody writes to any more. */
  put(path: string, digest: string): void
  has(digest: string): boolean
  /** Where an object is, or would be. */
  path(digest: string): string
  /** Puts the object's bytes at `path`. false, and the object is dropped, when it is damaged or absent. */
  restore(digest: string, path: string): Promise<boolean>
  size(digest: string): number
  /** The outputs that a key gave, if all of them are still here. */
  action(key: string): StoredAction | undefined
  recordAction(key: string, record: ActionRecord): void
  /** A build needed what this key gave: `quant gc` spares it for some time. */
  used(key: string): void
  /** Makes a project known, so that what its state needs is spared. */
  register(stateFolder: string): void
}

export function openStore(folder: string): Store {
  const objectPath = (digest: string): string => `${folder}/objects/${digest.slice(0, 2)}/${digest.slice(2)}`
  const actionPath = (key: string): string => `${folder}/actions/${key.slice(0, 2)}/${key.slice(2)}`
  const has = (digest: string): boolean => disk.exists(objectPath(digest))
  return {
    memo: (family) => openMemo(`${folder}/memo/${family}`),
    has,
    path: objectPath,
    put(path, digest) {
      // Touched, so that a gc that runs now, for another project, takes it for young.
      if (has(digest)) disk.touch(objectPath(digest), 0)
      else disk.linkAtomic(path, objectPath(digest))
    },
    size: (digest) => disk.stat(objectPath(digest))?.size ?? 0,
    async restore(digest, path) {
      const object = objectPath(digest)
      if (!disk.exists(object)) return false
      try {
        if ((await hashFile(object)).sha256 === digest) {
          disk.copyAtomic(object, path)
          return true
        }
        disk.remove(object)
      } catch (error) {
        if (has(digest)) throw error // Else collected meanwhile.
      }
      return false
    },
    action(key) {
      const path = actionPath(key)
      const record = readAction(path)
      if (!record) disk.remove(path)
      return record && Object.values(record.outputs).every(has) ? record : undefined
    },
    recordAction(key, record) {
      const json = JSON.stringify({ ...record, made: Number(disk.now() / 1_000_000n) } satisfies StoredAction)
      disk.writeAtomic(actionPath(key), `${sha256(json)} ${json}`)
    },
    used: (key) => disk.touch(actionPath(key), usedGraceMs),
    register(stateFolder) {
      const path = `${folder}/projects/${sha256(stateFolder).slice(0, 16)}`
      if (!disk.exists(path)) disk.writeAtomic(path, `${stateFolder}\n`)
    },
  }
}

/** undefined when the file is damaged, of an earlier form, or absent. */
export function readAction(path: string): StoredAction | undefined {
  const text = disk.ifThere(path, () => disk.readText(path))
  if (text === undefined) return undefined
  const [sum, json] = [text.slice(0, 64), text.slice(65)]
  if (sha256(json) !== sum) return undefined
  const record: unknown = JSON.parse(json)
  return isAction(record) && 'made' in record && typeof record.made === 'number'
    ? { ...record, made: record.made }
    : undefined
}

/** Whether a value that came from outside has the form of a record. */
export function isAction(value: unknown): value is ActionRecord {
  if (typeof value !== 'object' || value === null) return false
  const { stage, memo, outputs, warnings, note, ms } = value as Partial<Record<keyof ActionRecord, unknown>>
  return (
    [stage, memo, note].every((text) => typeof text === 'string') &&
    typeof ms === 'number' &&
    typeof outputs === 'object' &&
    outputs !== null &&
    Object.values(outputs).every((digest) => typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest)) &&
    Array.isArray(warnings) &&
    warnings.every(
      (warning: Partial<Warning> | null) =>
        typeof warning === 'object' && typeof warning?.about === 'string' && typeof warning.message === 'string',
    )
  )
}
