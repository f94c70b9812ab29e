/**
 * The state log: what is known about stages and files, `state.log` in the state folder.
 *
 *   - It is appended to during a build that may be killed at any byte: a line counts only with its newline and its check sum;
 *     a torn tail is cut off before the next line is written, anything else that is damaged is skipped.
 *   - It is read whole at start. The last line about a stage or a file holds.
 *   - When most lines are superseded it is rewritten aside and renamed.
 *
 * First line: `quant state 1`. Any other number: forget everything (the store still answers by key).
 * Then one line each: crc32 of the JSON in hex, tab, JSON: {"stage":{...}} or {"file":[...]}.
 */
import { crc32 } from 'node:zlib'
import * as disk from '../disk.js'
import type { Warning } from '../events.js'
import type { Json, Reason } from './reason.js'

/** How the last good run of a stage was. */
export interface StageRecord {
  readonly stage: string
  readonly key: string
  readonly identity: string
  readonly params: Readonly<Record<string, Json>>
  /** Source files and outputs of other stages: name -> SHA-256. */
  readonly inputs: Readonly<Record<string, string>>
  readonly outputs: Readonly<Record<string, string>>
  readonly warnings: readonly Warning[]
  readonly note: string
  readonly ms: number
  /** What made it run (or be restored) then, the first few. Records of older versions lack it. */
  readonly because?: readonly Reason[]
  readonly restored?: boolean
}

/** A file that was hashed once: while its stat is the same, so is its content. Integers as decimal strings. */
export interface FileRecord {
  readonly path: string
  readonly size: number
  readonly mtimeNs: string
  readonly ctimeNs: string
  readonly ino: string
  readonly sha256: string
  readonly xxh64: string
  /** Hashed so soon after its last change that a later write may have the same times: not to be trusted by stat alone. */
  readonly racy: boolean
}

export interface State {
  stage(name: string): StageRecord | undefined
  /** All that are known. */
  stages(): readonly StageRecord[]
  file(path: string): FileRecord | undefined
  recordStage(record: StageRecord): void
  recordFiles(records: readonly FileRecord[]): void
  forgetStages(): void
}

const header = 'quant state 1\n'
const newline = 10

export function openState(folder: string): State {
  const path = `${folder}/state.log`
  const stages = new Map<string, StageRecord>()
  const files = new Map<string, FileRecord>()
  let lines = 0
  /** Length of the good beginning, or -1 when the file must be begun anew. */
  let good = -1

  // Lengths in bytes: where some are damaged, the text has others.
  const bytes = disk.exists(path) ? disk.readBytes(path) : new Uint8Array()
  const end = bytes.lastIndexOf(newline) + 1
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString()
  if (text.startsWith(header)) {
    good = end === bytes.length ? -2 : end
    for (const line of text.slice(header.length).split('\n')) take(line)
  }

  function take(line: string): void {
    const json = line.slice(9)
    if (line === '' || line.slice(0, 8) !== checksum(json)) return
    lines++
    const entry = JSON.parse(json) as { stage?: StageRecord; file?: FileRecord; forget?: true }
    if (entry.stage) stages.set(entry.stage.stage, entry.stage)
    if (entry.file) files.set(entry.file.path, entry.file)
    if (entry.forget) stages.clear()
  }

  function write(entries: readonly object[]): void {
    if (good === -1) disk.writeAtomic(path, header)
    else if (good >= 0) disk.truncate(path, good)
    good = -2
    disk.append(path, entries.map(toLine).join(''))
    lines += entries.length
    if (lines > 200 && lines > 4 * (stages.size + files.size)) compact()
  }

  function compact(): void {
    const entries = [
      ...[...files.values()].map((file) => ({ file })),
      ...[...stages.values()].map((stage) => ({ stage })),
    ]
    disk.writeAtomic(path, header + entries.map(toLine).join(''))
    lines = entries.length
  }

  return {
    stage: (name) => stages.get(name),
    stages: () => [...stages.values()],
    file: (path) => files.get(path),
    recordStage(record) {
      stages.set(record.stage, record)
      write([{ stage: record }])
    },
    recordFiles(records) {
      for (const record of records) files.set(record.path, record)
      if (records.length > 0) write(records.map((file) => ({ file })))
    },
    forgetStages() {
      stages.clear()
      write([{ forget: true }])
    },
  }
}

const checksum = (json: string): string => crc32(json).toString(16).padStart(8, '0')

function toLine(entry: object): string {
  const json = JSON.stringify(entry)
  return `${checksum(json)}\t${json}\n`
}
