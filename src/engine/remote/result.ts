/**
 * What lies under /ac/<key>: an ActionResult of the Remote Execution API (build.bazel.remote.execution.v2), so that servers which look
 * into what they keep, as bazel-remote does, take it:
 *
 *   output_files = 2: { path = 1, digest = 2: { hash = 1, size_bytes = 2 } }    one per output
 *   exit_code = 4     0, which protobuf does not write
 *   stdout_raw = 5    JSON: {"key": <key>, ...ActionRecord}
 *
 * Field numbers: remote_execution.proto, message ActionResult, OutputFile, Digest. Other fields are passed over.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { type ActionRecord, isAction } from '../store.js'

export interface RemoteResult {
  readonly action: ActionRecord
  /** Bytes of each object, by digest. */
  readonly sizes: ReadonlyMap<string, number>
}

export function encodeResult(key: string, { action, sizes }: RemoteResult): Uint8Array {
  const writer = new BinaryWriter()
  for (const [path, digest] of Object.entries(action.outputs)) {
    writer.tag(2, WireType.LengthDelimited).fork()
    writer.tag(1, WireType.LengthDelimited).string(path)
    writer.tag(2, WireType.LengthDelimited).fork()
    writer.tag(1, WireType.LengthDelimited).string(digest)
    writer.tag(2, WireType.Varint).int64(sizes.get(digest) ?? 0)
    writer.join().join()
  }
  writer.tag(5, WireType.LengthDelimited).bytes(new TextEncoder().encode(JSON.stringify({ key, ...action })))
  return writer.finish()
}

/**
 * @param outputs the files that the stage writes: a result that names any other, or lacks one, is not its.
 * @returns undefined when the bytes are not a result for this key.
 */
export function decodeResult(bytes: Uint8Array, key: string, outputs: readonly string[]): RemoteResult | undefined {
  try {
    const { files, json } = readFields(bytes)
    const { key: its, ...action } = JSON.parse(new TextDecoder().decode(json)) as Record<string, unknown>
    if (its !== key || !isAction(action)) return undefined
    const named = Object.keys(action.outputs)
    if (named.length !== outputs.length || files.length !== outputs.length) return undefined
    const sizes = new Map<string, number>()
    for (const path of outputs) {
      const file = files.find((one) => one.path === path)
      if (!file || file.digest !== action.outputs[path] || !(file.size >= 0)) return undefined
      sizes.set(file.digest, file.size)
    }
    return { action, sizes }
  } catch {
    return undefined // No protobuf, no JSON.
  }
}

interface OutputFile {
  path: string
  digest: string
  size: number
}

function readFields(bytes: Uint8Array): { files: OutputFile[]; json: Uint8Array } {
  const files: OutputFile[] = []
  let json: Uint8Array = new Uint8Array()
  fields(bytes, (field, reader) => {
    if (field === 2) files.push(readFile(reader.bytes()))
    else if (field === 5) json = reader.bytes()
    else return false
    return true
  })
  return { files, json }
}

function readFile(bytes: Uint8Array): OutputFile {
  const file = { path: '', digest: '', size: 0 }
  fields(bytes, (field, reader) => {
    if (field === 1) file.path = reader.string()
    else if (field === 2)
      fields(reader.bytes(), (inner, digest) => {
        if (inner === 1) file.digest = digest.string()
        else if (inner === 2) file.size = Number(digest.int64())
        else return false
        return true
      })
    else return false
    return true
  })
  return file
}

/** Calls `take` at each field's value; where it says false, the value is skipped. */
function fields(bytes: Uint8Array, take: (field: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (!take(field, reader)) reader.skip(type, field)
  }
}
