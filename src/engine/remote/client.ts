/**
 * GET and PUT against a server that may be anything: away, slow, endless, broken. Every request ends in a status or in words for
 * what went wrong, and all GETs of a build together wait no longer than the time-out: beyond what their bytes take at 1 MB/s.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { QuantError } from '../../errors.js'
import type { RemoteSettings } from '../stage.js'

/** `trouble` ends the sentence "remote store URL: ...". */
export type Outcome = { readonly status: number; readonly trouble?: never } | { readonly trouble: string }

interface Client {
  /**
   * @param size bytes that are expected: the time for them is not held against the server.
   * @param most the body is not read further than the chunk that exceeds this.
   * @param begin called once per attempt that is answered by 200; what it gives takes the body.
   */
  get(path: string, size: number, most: number, begin: () => (chunk: Uint8Array) => void): Promise<Outcome>
  put(path: string, body: Uint8Array): Promise<Outcome>
  /** Ends what is under way. */
  close(): void
}

/** 1 MB/s: a slower line is no help. */
export const bytesPerMs = 1000
const pauseMs = 100
/** Bodies of other answers are read so far, which keeps the connection. */
const smallBody = 65_536

export function openClient({ url, timeoutMs, token }: RemoteSettings): Client {
  const closed = new AbortController()
  const headers = {
    'accept-encoding': 'identity',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  }
  const seconds = `${timeoutMs / 1000} s`
  /** Time that GETs took, less what their bytes may take. */
  let waited = 0

  /** One retry, where the answer may be another the second time. */
  async function twice(attempt: () => Promise<Outcome & { again?: boolean }>): Promise<Outcome> {
    const first = await attempt()
    if (!first.again) return first
    await sleep(pauseMs)
    return attempt()
  }

  async function once(
    path: string,
    init: { method: string; body?: Uint8Array<ArrayBuffer> },
    ms: number,
    read: (response: Response) => Promise<void>,
  ): Promise<Outcome & { again?: boolean }> {
    const stop = new AbortController()
    const timer = setTimeout(() => stop.abort(), Math.max(0, ms))
    let answered = false
    try {
      const signal = AbortSignal.any([stop.signal, closed.signal])
      const response = await fetch(`${url}/${path}`, { ...init, headers, signal })
      answered = true
      await read(response)
      const { status } = response
      return { status, again: status >= 500 && status !== 507 }
    } catch (error) {
      if (error instanceof QuantError) throw error // What came could not be kept.
      if (closed.signal.aborted) return { trouble: 'stopped' }
      if (stop.signal.aborted) return { trouble: `too slow, waited ${seconds}` }
      return { trouble: `${answered ? 'the connection broke' : 'not reachable'} (${codeOf(error)})`, again: true }
    } finally {
      clearTimeout(timer)
      // Ends what was not read to its end.
      stop.abort()
    }
  }

  return {
    get: (path, size, most, begin) =>
      twice(async () => {
        const begun = performance.now()
        let received = 0
        try {
          return await once(path, { method: 'GET' }, timeoutMs - waited + size / bytesPerMs, async (response) => {
            const good = response.status === 200
            const take = good ? begin() : () => {}
            for await (const chunk of response.body ?? []) {
              received += chunk.length
              take(chunk)
              if (received > (good ? most : smallBody)) return
            }
          })
        } finally {
          waited += Math.max(0, performance.now() - begun - received / bytesPerMs)
        }
      }),
    put: (path, body) =>
      twice(() =>
        once(
          path,
          { method: 'PUT', body: body as Uint8Array<ArrayBuffer> },
          timeoutMs + body.length / bytesPerMs,
          async (response) => {
            let received = 0
            for await (const chunk of response.body ?? []) {
              received += chunk.length
              if (received > smallBody) return
            }
          },
        ),
      ),
    close: () => closed.abort(),
  }
}

function codeOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string; message?: string }; message: string }
  return cause?.code ?? cause?.message ?? message
}
