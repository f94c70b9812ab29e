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
    /** Where it is not the memo that knows it by its key. */
    readonly isKnown?: (piece: T) => boolean
    /** How what is missing is cut; evenly without it. */
    readonly chunks?: (missing: readonly T[]) => readonly (readonly T[])[]
    /** Does a chunk in a worker, calling `progress` for each piece done. */
    readonly work: (chunk: readonly T[], progress: (units: number) => void) => Promise<void>
  },
): Promise<{ readonly done: number; readonly reused: number }> {
  const { pieces, unit, workers, work, chunks = (missing) => chunksOf(missing, workers) } = options
  const { isKnown = ({ key }) => context.memo.has(key) } = options
  const missing = pieces.filter((piece) => !isKnown(piece))
  const reused = pieces.length - missing.length
  let done = reused
  context.progress(done, pieces.length, unit, reused)
  await Promise.all(
    chunks(missing).map((chunk) =>
      work(chunk, (units) => {
        done += units
        context.progress(done, pieces.length, unit, reused)
      }),
    ),
  )
  return { done: missing.length, reused }
}

/** Few enough for little overhead, many enough that all workers end at about the same time. */
export function chunksOf<T>(pieces: readonly T[], workers: number): T[][] {
  const size = Math.max(1, Math.min(16, Math.ceil(pieces.length / (2 * workers))))
  return Array.from({ length: Math.ceil(pieces.length / size) }, (_, i) => pieces.slice(i * size, (i + 1) * size))
}
