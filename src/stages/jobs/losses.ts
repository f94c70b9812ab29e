import { openMemo } from '../../engine/memo.js'
import { emitOnnx } from '../../ir/emit.js'
import type { Graph, Tensor } from '../../ir/graph.js'
import { openQuantized } from '../../quantize/execute.js'
import { lower } from '../../quantize/lower.js'
import type { Precision } from '../../quantize/qgraph.js'
import { openSession, type Session } from '../../runtime/session.js'
import { candidateLayers } from '../../search/candidates.js'
import { sqnrLoss } from '../../search/loss.js'
import { encodeLoss } from '../memo-pieces.js'
import { loadThresholds } from './compile.js'
import { type GraphFiles, keep, loadGraph, readSample, type SampleFile, sampleInputs } from './load.js'

export async function listCandidates(args: { graph: GraphFiles }): Promise<string[]> {
  return candidateLayers(await loadGraph(args.graph))
}

/** Losses into the memo, for every set of float layers and every picture that it lacks. */
export async function measureLosses(
  args: {
    graph: GraphFiles
    table: string
    mode: Precision
    memo: string
    sets: readonly { layers: readonly string[]; pictures: readonly (SampleFile & { key: string })[] }[]
  },
  progress: (units: number) => void,
): Promise<void> {
  const graph = await loadGraph(args.graph)
  const thresholds = loadThresholds(graph, args.table)
  const memo = openMemo(args.memo)
  for (const { layers, pictures } of args.sets) {
    const float = new Set(layers)
    const session = await openQuantized(lower(graph, thresholds, (layer) => (float.has(layer) ? args.mode : 'INT8')))
    try {
      for (const picture of pictures) {
        const { feeds, reference } = await floatRun(graph, args.graph.digest, picture)
        const outputs = await session.run(feeds)
        memo.put(picture.key, encodeLoss(sqnrLoss(reference, [...outputs.values()])))
        progress(1)
      }
    } finally {
      await session.release()
    }
  }
}

interface FloatRun {
  readonly feeds: Record<string, Tensor>
  /** The float model's outputs, in the graph's order. */
  readonly reference: readonly Tensor[]
}

const floatRuns = new Map<string, Promise<FloatRun>>()
const floatSessions = new Map<string, Promise<Session>>()
/** Bounds what is kept: about 256 MiB for the largest outputs (three heads of 255 channels at 640 x 640). */
const floatRunsKept = 32

function floatRun(graph: Graph, digest: string, picture: SampleFile): Promise<FloatRun> {
  return keep(floatRuns, `${digest} ${picture.digest}`, floatRunsKept, async () => {
    const session = await keep(floatSessions, digest, 1, () =>
      openSession(emitOnnx(graph, { outputs: graph.outputs }), graph.name),
    )
    const { feeds } = await readSample(picture, sampleInputs(graph))
    const outputs = await session.run(feeds)
    return { feeds, reference: graph.outputs.map((name) => outputs.get(name)!) }
  })
}
