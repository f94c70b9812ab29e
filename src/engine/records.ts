/**
 * Many small pieces of one family in one file, for where a file each would cost more than making them: the losses of a network, thousands of
 * some fifty bytes. Several processes append at once, and any may be killed at any byte.
 *
 *   <newline>KEY CONTENT CHECK<newline>      content in base64; check: the first 16 hex digits of the SHA-256 of `KEY CONTENT`
 *
 * The newline in front parts a record from what a killed process left half written. Lines that do not hold are as good as absent, and of
 * two with one key the first counts. The mtime says when the file was last used, as for pieces of their own (`memo.ts`).
 */
import * as disk from '../disk.js'
import { sha256 } from './hash.js'

export interface Records {
  readonly path: string
  /** Of what stood in the file at the last `refresh`. */
  get(key: string): Uint8Array | undefined
  /** Reads what was appended since, by anybody. */
  refresh(): void
}

export function openRecords(path: string, useNoted: (path: string) => void): Records {
  const known = new Map<string, Uint8Array>()
  let read = 0
  const refresh = (): void => {
    const bytes = disk.ifThere(path, () => disk.readBytes(path))
    // Shorter than it was: somebody deleted it and another began anew. What it said holds for ever.
    if (!bytes || bytes.length < read) read = 0
    if (!bytes) return
    const end = bytes.lastIndexOf(newline) + 1
    for (const line of text(bytes.subarray(read, Math.max(read, end))).split('\n')) {
      const record = readRecord(line)
      if (record && !known.has(record.key)) known.set(record.key, record.content)
    }
    read = Math.max(read, end)
    useNoted(path)
  }
  return { path, get: (key) => known.get(key), refresh }
}

/** One record, whole at once: after this returns it survives the death of the process. */
export function appendRecord(path: string, key: string, content: Uint8Array): void {
  const body = `${key} ${Buffer.from(content).toString('base64')}`
  disk.append(path, `\n${body} ${checkOf(body)}\n`, { synced: false })
}

/** Whether any line holds. */
export const holdsRecords = (path: string): boolean =>
  disk.ifThere(path, () => disk.readText(path).split('\n').some(readRecord)) ?? false

function readRecord(line: string): { key: string; content: Uint8Array } | undefined {
  const end = line.lastIndexOf(' ')
  const body = line.slice(0, end)
  const middle = body.indexOf(' ')
  if (end < 0 || middle < 0 || line.slice(end + 1) !== checkOf(body)) return undefined
  return { key: body.slice(0, middle), content: new Uint8Array(Buffer.from(body.slice(middle + 1), 'base64')) }
}

const newline = 10
const checkOf = (body: string): string => sha256(body).slice(0, 16)
const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
