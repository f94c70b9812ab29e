/**
 * Pieces of a stage's work, kept by key: one picture's statistics, one layer's loss. Written as they come, so that an
 * interrupted stage, or one with ten more pictures, does only what is missing. Safe to use from several processes at once.
 *
 * One file per piece: 32 bytes SHA-256 of the content, then the content. A file that does not match is as good as absent. Its mtime
 * says when it was last used, to half an hour: by that `quant gc` finds what nobody needs any more. Pieces that are small and many share
 * a file: `records.ts`.
 */
import * as disk from '../disk.js'
import { sha256 } from './hash.js'
import { holdsRecords, openRecords, type Records } from './records.js'

export interface Memo {
  /** Folder of the pieces: hand it to a worker, which opens the memo again. */
  readonly folder: string
  has(key: string): boolean
  get(key: string): Uint8Array | undefined
  put(key: string, content: Uint8Array): void
  /** Small pieces that share a file, by a key of all that they have in common; read anew at each call. */
  records(key: string): Records
}

/** A use is noted when the last note is older: `quant gc` spares what is younger than an hour, so nothing that is just used goes. */
export const usedGraceMs = 1_800_000

/** A key of everything that the piece depends on. */
export const memoKey = (...parts: readonly (string | number)[]): string => sha256(JSON.stringify(parts))

export function openMemo(folder: string): Memo {
  const pathOf = (key: string): string => `${folder}/${key.slice(0, 2)}/${key.slice(2)}`
  const opened = new Map<string, Records>()
  return {
    folder,
    has(key) {
      const path = pathOf(key)
      if (!disk.exists(path)) return false
      disk.touch(path, usedGraceMs)
      return true
    },
    get(key) {
      const path = pathOf(key)
      const content = readPiece(path)
      if (content) disk.touch(path, usedGraceMs)
      else disk.remove(path)
      return content
    },
    put(key, content) {
      const file = Buffer.concat([Buffer.from(sha256(content), 'hex'), content])
      disk.writeAtomic(pathOf(key), file, { synced: false })
    },
    records(key) {
      const path = `${pathOf(key)}${recordsEnd}`
      const records = opened.get(path) ?? openRecords(path, (used) => disk.touch(used, usedGraceMs))
      opened.set(path, records)
      records.refresh()
      return records
    },
  }
}

/** Whether a file of the memo has what its readers take. */
export const isPiece = (path: string): boolean =>
  path.endsWith(recordsEnd) ? holdsRecords(path) : readPiece(path) !== undefined

const recordsEnd = '.records'

/** undefined when it is damaged or absent. */
function readPiece(path: string): Uint8Array | undefined {
  const file = disk.ifThere(path, () => disk.readBytes(path))
  if (!file) return undefined
  const content = file.subarray(32)
  return file.length >= 32 && sha256(content) === Buffer.from(file.subarray(0, 32)).toString('hex')
    ? content
    : undefined
}
