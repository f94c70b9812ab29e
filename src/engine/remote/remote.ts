/**
 * A store behind the plain HTTP cache protocol that bazel-remote, nginx with WebDAV and others speak:
 *
 *   /cas/<sha256>   an object, its bytes
 *   /ac/<key>       what a stage key gave (result.ts), written after its objects
 *
 * What it sends is believed only after the digest says so, and goes into the local store first. It never breaks a build: with the first
 * trouble it is not asked any more, which is said once, and stages run.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import * as disk from '../../disk.js'
import type { Emit } from '../../events.js'
import { sha256 } from '../hash.js'
import type { RemoteSettings, Stage } from '../stage.js'
import type { ActionRecord, Store } from '../store.js'
import { bytesPerMs, type Outcome, openClient } from './client.js'
import { decodeResult, encodeResult } from './result.js'

export interface Remote {
  /** What the key gave, when the server knows it and all its objects could be brought into the local store. */
  fetch(stage: Stage, key: string): Promise<ActionRecord | undefined>
  /** Sends what a key gave, in the background; nothing in read-only mode. */
  upload(key: string, action: ActionRecord): void
  /** Why it cannot be used, or undefined. */
  check(): Promise<string | undefined>
  /** Waits for the uploads, within the time-out, and tells what was done. */
  finish(): Promise<void>
  close(): void
}

const mostResult = 4_000_000
/** No ONNX or npz file is larger: a server that announces more is not believed. */
const mostObject = 2 ** 31
const emptyObject = sha256('')

export function openRemote(settings: RemoteSettings, store: Store, emit: Emit): Remote {
  const { url, timeoutMs } = settings
  const client = openClient(settings)
  let reading = true
  let writing = settings.mode === 'read-write'
  let asked = false
  const done = { restored: 0, restoredBytes: 0, uploaded: 0, uploadedBytes: 0 }
  /** Objects that the server has for certain. */
  const there = new Set<string>()
  const coming = new Map<string, Promise<boolean>>()
  let uploads: Promise<void> = Promise.resolve()
  let waitingUploads = 0
  let waitingBytes = 0

  function stopReading(trouble: string): void {
    if (reading) emit({ type: 'remote-trouble', url, trouble: `${trouble}, going on without it` })
    reading = false
  }
  function stopWriting(trouble: string): void {
    if (writing) emit({ type: 'remote-trouble', url, trouble: `${trouble}, nothing is uploaded any more` })
    writing = false
  }
  function stopAll(trouble: string): void {
    if (reading) {
      writing = false
      stopReading(trouble)
    } else stopWriting(trouble)
  }

  /** true when the body of a 200 was taken; anything but a 404 ends reading. */
  function took(outcome: Outcome): boolean {
    if (outcome.trouble !== undefined) stopAll(outcome.trouble)
    else if (outcome.status !== 200 && outcome.status !== 404) stopAll(answerText(outcome.status))
    return outcome.trouble === undefined && outcome.status === 200
  }

  /** Brings an object into the local store. */
  function bring(digest: string, size: number): Promise<boolean> {
    if (store.has(digest)) return Promise.resolve(true)
    const before = coming.get(digest)
    if (before) return before
    const promise = download(digest, size).finally(() => coming.delete(digest))
    coming.set(digest, promise)
    return promise
  }

  async function download(digest: string, size: number): Promise<boolean> {
    let file: disk.Aside | undefined
    try {
      let hash = createHash('sha256')
      let received = 0
      const outcome = await client.get(`cas/${digest}`, size, size, () => {
        file?.drop()
        file = disk.openAside(store.path(digest))
        hash = createHash('sha256')
        received = 0
        return (chunk) => {
          file?.write(chunk)
          hash.update(chunk)
          received += chunk.length
        }
      })
      if (!took(outcome)) return false
      if (received !== size || hash.digest('hex') !== digest) {
        // A build that may write puts the right bytes there.
        stopReading(`sends wrong bytes for ${digest.slice(0, 12)}`)
        return false
      }
      file?.commit()
      there.add(digest)
      done.restoredBytes += size
      return true
    } catch (error) {
      stopReading(`what it sends cannot be kept: ${(error as Error).message}`)
      return false
    } finally {
      file?.drop()
    }
  }

  async function send(key: string, action: ActionRecord): Promise<void> {
    const sizes = new Map<string, number>()
    for (const digest of new Set(Object.values(action.outputs))) {
      if (!writing) return
      sizes.set(digest, store.size(digest))
      if (there.has(digest)) continue
      const body = store.has(digest) ? disk.readBytes(store.path(digest)) : undefined
      // Damaged or collected since: others would be given it.
      if (!body || sha256(body) !== digest) return
      if (!(await put(`cas/${digest}`, body))) return
      there.add(digest)
    }
    if (writing && (await put(`ac/${key}`, encodeResult(key, { action, sizes })))) done.uploaded++
  }

  async function put(path: string, body: Uint8Array): Promise<boolean> {
    asked = true
    const outcome = await client.put(path, body)
    if (outcome.trouble === undefined && outcome.status >= 200 && outcome.status < 300) {
      done.uploadedBytes += body.length
      return true
    }
    if (outcome.trouble !== undefined) stopAll(outcome.trouble)
    else if (outcome.status < 500 || outcome.status === 507) stopWriting(answerText(outcome.status))
    else stopAll(answerText(outcome.status))
    return false
  }

  return {
    async fetch(stage, key) {
      if (!reading) return undefined
      asked = true
      const parts: Uint8Array[] = []
      const outcome = await client.get(`ac/${key}`, 0, mostResult, () => {
        parts.length = 0
        return (chunk) => parts.push(chunk.slice())
      })
      if (!took(outcome)) return undefined
      const result = decodeResult(Buffer.concat(parts), key, stage.outputs)
      if (!result || [...result.sizes.values()].some((size) => size > mostObject)) {
        stopReading(`sends something else than the result for ${key.slice(0, 12)}`)
        return undefined
      }
      for (const [digest, size] of result.sizes) if (!(await bring(digest, size))) return undefined
      store.recordAction(key, result.action)
      done.restored++
      return result.action
    },
    upload(key, action) {
      if (!writing) return
      const bytes = Object.values(action.outputs).reduce((sum, digest) => sum + store.size(digest), 0)
      waitingUploads++
      waitingBytes += bytes
      uploads = uploads.then(async () => {
        try {
          await send(key, action)
        } catch (error) {
          stopWriting((error as Error).message)
        }
        waitingUploads--
        waitingBytes -= bytes
      })
    },
    async check() {
      asked = true
      let bytes = 0
      const outcome = await client.get(`cas/${emptyObject}`, 0, 0, () => (chunk) => {
        bytes += chunk.length
      })
      if (outcome.trouble !== undefined) return outcome.trouble
      if (outcome.status !== 200 && outcome.status !== 404) return answerText(outcome.status)
      if (bytes > 0) return 'sends something else than was asked for'
      if (!writing) return undefined
      const written = await client.put(`cas/${emptyObject}`, new Uint8Array())
      if (written.trouble !== undefined) return written.trouble
      return written.status < 300 ? undefined : `${answerText(written.status)} to an upload`
    },
    async finish() {
      const ended = new AbortController()
      await Promise.race([
        uploads,
        sleep(timeoutMs + waitingBytes / bytesPerMs, undefined, { signal: ended.signal }).catch(() => {}),
      ])
      ended.abort()
      if (waitingUploads > 0) stopWriting(`${waitingUploads} uploads did not end within ${timeoutMs / 1000} s`)
      if (asked) emit({ type: 'remote', url, ...done })
    },
    close() {
      reading = false
      writing = false
      client.close()
    },
  }
}

const answerText = (status: number): string =>
  status === 401 || status === 403 ? `answers ${status} (see QUANT_REMOTE_TOKEN)` : `answers ${status}`
