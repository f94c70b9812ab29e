import { analysePicture } from '../../calibrate/analyse.js'
import { type Method, thresholdsOf } from '../../calibrate/choose.js'
import { inspectStatistics } from '../../calibrate/sanity.js'
import { mergeStatistics, type TensorStatistics } from '../../calibrate/statistics.js'
import { decodeStatistics, encodeStatistics } from '../../calibrate/statistics-bytes.js'
import { writeCalibrationTable } from '../../calibrate/table.js'
import { tuneThresholds } from '../../calibrate/tune.js'
import * as disk from '../../disk.js'
import { type Memo, openMemo } from '../../engine/memo.js'
import { QuantError } from '../../errors.js'
import type { Warning } from '../../events.js'
import { emitOnnx } from '../../ir/emit.js'
import type { Tensor } from '../../ir/graph.js'
import type { Progress } from '../../runtime/pool.js'
import { openSession } from '../../runtime/session.js'
import { type GraphFiles, loadGraph, readSample, type SampleFile, sampleInputs } from './load.js'

/** Statistics of every tensor of every picture, into the memo. */
export async function analysePictures(
  args: { graph: GraphFiles; pictures: readonly (SampleFile & { key: string })[]; memo: string },
  progress: (units: number) => void,
): Promise<void> {
  const graph = await loadGraph(args.graph)
  const memo = openMemo(args.memo)
  const layers = graph.nodes.map(({ name }) => name)
  const session = await openSession(emitOnnx(graph, { outputs: layers }), graph.name)
  try {
    for (const picture of args.pictures) {
      const { feeds } = await readSample(picture, sampleInputs(graph))
      memo.put(picture.key, encodeStatistics(await analysePicture(session, feeds, layers)))
      progress(1)
    }
  } finally {
    await session.release()
  }
}

/** Statistics in the memo -> the calibration table. */
export async function chooseThresholds(
  args: {
    graph: GraphFiles
    memo: string
    keys: readonly string[]
    method: Method
    percentile: number
    /** Pictures for tuning; none: no tuning. */
    tune: readonly SampleFile[]
    table: string
  },
  progress: Progress,
): Promise<{ tensors: number; warnings: Warning[] }> {
  const graph = await loadGraph(args.graph)
  const memo = openMemo(args.memo)
  const merged = mergeAll(memo, args.keys)
  const chosen = thresholdsOf(merged, { method: args.method, percentile: args.percentile })
  const inputs = sampleInputs(graph)
  const tunePictures: Record<string, Tensor>[] = []
  for (const file of args.tune) tunePictures.push((await readSample(file, inputs)).feeds)
  const thresholds = await tuneThresholds(graph, chosen, tunePictures, (layers) =>
    progress(layers, graph.nodes.length - inputs.length),
  )
  disk.writeAtomic(
    args.table,
    writeCalibrationTable({ thresholds, samples: args.keys.length, tuned: args.tune.length, method: args.method }),
  )
  const warnings = [...thresholds].flatMap(([name, { threshold }]) =>
    inspectStatistics(name, merged.get(name)!, threshold),
  )
  return { tensors: thresholds.size, warnings }
}

/** Few pictures at a time, so that memory does not grow with their number; several, so that large histograms are added up at once. */
const mergedAtOnce = 8

function mergeAll(memo: Memo, keys: readonly string[]): Map<string, TensorStatistics> {
  let merged = new Map<string, TensorStatistics>()
  for (let from = 0; from < keys.length; from += mergedAtOnce) {
    const few = keys.slice(from, from + mergedAtOnce).map((key) => {
      const piece = memo.get(key)
      // It was there when this stage began: somebody deletes files under us.
      if (!piece) throw new QuantError('disk', `a piece of ${memo.folder} is gone`, { hint: 'build again' })
      return decodeStatistics(piece)
    })
    merged = new Map(
      [...few[0]!.keys()].map((name) => {
        const before = merged.get(name)
        return [name, mergeStatistics([...(before ? [before] : []), ...few.map((one) => one.get(name)!)])]
      }),
    )
  }
  return merged
}
