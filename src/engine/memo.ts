/**
 * Pieces of a stage's work, kept by key: one picture's statistics, one layer's loss. Written as they come, so that an
 * interrupted stage, or one with ten more pictures, does only what is missing. Safe to use from several processes at once.
 *
 * One file per piece: 32 bytes SHA-256 of the content, then the content. A file that does not match is as good as absent.
 */
import * as disk from '../disk.js'
import { sha256 } from './hash.js'

export interface Memo {
  /** Folder of the pieces: hand it to a worker, which opens the memo again. */
  readonly folder: string
  has(key: string): boolean
  get(key: string): Uint8Array | undefined
  put(key: string, content: Uint8Array): void
}

/** A key of everything that the piece depends on. */
export const memoKey = (...parts: readonly (string | number)[]): string => sha256(JSON.stringify(parts))

export function openMemo(folder: string): Memo {
  const pathOf = (key: string): string => `${folder}/${key.slice(0, 2)}/${key.slice(2)}`
  return {
    folder,
    has: (key) => disk.exists(pathOf(key)),
    get(key) {
      const path = pathOf(key)
      if (!disk.exists(path)) return undefined
      const file = disk.readBytes(path)
      const content = file.subarray(32)
      if (file.length < 32 || sha256(content) !== Buffer.from(file.subarray(0, 32)).toString('hex')) {
        disk.remove(path)
        return undefined
      }
      return content
    },
    put(key, content) {
      const file = Buffer.concat([Buffer.from(sha256(content), 'hex'), content])
      disk.writeAtomic(pathOf(key), file, { synced: false })
    },
  }
}
