/**
 * File content -> SHA-256, without reading what was read before. A file whose size, times and inode are the same has the same
 * content, except when it was hashed within the clock's grain of its last change: such a record is not trusted.
 */
import { isAbsolute, join, relative } from 'node:path'
import * as disk from '../disk.js'
import { hashFile, quickHashFile } from './hash.js'
import type { FileRecord, State } from './state.js'

/** Kernel file times move in ticks of up to 10 ms; network file systems are coarser. */
const grainNs = 2_000_000_000n

export interface Files {
  /** SHA-256 of a file (relative to the root or absolute), or undefined where there is none. */
  digest(path: string): Promise<string | undefined>
  /** Tells the content of a file that was just written by us. */
  learn(path: string, sha256: string): Promise<void>
  /** Writes what was learnt to the state log. */
  flush(): void
}

export function openFiles(root: string, state: State): Files {
  const learnt = new Map<string, FileRecord>()
  const nameOf = (path: string): string => (isAbsolute(path) ? relative(root, path) : path)
  const known = (name: string): FileRecord | undefined => learnt.get(name) ?? state.file(name)

  function keep(name: string, at: disk.FileStat, hashes: { sha256: string; xxh64: string }): string {
    learnt.set(name, {
      path: name,
      size: at.size,
      mtimeNs: String(at.mtimeNs),
      ctimeNs: String(at.ctimeNs),
      ino: String(at.ino),
      sha256: hashes.sha256,
      xxh64: hashes.xxh64,
      racy: disk.now() - at.ctimeNs < grainNs,
    })
    return hashes.sha256
  }

  async function digest(path: string): Promise<string | undefined> {
    const name = nameOf(path)
    const full = join(root, name)
    const at = disk.stat(full)
    if (!at || at.directory) return undefined
    const before = known(name)
    if (before && sameStat(before, at) && !before.racy) return before.sha256
    // The stat is taken before the reading: a write in between leaves a record that does not match, never one that lies.
    if (before && before.size === at.size) {
      const quick = await quickHashFile(full)
      if (quick === before.xxh64) return keep(name, at, before)
    }
    return keep(name, at, await hashFile(full))
  }

  return {
    digest,
    async learn(path, sha256) {
      const name = nameOf(path)
      const at = disk.stat(join(root, name))
      if (!at) return
      // Written by a rename of our own: an inode that nobody else has seen can only be changed after this moment.
      keep(name, at, { sha256, xxh64: await quickHashFile(join(root, name)) })
    },
    flush() {
      const fresh = [...learnt.values()].filter((record) => !equalRecords(record, state.file(record.path)))
      learnt.clear()
      state.recordFiles(fresh)
    },
  }
}

function sameStat(record: FileRecord, at: disk.FileStat): boolean {
  return (
    record.size === at.size &&
    record.mtimeNs === String(at.mtimeNs) &&
    record.ctimeNs === String(at.ctimeNs) &&
    record.ino === String(at.ino)
  )
}

function equalRecords(a: FileRecord, b: FileRecord | undefined): boolean {
  return b !== undefined && JSON.stringify(a) === JSON.stringify(b)
}
