/**
 * The content-addressed store: every output that was ever built, by the SHA-256 of its bytes, and for every stage key which
 * outputs it gave. Going back to an earlier state restores from here.
 *
 *   objects/ab/cdef...   the bytes; the name is their SHA-256
 *   actions/ab/cdef...   one line of JSON (ActionRecord) by stage key, written after its objects
 *   memo/                see memo.ts
 *
 * Everything is written aside, synced and renamed, so an object that exists is whole. Outputs are copies, never links: an output edited by
 * hand cannot reach the store.
 */
import * as disk from '../disk.js'
import type { Warning } from '../events.js'
import { hashFile, sha256 } from './hash.js'
import { type Memo, openMemo } from './memo.js'

export interface ActionRecord {
  readonly outputs: Readonly<Record<string, string>>
  readonly warnings: readonly Warning[]
  readonly note: string
  readonly ms: number
}

export interface Store {
  readonly memo: Memo
  /** Takes a copy of the file in. */
  put(path: string, digest: string): void
  has(digest: string): boolean
  /** Puts the object's bytes at `path`. false, and the object is dropped, when it is damaged or absent. */
  restore(digest: string, path: string): Promise<boolean>
  size(digest: string): number
  /** The outputs that a key gave, if all of them are still here. */
  action(key: string): ActionRecord | undefined
  recordAction(key: string, record: ActionRecord): void
}

export function openStore(folder: string): Store {
  const objectPath = (digest: string): string => `${folder}/objects/${digest.slice(0, 2)}/${digest.slice(2)}`
  const actionPath = (key: string): string => `${folder}/actions/${key.slice(0, 2)}/${key.slice(2)}`
  const has = (digest: string): boolean => disk.exists(objectPath(digest))
  return {
    memo: openMemo(`${folder}/memo`),
    has,
    put(path, digest) {
      if (!has(digest)) disk.copyAtomic(path, objectPath(digest))
    },
    size: (digest) => disk.stat(objectPath(digest))?.size ?? 0,
    async restore(digest, path) {
      const object = objectPath(digest)
      if (!disk.exists(object)) return false
      if ((await hashFile(object)).sha256 !== digest) {
        disk.remove(object)
        return false
      }
      disk.copyAtomic(object, path)
      return true
    },
    action(key) {
      const path = actionPath(key)
      if (!disk.exists(path)) return undefined
      const [sum, json] = splitOnce(disk.readText(path))
      if (sha256(json) !== sum) {
        disk.remove(path)
        return undefined
      }
      const record = JSON.parse(json) as ActionRecord
      return Object.values(record.outputs).every(has) ? record : undefined
    },
    recordAction(key, record) {
      const json = JSON.stringify(record)
      disk.writeAtomic(actionPath(key), `${sha256(json)} ${json}`)
    },
  }
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf(' ')
  return [text.slice(0, at), text.slice(at + 1)]
}
