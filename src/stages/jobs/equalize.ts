import { analysePicture, readLayers, withFollowers } from '../../calibrate/analyse.js'
import { thresholdsOf } from '../../calibrate/choose.js'
import { channelRanges, equalizable, equalize } from '../../calibrate/equalize.js'
import { mergeStatistics, type TensorStatistics } from '../../calibrate/statistics.js'
import * as disk from '../../disk.js'
import { QuantError } from '../../errors.js'
import { emitOnnx } from '../../ir/emit.js'
import type { Graph } from '../../ir/graph.js'
import { writeNpz } from '../../ir/npz.js'
import { topWeights, writeTop } from '../../ir/top/write.js'
import { openSession } from '../../runtime/session.js'
import { type GraphFiles, loadGraph, type SampleFile } from './load.js'
import {
  type Feeds,
  type Gain,
  gainOf,
  int8Losses,
  type Referenced,
  readFeeds,
  withReferences,
} from './network-loss.js'

/** NAME_equalization.json. SQNR of the INT8 network with `mse` thresholds, dB, on the pictures that channels were measured on. */
interface Equalization {
  readonly applied: boolean
  readonly pairs: readonly { readonly first: string; readonly second: string }[]
  readonly sqnr: Gain
  /** Largest difference between the float outputs of both graphs, as a share of the largest output. */
  readonly float_difference: number
}

/** What float32 may differ by after other roundings; more means that the networks are not the same. */
const FLOAT_ROUNDING = 1e-3

/** The graph with even channels, or as it was where they gain nothing. */
export async function equalizeModel(args: {
  graph: GraphFiles
  pictures: readonly SampleFile[]
  mlir: string
  weights: string
  weightFile: string
  report: string
}): Promise<{ pairs: Equalization['pairs']; applied: boolean; before: number; after: number }> {
  const graph = await loadGraph(args.graph)
  const pairs = equalizable(graph)
  const feeds = await readFeeds(graph, args.pictures)
  const references = await withReferences(graph, feeds)
  const even = pairs.length > 0 ? equalize(graph, pairs, await rangesOf(graph, pairs, feeds)) : graph
  const difference = largestDifference(references, await withReferences(even, feeds))
  if (!(difference <= FLOAT_ROUNDING))
    throw new QuantError('model', `equalisation changed what the float network computes, by ${difference}`, {
      hint: 'set `calibration.equalize: false`, and report it with the model',
    })
  const before = await lossesOf(graph, references)
  const sqnr = gainOf(before, pairs.length > 0 ? await lossesOf(even, references) : before)
  const applied = sqnr.sure
  const result = applied ? even : graph
  disk.writeAtomic(args.weights, writeNpz(topWeights(result)))
  disk.writeAtomic(args.mlir, writeTop(result, { weightFile: args.weightFile }))
  const report: Equalization = {
    applied,
    pairs: pairs.map(({ first, second }) => ({ first, second })),
    sqnr,
    float_difference: difference,
  }
  disk.writeAtomic(args.report, `${JSON.stringify(report, undefined, 2)}\n`)
  return { pairs: report.pairs, applied, before: sqnr.before, after: sqnr.after }
}

async function rangesOf(
  graph: Graph,
  pairs: ReturnType<typeof equalizable>,
  pictures: readonly Feeds[],
): Promise<Map<string, Float64Array>> {
  const session = await openSession(emitOnnx(graph, { outputs: pairs.map(({ between }) => between) }), graph.name)
  const ranges = new Map<string, Float64Array>()
  for (const feeds of pictures)
    for (const [name, value] of await session.run(feeds)) ranges.set(name, channelRanges(value, ranges.get(name)))
  await session.release()
  return ranges
}

/** With thresholds from the same pictures, by the method that needs no tuning. */
async function lossesOf(graph: Graph, pictures: readonly Referenced[]): Promise<number[]> {
  const session = await openSession(emitOnnx(graph, { outputs: readLayers(graph) }), graph.name)
  const found: Map<string, TensorStatistics>[] = []
  for (const { feeds } of pictures) found.push(await analysePicture(graph, session, feeds))
  await session.release()
  const merged = new Map(
    [...found[0]!.keys()].map((name) => [name, mergeStatistics(found.map((one) => one.get(name)!))]),
  )
  return int8Losses(graph, thresholdsOf(withFollowers(graph, merged), { method: 'mse' }), pictures)
}

function largestDifference(a: readonly Referenced[], b: readonly Referenced[]): number {
  let most = 0
  for (const [i, { reference }] of a.entries())
    for (const [k, { data }] of reference.entries()) {
      const other = b[i]!.reference[k]!.data
      let size = 0
      let difference = 0
      for (let j = 0; j < data.length; j++) {
        size = Math.max(size, Math.abs(data[j]!))
        difference = Math.max(difference, Math.abs(data[j]! - other[j]!))
      }
      if (difference > 0) most = Math.max(most, difference / size)
    }
  return most
}
