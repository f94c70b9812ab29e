import { analysePicture } from '../../calibrate/analyse.js'
import { type Method, thresholdsOf } from '../../calibrate/choose.js'
import { inspectStatistics } from '../../calibrate/sanity.js'
import { mergeStatistics, type TensorStatistics } from '../../calibrate/statistics.js'
import { decodeStatistics, encodeStatistics } from '../../calibrate/statistics-bytes.js'
import { writeCalibrationTable } from '../../calibrate/table.js'
import { tuneThresholds } from '../../calibrate/tune.js'
import * as disk from '../../disk.js'
import { openMemo } from '../../engine/memo.js'
import type { Warning } from '../../events.js'
import { emitOnnx } from '../../ir/emit.js'
import type { Tensor } from '../../ir/graph.js'
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
  progress: (units: number) => void,
): Promise<{ tensors: number; warnings: Warning[] }> {
  const graph = await loadGraph(args.graph)
  const memo = openMemo(args.memo)
  let merged = new Map<string, TensorStatistics>()
  for (const key of args.keys) {
    const piece = memo.get(key)
    if (!piece) throw new Error('a piece of the memo is gone') // it was there when this stage began
    const statistics = decodeStatistics(piece)
    merged = new Map(
      [...statistics].map(([name, one]) => {
        const before = merged.get(name)
        return [name, before ? mergeStatistics([before, one]) : one]
      }),
    )
  }
  const chosen = thresholdsOf(merged, { method: args.method, percentile: args.percentile })
  const warnings = [...chosen].flatMap(([name, { threshold }]) => inspectStatistics(name, merged.get(name)!, threshold))
  const inputs = sampleInputs(graph)
  const tunePictures: Record<string, Tensor>[] = []
  for (const file of args.tune) tunePictures.push((await readSample(file, inputs)).feeds)
  const thresholds = await tuneThresholds(graph, chosen, tunePictures, progress)
  disk.writeAtomic(
    args.table,
    writeCalibrationTable({ thresholds, samples: args.keys.length, tuned: args.tune.length, method: args.method }),
  )
  return { tensors: thresholds.size, warnings }
}
