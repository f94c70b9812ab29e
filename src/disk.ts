/**
 * The only way to touch files. Synchronous on purpose: a stat is several times cheaper than its promise, and everything
 * large happens in worker processes. Failures become QuantErrors that name the path.
 */
import {
  appendFileSync,
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { QuantError } from './errors.js'

export interface FileStat {
  readonly size: number
  readonly mtimeNs: bigint
  /** Moves with every write and cannot be set by programs: shows edits that put the old mtime back. */
  readonly ctimeNs: bigint
  readonly ino: bigint
  readonly directory: boolean
}

/** What the path is, following links, or undefined where there is nothing. */
export function stat(path: string): FileStat | undefined {
  try {
    const s = statSync(path, { bigint: true, throwIfNoEntry: false })
    if (!s) return undefined
    return { size: Number(s.size), mtimeNs: s.mtimeNs, ctimeNs: s.ctimeNs, ino: s.ino, directory: s.isDirectory() }
  } catch (error) {
    if (codeOf(error) === 'ENOTDIR') return undefined
    throw diskError(error, path, 'look at')
  }
}

export const exists = (path: string): boolean => stat(path) !== undefined

/** The clock that file times are compared with, in nanoseconds since the epoch. */
export const now = (): bigint => BigInt(Date.now()) * 1_000_000n

/** A true Uint8Array, not a Buffer: a Buffer's `slice` is a view where everybody expects a copy. */
export function readBytes(path: string): Uint8Array {
  const buffer = attempt(path, 'read', () => readFileSync(path))
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

export function readText(path: string): string {
  return attempt(path, 'read', () => readFileSync(path, 'utf8'))
}

/** What `use` makes of a file that others may delete at any moment; undefined when it is not there, or went away meanwhile. */
export function ifThere<T>(path: string, use: () => T): T | undefined {
  if (!exists(path)) return undefined
  try {
    return use()
  } catch (error) {
    if (exists(path)) throw error
    return undefined
  }
}

/** Calls `each` with the file's bytes in order, in chunks that are reused: memory does not grow with the file. */
export function readChunks(path: string, each: (chunk: Uint8Array) => void): void {
  attempt(path, 'read', () => {
    const fd = openSync(path, 'r')
    try {
      const buffer = new Uint8Array(1 << 18)
      for (let n = readSync(fd, buffer); n > 0; n = readSync(fd, buffer)) each(buffer.subarray(0, n))
    } finally {
      closeSync(fd)
    }
  })
}

/**
 * Writes a file that is only ever seen whole: aside, synced, renamed. Makes the folder. Unsynced it takes a hundredth of the time, and
 * the machine's power may fail before the content is on disk: for files that carry a digest of their own.
 */
export function writeAtomic(path: string, data: Uint8Array | string, { synced = true } = {}): void {
  attempt(path, 'write', () => {
    const aside = asidePath(path)
    mkdirSync(dirname(path), { recursive: true })
    try {
      const fd = openSync(aside, 'w')
      try {
        writeWhole(fd, typeof data === 'string' ? Buffer.from(data) : data)
        if (synced) fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
      renameSync(aside, path)
    } catch (error) {
      rmSync(aside, { force: true })
      throw error
    }
  })
}

/** Copies a file so that the target is only ever seen whole; shares blocks where the file system can (never the inode). */
export function copyAtomic(from: string, to: string): void {
  attempt(to, 'write', () => {
    const aside = asidePath(to)
    mkdirSync(dirname(to), { recursive: true })
    try {
      copyFileSync(from, aside, constants.COPYFILE_FICLONE)
      const fd = openSync(aside, 'r+')
      try {
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
      renameSync(aside, to)
    } catch (error) {
      rmSync(aside, { force: true })
      throw error
    }
  })
}

/**
 * Gives a file a second name where the file system can, else makes a copy: nobody may write to `from` any more. The target is only
 * ever seen whole; one that is there already stays.
 */
export function linkAtomic(from: string, to: string): void {
  attempt(to, 'write', () => {
    mkdirSync(dirname(to), { recursive: true })
    const fd = openSync(from, 'r+')
    try {
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    try {
      linkSync(from, to)
    } catch (error) {
      // Another file system, or one that knows no links.
      if (codeOf(error) !== 'EEXIST') copyAtomic(from, to)
    }
  })
}

/** A file that grows aside and is there, whole, only after `commit`. */
export interface Aside {
  write(chunk: Uint8Array): void
  /** Synced and renamed. */
  commit(): void
  /** Nothing remains; fine after `commit`, too. */
  drop(): void
}

/** One at a time per path and process. */
export function openAside(path: string): Aside {
  const aside = asidePath(path)
  let fd: number | undefined = attempt(path, 'write', () => {
    mkdirSync(dirname(path), { recursive: true })
    return openSync(aside, 'w')
  })
  return {
    write: (chunk) => attempt(path, 'write', () => writeWhole(fd!, chunk)),
    commit: () =>
      attempt(path, 'write', () => {
        fsyncSync(fd!)
        closeSync(fd!)
        fd = undefined
        renameSync(aside, path)
      }),
    drop() {
      if (fd !== undefined) closeSync(fd)
      fd = undefined
      rmSync(aside, { force: true })
    },
  }
}

/** Whether the name is that of a file aside: what a killed process leaves. */
export const isAside = (path: string): boolean => /^\..*\.\d+\.part$/.test(basename(path))

/** Moves the file's mtime to now, unless it lies less than `graceMs` back. A file that is gone or not ours stays as it is. */
export function touch(path: string, graceMs: number): void {
  try {
    const now = Date.now()
    if (now - statSync(path).mtimeMs >= graceMs) utimesSync(path, now / 1000, now / 1000)
  } catch {
    // Said for `quant gc` only.
  }
}

/** Appends: after this returns the text survives a crash, unless `synced` is false; killed before, a part of it may stand there. */
export function append(path: string, text: string, { synced = true } = {}): void {
  attempt(path, 'write', () => {
    mkdirSync(dirname(path), { recursive: true })
    const fd = openSync(path, 'a')
    try {
      appendFileSync(fd, text)
      if (synced) fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  })
}

export function truncate(path: string, length: number): void {
  attempt(path, 'write', () => truncateSync(path, length))
}

/** Makes the file only if there is none; false when there is one already. */
export function createExclusive(path: string, text: string): boolean {
  return attempt(path, 'write', () => {
    mkdirSync(dirname(path), { recursive: true })
    try {
      writeFileSync(path, text, { flag: 'wx' })
      return true
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false
      throw error
    }
  })
}

/** Bytes that an ordinary user may still write in that folder's file system. */
export function freeBytes(folder: string): number {
  return attempt(folder, 'look at', () => {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  })
}

export function makeFolder(path: string): void {
  attempt(path, 'make', () => mkdirSync(path, { recursive: true }))
}

/** A new folder for files that nobody else needs; the caller removes it. */
export function temporaryFolder(): string {
  return attempt(tmpdir(), 'make', () => mkdtempSync(join(tmpdir(), 'quant-')))
}

/** Removes a file or a whole folder; nothing there is fine. */
export function remove(path: string): void {
  attempt(path, 'remove', () => rmSync(path, { recursive: true, force: true }))
}

/** Removes the folders above a removed file, up to and including `top`, as long as they are empty. */
export function removeEmptyFolders(path: string, top: string): void {
  for (let folder = dirname(path); folder.startsWith(top); folder = dirname(folder)) {
    if (!exists(folder)) continue
    if (list(folder).length > 0) return
    attempt(folder, 'remove', () => rmdirSync(folder))
  }
}

/** Names in a folder, sorted by code unit, so that the order is the same everywhere. */
export function list(folder: string): string[] {
  return attempt(folder, 'list', () => readdirSync(folder).sort())
}

/**
 * Every file below a folder as paths relative to it with '/', sorted. Names that begin with a dot are left out.
 * @param onFolder told each folder below it, absolute as `folder` is
 */
export function listDeep(folder: string, onFolder: (path: string) => void = () => {}): string[] {
  const found: string[] = []
  const walk = (prefix: string): void => {
    for (const name of list(join(folder, prefix))) {
      if (name.startsWith('.')) continue
      const path = prefix === '' ? name : `${prefix}/${name}`
      const what = stat(join(folder, path))
      if (what?.directory) {
        onFolder(join(folder, path))
        walk(path)
      } else if (what) found.push(path)
    }
  }
  walk('')
  return found.sort()
}

/**
 * Every file below a folder, hidden ones too, sorted folder by folder; links to folders are not followed. What vanishes meanwhile, the
 * folder itself included, is passed over.
 */
export function walk(folder: string, each: (path: string, at: FileStat) => void): void {
  const names = stat(folder)?.directory
    ? attempt(folder, 'list', () => readdirSync(folder, { withFileTypes: true }))
    : []
  for (const entry of names.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      walk(path, each)
      continue
    }
    const at = stat(path)
    if (at && !at.directory) each(path, at)
  }
}

/** Removes from a folder what killed processes were about to move into place there. */
export function removeAsides(folder: string): void {
  if (!stat(folder)?.directory) return
  for (const name of list(folder)) if (isAside(name)) remove(join(folder, name))
}

const asidePath = (path: string): string => join(dirname(path), `.${basename(path)}.${process.pid}.part`)

function writeWhole(fd: number, data: Uint8Array): void {
  let at = 0
  while (at < data.length) at += writeSync(fd, data, at)
}

const codeOf = (error: unknown): string | undefined => (error as { code?: string } | undefined)?.code

function attempt<T>(path: string, verb: string, fn: () => T): T {
  try {
    return fn()
  } catch (error) {
    throw diskError(error, path, verb)
  }
}

const reasons: Record<string, [what: string, hint: string]> = {
  ENOENT: ['there is no such file or folder', 'check the path; paths in quant.yaml are relative to it'],
  EACCES: ['permission denied', 'check who owns it and its mode'],
  EPERM: ['permission denied', 'check who owns it and its mode'],
  EROFS: ['the file system is read-only', 'choose another `output`, or another place for the project'],
  ENOSPC: ['the disk is full', 'free some space; what was built so far is kept'],
  EISDIR: ['it is a folder', 'name a file'],
  EEXIST: ['a file stands where a folder should be', 'move it away, or choose another `output`'],
  ENOTDIR: ['a part of the path is a file', 'check the path'],
  EIO: ['the system reports an input/output error', 'check the disk, or take the file out'],
  EMFILE: ['too many open files', 'raise the limit (ulimit -n)'],
}

function diskError(error: unknown, path: string, verb: string): unknown {
  if (error instanceof QuantError) return error
  const code = codeOf(error)
  if (code === undefined) return error
  const [what, hint] = reasons[code] ?? [String((error as Error).message), undefined]
  return new QuantError('disk', `cannot ${verb} ${path}: ${what}`, { hint, cause: error })
}
