/**
 * `method: best`: the thresholds of every method, then the best of them for each tensor, then what the whole network does best with, and
 * at last, for outputs, what is read from them.
 */
import { type Choice, choicesOf, openJudge, pickThresholds } from '../../calibrate/best.js'
import { METHODS, thresholdsOf } from '../../calibrate/choose.js'
import type { TensorStatistics } from '../../calibrate/statistics.js'
import type { Thresholds } from '../../calibrate/threshold.js'
import { tuneThresholds } from '../../calibrate/tune.js'
import { type Memo, memoKey } from '../../engine/memo.js'
import type { Graph } from '../../ir/graph.js'
import { scaleGroups } from '../../quantize/propagate.js'
import { runtimeIdentity } from '../../runtime/identity.js'
import type { SampleFile } from './load.js'
import { int8Loss, kept, readFeeds, withReferences } from './network-loss.js'
import { clipOutputs, type OutputsReport, type Reading } from './outputs.js'

export interface BestReport {
  /**
   * Of the whole network on the pictures that decide, dB, with every layer in INT8: of the methods, and of what is best by it, `best`;
   * `outputs` may trade some of that for boxes.
   */
  readonly sqnr: Readonly<Record<string, number>>
  /** Scales for which the methods disagree, and how many of them take a threshold of which method. */
  readonly decided: number
  readonly from: Readonly<Record<string, number>>
  /** Absent where nothing says how outputs are read. */
  readonly outputs?: OutputsReport
}

/** Further out and further in than what `percentile` has. */
const morePercentiles = [99.9, 99.999]

/** Raise it when thresholds or errors come out differently. */
const bestIdentity = `best 3, ${runtimeIdentity}`

/**
 * Costs the tuning of every method, per deciding picture one float run with seven runs of every layer, and the runs of 18 INT8 networks.
 * Tuned thresholds, each picture's errors and each network's loss are kept.
 * @param tune pictures for tuning; without any the methods' thresholds are compared as they are
 * @param decide how many pictures decide, the first ones, at least one; a handful is learnt by heart
 * @param reading how outputs are read, where that is known
 */
export async function bestOfMethods(
  graph: Graph,
  statistics: ReadonlyMap<string, TensorStatistics>,
  percentile: number,
  tune: readonly SampleFile[],
  all: readonly SampleFile[],
  decide: number,
  reading: Reading | undefined,
  { memo, digest }: { readonly memo: Memo; readonly digest: string },
  progress: (layers: number) => void,
): Promise<{ thresholds: Thresholds; report: BestReport }> {
  const feeds = await readFeeds(graph, tune)
  const proposals = new Map<string, Thresholds>()
  for (const method of METHODS) {
    const untuned = thresholdsOf(statistics, { method, percentile })
    const key = memoKey(bestIdentity, 'tuned', digest, JSON.stringify([...untuned]), ...tune.map((file) => file.digest))
    const tuned = await kept(memo, key, async () => [...(await tuneThresholds(graph, untuned, feeds, progress))])
    proposals.set(method, new Map(tuned)).set(`${method}, untuned`, untuned)
  }
  for (const share of morePercentiles)
    proposals.set(`percentile ${share}, untuned`, thresholdsOf(statistics, { method: 'percentile', percentile: share }))

  const parts = new Map(METHODS.map((method) => [method as string, proposals.get(method)!]))
  const groups = scaleGroups(graph, parts.get('kl')!)
  const choices = choicesOf(groups, [...proposals.values()])
  const judge = await openJudge(graph, choices)
  const deciding = all.slice(0, decide)
  const pictures = await readFeeds(graph, deciding)
  const errors: number[][][] = []
  for (const [i, file] of deciding.entries()) {
    const key = memoKey(bestIdentity, 'errors', digest, JSON.stringify(choices), file.digest)
    errors.push(await kept(memo, key, () => judge.errors(pictures[i]!)))
  }
  await judge.release()
  const picked = pickThresholds(choices, errors, parts.get('kl')!)

  const references = await withReferences(graph, pictures)
  const lossOf = (set: Thresholds): Promise<number> =>
    kept(
      memo,
      memoKey(bestIdentity, 'loss', digest, JSON.stringify([...set]), ...deciding.map((file) => file.digest)),
      () => int8Loss(graph, set, references),
    )
  const losses = new Map<string, number>()
  for (const [name, set] of parts) losses.set(name, await lossOf(set))
  const leader = [...losses].reduce((least, one) => (one[1] < least[1] ? one : least))[0]
  losses.set(APART, await lossOf(picked))
  const [from, other] =
    losses.get(APART)! < losses.get(leader)! ? [picked, parts.get(leader)!] : [parts.get(leader)!, picked]
  const mixed = await mixBlocks(choices, from, other, lossOf)
  losses.set('best', await lossOf(mixed))
  const counts: Record<string, number> = {}
  for (const { group } of choices) {
    const threshold = mixed.get(group.layer)!.threshold
    const [source] = [...proposals].find(([, set]) => set.get(group.layer)?.threshold === threshold)!
    counts[source] = (counts[source] ?? 0) + 1
  }
  const sqnr = Object.fromEntries([...losses].map(([name, loss]) => [name, -loss]))
  const report = { sqnr, decided: choices.length, from: counts }
  if (reading === undefined) return { thresholds: mixed, report }
  const ends = await clipOutputs(graph, mixed, groups, [...proposals.values()], reading, all, { memo, digest })
  return { thresholds: ends.thresholds, report: { ...report, outputs: ends.report } }
}

/** Every tensor by its own readers only. */
const APART = 'tensor by tensor'
/** Neighbouring scales that are exchanged together. */
const BLOCKS = 12

/** Readers cannot tell how much their error matters at the end: block by block the other set is taken where the whole network gains by it. */
async function mixBlocks(
  choices: readonly Choice[],
  from: Thresholds,
  other: Thresholds,
  lossOf: (set: Thresholds) => Promise<number>,
): Promise<Thresholds> {
  const size = Math.max(1, Math.ceil(choices.length / BLOCKS))
  let best = { set: from, loss: await lossOf(from) }
  for (let at = 0; at < choices.length; at += size) {
    const set = new Map(best.set)
    for (const { group } of choices.slice(at, at + size)) set.set(group.layer, other.get(group.layer)!)
    const loss = await lossOf(set)
    if (loss < best.loss) best = { set, loss }
  }
  return best.set
}
