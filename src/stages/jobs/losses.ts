import { boxDistance, likeliestBoxes, strongBoxes } from '../../detect/distance.js'
import type { Box, DetectorSpec } from '../../detect/types.js'
import { openMemo } from '../../engine/memo.js'
import { emitOnnx } from '../../ir/emit.js'
import { type Graph, sizeOf, type Tensor } from '../../ir/graph.js'
import { lower } from '../../quantize/lower.js'
import type { Precision } from '../../quantize/qgraph.js'
import { openSession, type Session } from '../../runtime/session.js'
import { sqnrLoss } from '../../search/loss.js'
import { type Int8Run, openReplay, type Replay } from '../../search/replay.js'
import { encodeLoss } from '../memo-pieces.js'
import { loadThresholds } from './compile.js'
import { type GraphFiles, keep, loadGraph, readSample, type SampleFile, sampleInputs } from './load.js'

/** The graph without its weights, which are too large to travel and of which a choice of layers needs none. */
export async function readLayers(args: { graph: GraphFiles }): Promise<Graph> {
  return { ...(await loadGraph(args.graph)), weights: new Map() }
}

/** Losses into the memo, for every set of float layers that a picture lacks. */
export async function measureLosses(
  args: {
    graph: GraphFiles
    table: string
    /** Of the thresholds in the table. */
    thresholds: string
    mode: Precision
    detector: DetectorSpec | undefined
    memo: string
    sets: readonly (readonly string[])[]
    pictures: readonly { readonly file: SampleFile; readonly pieces: readonly { set: number; key: string }[] }[]
  },
  progress: (units: number) => void,
): Promise<void> {
  const { detector, mode } = args
  const graph = await loadGraph(args.graph)
  const inputShape = sampleInputs(graph)[0]!.shape
  const memo = openMemo(args.memo)
  const network = await networkOf(graph, args)
  const variants = args.sets.map((layers) => {
    const float = new Set(layers)
    return lower(graph, network.thresholds, (layer) => (float.has(layer) ? mode : 'INT8'))
  })
  // Picture by picture: sessions of a few sets take less memory than activations of many pictures.
  for (const { file, pieces } of args.pictures) {
    const { reference, boxes, int8 } = await keep(network.samples, file.digest, network.samplesKept, () =>
      runSample(graph, network, file, detector),
    )
    for (const { set, key } of pieces) {
      const outputs = await network.replay.run(variants[set]!, int8)
      const distance = detector && boxDistance(boxes, likeliestBoxes(outputs, detector, inputShape, boxes))
      memo.put(key, encodeLoss({ sqnr: sqnrLoss(reference, outputs), boxes: distance }))
      progress(1)
    }
  }
}

interface Network {
  readonly thresholds: ReturnType<typeof loadThresholds>
  readonly float: Session
  readonly replay: Replay
  readonly samples: Map<string, Promise<SampleRun>>
  readonly samplesKept: number
}

interface SampleRun {
  /** The float model's outputs, in the graph's order. */
  readonly reference: readonly Tensor[]
  /** The float model's boxes; none without a detector. */
  readonly boxes: readonly Box[]
  readonly int8: Int8Run
}

/** Bytes of what the all-INT8 and the float network gave for pictures; with more pictures than fit they are run again for each chunk. */
const keptBytes = 256 * 2 ** 20
/** Sessions of single variants that stay open: of more sets than a chunk has. */
const keptSessions = 32

let opened: { readonly key: string; readonly network: Promise<Network> } | undefined

/** The network that this worker was asked for last stays open. */
async function networkOf(
  graph: Graph,
  args: { graph: GraphFiles; table: string; thresholds: string; detector: DetectorSpec | undefined },
): Promise<Network> {
  const key = JSON.stringify([args.graph.digest, args.thresholds, args.detector])
  if (opened?.key === key) return opened.network
  const before = opened
  opened = { key, network: openNetwork(graph, args.table) }
  if (before) {
    const { float, replay } = await before.network
    await float.release()
    await replay.release()
  }
  return opened.network
}

async function openNetwork(graph: Graph, table: string): Promise<Network> {
  const thresholds = loadThresholds(graph, table)
  const replay = openReplay(
    lower(graph, thresholds, () => 'INT8'),
    keptSessions,
  )
  const outputBytes = graph.nodes
    .filter(({ name }) => graph.outputs.includes(name))
    .reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0)
  return {
    thresholds,
    float: await openSession(emitOnnx(graph, { outputs: graph.outputs }), graph.name),
    replay,
    samples: new Map(),
    samplesKept: Math.max(1, Math.floor(keptBytes / (replay.bytes + outputBytes))),
  }
}

async function runSample(
  graph: Graph,
  { float, replay }: Network,
  file: SampleFile,
  detector: DetectorSpec | undefined,
): Promise<SampleRun> {
  const inputs = sampleInputs(graph)
  const { feeds } = await readSample(file, inputs)
  const outputs = await float.run(feeds)
  const reference = graph.outputs.map((name) => outputs.get(name)!)
  const boxes = detector ? strongBoxes(reference, detector, inputs[0]!.shape) : []
  return { reference, boxes, int8: await replay.int8(feeds) }
}
