import { analysePicture, readLayers, withFollowers } from '../../calibrate/analyse.js'
import { type Method, thresholdsOf } from '../../calibrate/choose.js'
import { inspectStatistics } from '../../calibrate/sanity.js'
import { type StatisticsSum, statisticsSum, type TensorStatistics } from '../../calibrate/statistics.js'
import { decodeStatistics, encodeStatistics } from '../../calibrate/statistics-bytes.js'
import { writeCalibrationTable } from '../../calibrate/table.js'
import { tuneThresholds } from '../../calibrate/tune.js'
import * as disk from '../../disk.js'
import { type Memo, memoKey, openMemo } from '../../engine/memo.js'
import { QuantError } from '../../errors.js'
import type { Warning } from '../../events.js'
import { emitOnnx } from '../../ir/emit.js'
import type { Tensor } from '../../ir/graph.js'
import type { Progress } from '../../runtime/pool.js'
import { openSession, type Session } from '../../runtime/session.js'
import { type GraphFiles, keep, loadGraph, readSample, type SampleFile, sampleInputs } from './load.js'

/** Statistics of every picture into the memo; those of all of them together, too, which spares reading the single ones again. */
export async function analysePictures(
  args: { graph: GraphFiles; pictures: readonly (SampleFile & { key: string })[]; memo: string },
  progress: (units: number) => void,
): Promise<void> {
  const graph = await loadGraph(args.graph)
  const memo = openMemo(args.memo)
  const session = await keep(sessions, args.graph.digest, 1, () =>
    openSession(emitOnnx(graph, { outputs: readLayers(graph) }), graph.name),
  )
  const sum = layerSums()
  for (const picture of args.pictures) {
    const { feeds } = await readSample(picture, sampleInputs(graph))
    const statistics = await analysePicture(graph, session, feeds)
    memo.put(picture.key, encodeStatistics(statistics))
    sum.add(statistics)
    progress(1)
  }
  memo.put(sumKey(args.pictures.map(({ key }) => key)), encodeStatistics(sum.total()))
}

/** A worker analyses one graph at a time. */
const sessions = new Map<string, Promise<Session>>()

/** Statistics in the memo -> the calibration table. */
export async function chooseThresholds(
  args: {
    graph: GraphFiles
    memo: string
    /** Keys of the pictures' statistics, in the groups that were probably analysed together. */
    groups: readonly (readonly string[])[]
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
  const merged = withFollowers(graph, mergeAll(memo, args.groups))
  const chosen = thresholdsOf(merged, { method: args.method, percentile: args.percentile })
  const inputs = sampleInputs(graph)
  const tunePictures: Record<string, Tensor>[] = []
  for (const file of args.tune) tunePictures.push((await readSample(file, inputs)).feeds)
  const thresholds = await tuneThresholds(graph, chosen, tunePictures, (layers) =>
    progress(layers, graph.nodes.length - inputs.length),
  )
  disk.writeAtomic(
    args.table,
    writeCalibrationTable({
      thresholds,
      samples: args.groups.flat().length,
      tuned: args.tune.length,
      method: args.method,
    }),
  )
  const warnings = [...thresholds].flatMap(([name, { threshold }]) =>
    inspectStatistics(name, merged.get(name)!, threshold),
  )
  return { tensors: thresholds.size, warnings }
}

/** Groups that were not analysed in one go are added up here, once. */
function mergeAll(memo: Memo, groups: readonly (readonly string[])[]): Map<string, TensorStatistics> {
  const sum = layerSums()
  for (const keys of groups) {
    const known = memo.get(sumKey(keys))
    if (known) {
      sum.add(decodeStatistics(known))
      continue
    }
    const group = layerSums()
    for (const key of keys) group.add(decodeStatistics(pieceOf(memo, key)))
    const total = group.total()
    memo.put(sumKey(keys), encodeStatistics(total))
    sum.add(total)
  }
  return sum.total()
}

function pieceOf(memo: Memo, key: string): Uint8Array {
  const piece = memo.get(key)
  // It was there when this stage began: somebody deletes files under us.
  if (!piece) throw new QuantError('disk', `a piece of ${memo.folder} is gone`, { hint: 'build again' })
  return piece
}

const sumKey = (keys: readonly string[]): string => memoKey('sum of statistics', ...keys)

/** Adds up the statistics of pictures, layer by layer. */
function layerSums() {
  const sums = new Map<string, StatisticsSum>()
  return {
    add(statistics: ReadonlyMap<string, TensorStatistics>): void {
      for (const [name, one] of statistics) {
        const sum = sums.get(name) ?? statisticsSum()
        sums.set(name, sum)
        sum.add(one)
      }
    },
    total: () => new Map([...sums].map(([name, sum]) => [name, sum.total()])),
  }
}
