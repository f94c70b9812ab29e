import { boxDistance, likeliestBoxes, strongBoxes } from '../../detect/distance.js'
import type { Box, DetectorSpec } from '../../detect/types.js'
import { appendRecord } from '../../engine/records.js'
import { emitOnnx } from '../../ir/emit.js'
import { type Graph, sizeOf } from '../../ir/graph.js'
import { lower } from '../../quantize/lower.js'
import { openSession, type Session } from '../../runtime/session.js'
import type { FloatMode } from '../../search/choice.js'
import { outputLosses, type Reference, referenceOf, vendorLoss, weightsOf } from '../../search/objective.js'
import { type Int8Run, openReplay, type Replay } from '../../search/replay.js'
import { encodeLoss } from '../memo-pieces.js'
import { type GraphFiles, keep, loadGraph, loadThresholds, readSample, type SampleFile, sampleInputs } from './load.js'

/** The graph without its weights, which are too large to travel and of which a choice of layers needs none. */
export async function readLayers(args: { graph: GraphFiles }): Promise<Graph> {
  return { ...(await loadGraph(args.graph)), weights: new Map() }
}

/** A choice as it travels. */
export type ChoiceList = readonly (readonly [layer: string, mode: FloatMode])[]

/** Losses into a file of records, for every choice that a picture lacks. */
export async function measureLosses(
  args: {
    graph: GraphFiles
    table: string
    /** Of the thresholds in the table. */
    thresholds: string
    detector: DetectorSpec | undefined
    records: string
    choices: readonly ChoiceList[]
    pictures: readonly { readonly file: SampleFile; readonly pieces: readonly { choice: number; key: string }[] }[]
  },
  progress: (units: number) => void,
): Promise<void> {
  const { detector } = args
  const graph = await loadGraph(args.graph)
  const inputShape = sampleInputs(graph)[0]!.shape
  const network = await networkOf(graph, args)
  // Few choices at a time: their sessions stay open for all pictures, and sessions take less memory than activations of many pictures.
  for (let from = 0; from < args.choices.length; from += choicesAtOnce) {
    const variants = args.choices.slice(from, from + choicesAtOnce).map((choice) => {
      const float = new Map(choice)
      return lower(graph, network.thresholds, (layer) => float.get(layer) ?? 'INT8')
    })
    for (const { file, pieces } of args.pictures) {
      const now = pieces.filter(({ choice }) => choice >= from && choice < from + choicesAtOnce)
      if (now.length === 0) continue
      const { reference, boxes, int8 } = await keep(network.samples, file.digest, network.samplesKept, () =>
        runSample(graph, network, file, detector),
      )
      for (const { choice, key } of now) {
        const outputs = await network.replay.run(variants[choice - from]!, int8)
        const distance = detector && boxDistance(boxes, likeliestBoxes(outputs, detector, inputShape, boxes))
        const losses = { boxes: distance, outputs: outputLosses(reference, outputs) }
        appendRecord(args.records, key, encodeLoss({ ...losses, sqnr: vendorLoss(losses.outputs, network.vendor) }))
        progress(1)
      }
    }
  }
}

interface Network {
  readonly thresholds: ReturnType<typeof loadThresholds>
  readonly float: Session
  readonly replay: Replay
  /** How the vendor weighs the outputs. */
  readonly vendor: readonly number[]
  readonly samples: Map<string, Promise<SampleRun>>
  readonly samplesKept: number
}

interface SampleRun {
  /** The float model's outputs, in the graph's order. */
  readonly reference: readonly Reference[]
  /** The float model's boxes; none without a detector. */
  readonly boxes: readonly Box[]
  readonly int8: Int8Run
}

/** Bytes of what the all-INT8 and the float network gave for pictures; with more pictures than fit they are run again for each chunk. */
const keptBytes = 256 * 2 ** 20
/** A choice opens a few sessions of its own; those of so many choices must all stay open, or each picture would open them again. */
const choicesAtOnce = 8
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
  const ends = graph.outputs.map((name) => graph.nodes.find((node) => node.name === name)!)
  const outputBytes = ends.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0)
  return {
    thresholds,
    float: await openSession(emitOnnx(graph, { outputs: graph.outputs }), graph.name),
    replay,
    vendor: weightsOf(ends, undefined),
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
  return { reference: reference.map(referenceOf), boxes, int8: await replay.int8(feeds) }
}
