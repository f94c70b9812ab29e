import { createHash } from 'node:crypto'
import * as disk from '../disk.js'
import type { Stage } from '../engine/stage.js'
import { QuantError } from '../errors.js'
import type { Recipe } from './context.js'

/** Downloads the model once; afterwards it is an output like any other, restored from the store. */
export function fetchStage({ config, places, artifacts }: Recipe): Stage | undefined {
  const { source } = config.model
  if (source.kind === 'file') return undefined
  const { url, sha256 } = source
  return {
    name: 'fetch',
    title: 'download the model',
    params: { 'model.url': url, 'model.sha256': sha256 },
    identity: 'fetch 1',
    files: [],
    needs: [],
    outputs: [artifacts.model],
    async run(context) {
      const body = await download(url, context.signal, (done, of) => context.progress(done, of, 'KiB'))
      const got = createHash('sha256').update(body).digest('hex')
      if (got !== sha256)
        throw new QuantError('input', `${url} has sha256 ${got}, not ${sha256}`, {
          place: places(['model', 'sha256']),
          hint: 'the file changed or the download was tampered with; if you trust the new one, write its sha256 here',
        })
      disk.writeAtomic(context.target(artifacts.model), body)
      return { note: `${(body.length / 1e6).toFixed(1)} MB` }
    },
  }

  async function download(
    from: string,
    signal: AbortSignal,
    progress: (done: number, of: number) => void,
  ): Promise<Uint8Array> {
    try {
      const response = await fetch(from, { signal: AbortSignal.any([signal, AbortSignal.timeout(600_000)]) })
      if (!response.ok || !response.body) throw new Error(`${response.status} ${response.statusText}`)
      const total = Number(response.headers.get('content-length') ?? 0)
      const chunks: Uint8Array[] = []
      let size = 0
      for await (const chunk of response.body) {
        chunks.push(chunk)
        size += chunk.length
        progress(Math.round(size / 1024), Math.round(Math.max(total, size) / 1024))
      }
      return Buffer.concat(chunks)
    } catch (cause) {
      const reason =
        cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause)
      throw new QuantError('input', `cannot download ${from}: ${reason}`, {
        place: places(['model', 'url']),
        hint: 'or fetch it by other means and name it in `model.path`',
        cause,
      })
    }
  }
}
