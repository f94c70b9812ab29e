/**
 * SHA-256 names contents and keys; it is what is compared between machines. xxh64 only answers "is this file still the
 * same" after its times moved: five times cheaper than SHA-256, and loaded only then.
 */
import { createHash } from 'node:crypto'
import type { XXHashAPI } from 'xxhash-wasm'
import * as disk from '../disk.js'
import type { Json } from './reason.js'

/** Hex. */
export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex')
}

/** SHA-256 (hex) and xxh64 (hex) of a file, in one reading; undefined xxh64 where the library is not loaded yet. */
export async function hashFile(path: string): Promise<{ sha256: string; xxh64: string }> {
  const { create64 } = await xxhash()
  const strong = createHash('sha256')
  const quick = create64()
  disk.readChunks(path, (chunk) => {
    strong.update(chunk)
    quick.update(chunk)
  })
  return { sha256: strong.digest('hex'), xxh64: quick.digest().toString(16).padStart(16, '0') }
}

export async function quickHashFile(path: string): Promise<string> {
  const { create64 } = await xxhash()
  const quick = create64()
  disk.readChunks(path, (chunk) => quick.update(chunk))
  return quick.digest().toString(16).padStart(16, '0')
}

let loaded: Promise<XXHashAPI> | undefined
function xxhash(): Promise<XXHashAPI> {
  loaded ??= import('xxhash-wasm').then((module) => module.default())
  return loaded
}

/** JSON with sorted keys: equal values, equal text. */
export function canonical(value: Json | undefined): string {
  if (value === undefined) return 'undefined'
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item)).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`
  }
  return JSON.stringify(value)
}
