/**
 * `method: best` at the end of the network: how far outputs are clipped is decided by what is read from them, boxes or classes. Neither
 * SQNR nor readers can tell: large values weigh most in both, but that an objectness of -28 is stored as -14 changes no box, while
 * with half the step all boxes are finer.
 */
import type { ScaleGroup } from '../../calibrate/best.js'
import type { Thresholds } from '../../calibrate/threshold.js'
import { rankClasses } from '../../detect/classification.js'
import { boxDistance, classDistance, likeliestBoxes, strongBoxes } from '../../detect/distance.js'
import type { DetectorSpec } from '../../detect/types.js'
import { type Memo, memoKey } from '../../engine/memo.js'
import { emitOnnx } from '../../ir/emit.js'
import type { Graph, Tensor } from '../../ir/graph.js'
import { openQuantized } from '../../quantize/execute.js'
import { lower } from '../../quantize/lower.js'
import type { QGraph } from '../../quantize/qgraph.js'
import { runtimeIdentity } from '../../runtime/identity.js'
import { openSession } from '../../runtime/session.js'
import { sqnrLoss } from '../../search/loss.js'
import { readOutputs } from '../decoded.js'
import { readSample, type SampleFile, sampleInputs } from './load.js'
import { type Gain, gainOf, kept } from './network-loss.js'

/** How outputs are read. Only what belongs to the network: not which boxes a user wants to see. */
export type Reading = { readonly detector: DetectorSpec } | { readonly classes: number }

export interface OutputsReport {
  readonly by: 'boxes' | 'classes'
  /** Those that thresholds were chosen on, and those that they were then judged on: others, if there are more than 32. 0: none to judge. */
  readonly pictures: number
  readonly judged: number
  /** Whether the thresholds below were taken: if there, all together, they surely gain. */
  readonly applied: boolean
  readonly thresholds: Readonly<Record<string, { readonly from: number; readonly to: number }>>
  /** From what the float network finds, 0 to 1, on the pictures that judge, else on those that choose. */
  readonly distance: { readonly before: number; readonly after: number }
  readonly sqnr: { readonly before: number; readonly after: number }
}

/** Raise it when a distance comes out differently. */
const identity = `outputs 1, ${runtimeIdentity}`

/** More than decide on other layers: what is found jumps more from picture to picture than SQNR does. */
const PICTURES = 32
/** Pictures behind those: on them it is decided whether anything is taken. On yolov5n-320 what gains on the first ones gains nothing here. */
const JUDGED = 32
/** Tried besides what the methods propose, as shares of the largest value. Less than half would be more than a bit. */
const SHARES = [1, 7 / 8, 3 / 4, 5 / 8, 1 / 2]
/** Thresholds nearer to each other than this are not both tried. */
const APART = 1.03
/** Standard errors that a gain must have: the best of a dozen tried ones often has one by chance. */
const SURE = 2
/** dB of SQNR that all of them together may cost: outputs may hold more than is read here, such as the landmarks of a face. */
const MOST_LOST = 0.5

/**
 * Thresholds of the scales that outputs are stored with, and of those that come to them through layers without weights. Each is tried with
 * all others as they were, and what surely gains most is taken first.
 * @param thresholds what is decided so far
 * @param sets the methods' thresholds
 */
export async function clipOutputs(
  graph: Graph,
  thresholds: Thresholds,
  groups: readonly ScaleGroup[],
  sets: readonly Thresholds[],
  reading: Reading,
  files: readonly SampleFile[],
  { memo, digest }: { readonly memo: Memo; readonly digest: string },
): Promise<{ thresholds: Thresholds; report: OutputsReport }> {
  const lossesOf = (variants: readonly Thresholds[], pictures: readonly SampleFile[]): Promise<Loss[][]> => {
    const networks = [thresholds, ...variants].map((set) => [...set])
    const key = memoKey(identity, digest, JSON.stringify({ networks, reading }))
    return lossesByPicture(graph, thresholds, variants, reading, pictures, (file, make) =>
      kept(memo, memoKey(key, file.digest), make),
    )
  }
  const pictures = files.slice(0, PICTURES)
  const trials = endsOf(graph, groups).flatMap((group) =>
    candidatesFor(group, thresholds, sets).map((threshold) => ({ group, threshold })),
  )
  const [before, ...tried] = await lossesOf(
    trials.map(({ group, threshold }) => withOne(thresholds, group, threshold)),
    pictures,
  )
  const sure = trials
    .map((trial, i) => ({
      ...trial,
      distance: gainOf(distances(before!), distances(tried[i]!), SURE),
      cost: sqnrGain(before!, tried[i]!).before - sqnrGain(before!, tried[i]!).after,
    }))
    .filter(({ distance }) => distance.sure)
    .sort((a, b) => b.distance.after - a.distance.after)
  const taken = new Set<string>()
  let spent = 0
  let chosen = thresholds
  for (const { group, threshold, cost } of sure) {
    if (taken.has(group.layer) || spent + Math.max(0, cost) > MOST_LOST) continue
    taken.add(group.layer)
    spent += Math.max(0, cost)
    chosen = withOne(chosen, group, threshold)
  }
  const others = files.slice(PICTURES, PICTURES + JUDGED)
  const judged = others.length > 0 ? others : pictures
  const [was, is] = taken.size > 0 ? await lossesOf([chosen], judged) : [before!, before!]
  const gain = gainOf(distances(was!), distances(is!))
  const sqnr = sqnrGain(was!, is!)
  return {
    thresholds: gain.sure ? chosen : thresholds,
    report: {
      by: 'detector' in reading ? 'boxes' : 'classes',
      pictures: pictures.length,
      judged: taken.size > 0 ? judged.length : 0,
      applied: gain.sure,
      thresholds: Object.fromEntries(
        [...taken].map((layer) => [
          layer,
          { from: thresholds.get(layer)!.threshold, to: chosen.get(layer)!.threshold },
        ]),
      ),
      distance: { before: -gain.before, after: -gain.after },
      sqnr: { before: sqnr.before, after: sqnr.after },
    },
  }
}

const distances = (losses: readonly Loss[]): number[] => losses.map(({ distance }) => distance)
const sqnrGain = (before: readonly Loss[], after: readonly Loss[]): Gain =>
  gainOf(
    before.map(({ sqnr }) => sqnr),
    after.map(({ sqnr }) => sqnr),
  )

/** Groups with values that are outputs, or become outputs without meeting a weight: softmax, average and moves come behind the last conv. */
export function endsOf(graph: Graph, groups: readonly ScaleGroup[]): ScaleGroup[] {
  const ends = new Set(graph.outputs)
  for (const { name, inputs } of graph.nodes.toReversed())
    if (ends.has(name) && !inputs.some((input) => graph.weights.has(input))) for (const input of inputs) ends.add(input)
  return groups.filter(({ members }) => members.some((member) => ends.has(member)))
}

function candidatesFor({ layer }: ScaleGroup, thresholds: Thresholds, sets: readonly Thresholds[]): number[] {
  const { threshold, min, max } = thresholds.get(layer)!
  const largest = Math.max(-min, max)
  const taken = [threshold]
  for (const one of [...SHARES.map((share) => share * largest), ...sets.map((set) => set.get(layer)!.threshold)])
    if (one > 0 && !taken.some((other) => Math.max(one, other) < APART * Math.min(one, other))) taken.push(one)
  return taken.slice(1)
}

const withOne = (thresholds: Thresholds, { layer }: ScaleGroup, threshold: number): Thresholds =>
  new Map(thresholds).set(layer, { ...thresholds.get(layer)!, threshold })

/** On one picture; `sqnr` is negative, dB. */
interface Loss {
  readonly distance: number
  readonly sqnr: number
}

/**
 * Of the INT8 network with the thresholds `base`, then of those with each of `variants`: from the values in front of what changes, only
 * what lies behind is computed anew. One picture's values are alive at a time.
 * @param piece a picture's losses, unless they are known
 */
async function lossesByPicture(
  graph: Graph,
  base: Thresholds,
  variants: readonly Thresholds[],
  reading: Reading,
  pictures: readonly SampleFile[],
  piece: (picture: SampleFile, make: () => Promise<Loss[]>) => Promise<Loss[]>,
): Promise<Loss[][]> {
  const lowered = lower(graph, base, () => 'INT8')
  const tails = variants.map((set) => {
    const variant = lower(graph, set, () => 'INT8')
    return { variant, ...tailOf(lowered, variant) }
  })
  const open = async () => ({
    float: await openSession(emitOnnx(graph), graph.name),
    int8: await openQuantized(lowered, {
      outputs: [...new Set([...lowered.outputs, ...tails.flatMap(({ from }) => from)])],
    }),
    tails: await Promise.all(
      tails.map(({ variant, outputs, from }) =>
        outputs.length > 0 ? openQuantized(variant, { outputs, from }) : undefined,
      ),
    ),
  })
  // Opened for the first picture whose losses are not known.
  let sessions: Awaited<ReturnType<typeof open>> | undefined
  const inputs = sampleInputs(graph)
  const { shape } = inputs[0]!
  const byPicture: Loss[][] = []
  for (const file of pictures) {
    const losses = await piece(file, async () => {
      sessions ??= await open()
      const { feeds } = await readSample(file, inputs)
      const exact = await sessions.float.run(feeds)
      const reference = graph.outputs.map((name) => exact.get(name)!)
      const distance = distanceFrom(graph, reference, reading, shape)
      const lossOf = (outputs: readonly Tensor[]): Loss => ({
        distance: distance(outputs),
        sqnr: sqnrLoss(reference, outputs),
      })
      const stored = await sessions.int8.run(feeds)
      const found = [lossOf(lowered.outputs.map((name) => stored.get(name)!))]
      for (const [k, { variant, from }] of tails.entries()) {
        const given = Object.fromEntries(from.map((name) => [name, stored.get(name)!]))
        // A threshold that nothing is rounded by, such as that of a softmax in float, changes no output.
        const results = await sessions.tails[k]?.run({ ...feeds, ...given })
        found.push(results ? lossOf(variant.outputs.map((name) => results.get(name) ?? stored.get(name)!)) : found[0]!)
      }
      return found
    })
    byPicture.push(losses)
  }
  if (sessions) for (const session of [sessions.float, sessions.int8, ...sessions.tails]) await session?.release()
  return [base, ...variants].map((_, k) => byPicture.map((losses) => losses[k]!))
}

/** What of a variant has to be computed: outputs behind what is stored or computed otherwise, from the values in front of that. */
function tailOf(base: QGraph, variant: QGraph): { outputs: string[]; from: string[] } {
  const before = new Map(base.nodes.map((node) => [node.name, node]))
  const computed = new Set<string>()
  const from = new Set<string>()
  for (const { name, type, op, inputs } of variant.nodes) {
    const old = before.get(name)
    const same = old && JSON.stringify([old.type, old.inputs, old.op.type]) === JSON.stringify([type, inputs, op.type])
    if (same && !inputs.some((input) => computed.has(input))) continue
    computed.add(name)
    for (const input of inputs) if (before.get(input) && before.get(input)!.op.type !== 'Input') from.add(input)
  }
  return {
    outputs: variant.outputs.filter((name) => computed.has(name)),
    from: [...from].filter((name) => !computed.has(name)),
  }
}

/** How far outputs are from what is read from the float network's, 0 to 1. */
function distanceFrom(
  graph: Graph,
  reference: readonly Tensor[],
  reading: Reading,
  inputShape: readonly number[],
): (outputs: readonly Tensor[]) => number {
  if ('detector' in reading) {
    const { detector } = reading
    const boxes = readOutputs(graph, () => strongBoxes(reference, detector, inputShape))
    return (outputs) => boxDistance(boxes, likeliestBoxes(outputs, detector, inputShape, boxes))
  }
  const ranking = rankClasses(reference, reading.classes)
  return (outputs) => classDistance(ranking, rankClasses(outputs, reading.classes))
}
