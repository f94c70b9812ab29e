/**
 * Work that comes in pieces (pictures, layers): asks the memo which are missing, hands those to the workers in small chunks, and tells
 * how far it is. Which worker does which piece never shows in the results: each piece goes to the memo under its own key.
 */
import type { StageContext } from '../engine/stage.js'

export async function doMissing<T extends { readonly key: string }>(
  context: StageContext,
  options: {
    readonly pieces: readonly T[]
    readonly unit: string
    readonly workers: number
    /** Does a chunk in a worker, calling `progress` for each piece done. */
    readonly work: (chunk: readonly T[], progress: (units: number) => void) => Promise<void>
  },
): Promise<{ readonly done: number; readonly reused: number }> {
  const { pieces, unit, workers, work } = options
  const missing = pieces.filter(({ key }) => !context.memo.has(key))
  const reused = pieces.length - missing.length
  let done = reused
  context.progress(done, pieces.length, unit, reused)
  // Few enough for little overhead, many enough that both workers end at about the same time.
  const size = Math.max(1, Math.min(16, Math.ceil(missing.length / (2 * workers))))
  const chunks = Array.from({ length: Math.ceil(missing.length / size) }, (_, i) =>
    missing.slice(i * size, (i + 1) * size),
  )
  await Promise.all(
    chunks.map((chunk) =>
      work(chunk, (units) => {
        done += units
        context.progress(done, pieces.length, unit, reused)
      }),
    ),
  )
  return { done: missing.length, reused }
}
