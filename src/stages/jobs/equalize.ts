import { analysePicture, readLayers, withFollowers } from '../../calibrate/analyse.js'
import { thresholdsOf } from '../../calibrate/choose.js'
import {
  type ConvPair,
  channelRanges,
  type EvenRule,
  equalizable,
  equalize,
  evenFactors,
} from '../../calibrate/equalize.js'
import { mergeStatistics, type TensorStatistics } from '../../calibrate/statistics.js'
import type { Thresholds } from '../../calibrate/threshold.js'
import * as disk from '../../disk.js'
import { QuantError } from '../../errors.js'
import { emitOnnx } from '../../ir/emit.js'
import type { Graph } from '../../ir/graph.js'
import { writeNpz } from '../../ir/npz.js'
import { topWeights, writeTop } from '../../ir/top/write.js'
import type { Progress } from '../../runtime/pool.js'
import { openSession } from '../../runtime/session.js'
import { meanLoss } from '../../search/loss.js'
import { type GraphFiles, loadGraph, type SampleFile } from './load.js'
import { type Gain, gainOf, int8Losses, type Referenced, readFeeds, withReferences } from './network-loss.js'

/** NAME_equalization.json. SQNR is that of the INT8 network with `mse` thresholds, dB. */
export interface Equalization {
  readonly applied: boolean
  /** In graph order, with the rule that each got. */
  readonly pairs: readonly { readonly first: string; readonly second: string; readonly rule: string }[]
  /** On the pictures that factors were chosen on, and that thresholds are from. */
  readonly sqnr: Gain
  /** On pictures behind those: they decide. */
  readonly held_out?: Gain & { readonly pictures: number }
  /** Largest difference between the float outputs of both graphs, as a share of the largest output. */
  readonly float_difference: number
}

/** What float32 may differ by after other roundings; more means that the networks are not the same. */
const FLOAT_ROUNDING = 1e-3

/** The graph with even channels, or as it was where they gain nothing. */
export async function equalizeModel(
  args: {
    graph: GraphFiles
    pictures: readonly SampleFile[]
    /** How many of them are to choose factors on; the others judge. */
    chosenOn: number
    mlir: string
    weights: string
    weightFile: string
    report: string
  },
  progress: Progress,
): Promise<{ pairs: number; even: number; applied: boolean; before: number; after: number }> {
  const graph = await loadGraph(args.graph)
  const pairs = equalizable(graph)
  const references = await withReferences(graph, await readFeeds(graph, args.pictures))
  const chosenOn = references.slice(0, args.chosenOn)
  const options = await optionsFor(graph, pairs, chosenOn)
  const choice = await choose(graph, pairs, options, chosenOn, progress)
  const even = evenGraph(graph, choice)
  const changed = [...choice.values()].filter(({ factors }) => factors).length
  const feeds = references.map((one) => one.feeds)
  const difference = changed > 0 ? largestDifference(references, await withReferences(even, feeds)) : 0
  if (!(difference <= FLOAT_ROUNDING))
    throw new QuantError('model', `equalisation changed what the float network computes, by ${difference}`, {
      hint: 'set `calibration.equalize: false`, and report it with the model',
    })
  const [{ thresholds }] = options
  const before = await int8Losses(graph, thresholds, references)
  const after = changed > 0 ? await lossesOf(graph, thresholds, choice, references) : before
  const gain = (from: number, to?: number): Gain => gainOf(before.slice(from, to), after.slice(from, to))
  const sqnr = gain(0, chosenOn.length)
  const heldOut = references.length > chosenOn.length ? gain(chosenOn.length) : undefined
  const { sure: applied, ...judged } = heldOut ?? sqnr
  const result = applied ? even : graph
  disk.writeAtomic(args.weights, writeNpz(topWeights(result)))
  disk.writeAtomic(args.mlir, writeTop(result, { weightFile: args.weightFile }))
  const report: Equalization = {
    applied,
    pairs: pairs.map((pair) => ({ first: pair.first, second: pair.second, rule: choice.get(pair)!.name })),
    sqnr,
    ...(heldOut ? { held_out: { pictures: references.length - chosenOn.length, ...heldOut } } : {}),
    float_difference: difference,
  }
  disk.writeAtomic(args.report, `${JSON.stringify(report, undefined, 2)}\n`)
  return { pairs: pairs.length, even: changed, applied, ...judged }
}

/** Half the way in logarithms, with the second filter spared or not, and all the way. */
const RULES: readonly (EvenRule & { readonly name: string })[] = [
  { name: 'range^0.5', exponent: 0.5, shared: false },
  { name: '(range / reach)^0.5', exponent: 0.5, shared: true },
  { name: 'range', exponent: 1, shared: false },
]

/** A rule for a pair, or none. */
interface Option {
  readonly name: string
  readonly factors?: ReadonlyMap<ConvPair, readonly number[]>
  /** Of all layers, where all pairs get this rule. */
  readonly thresholds: Thresholds
}
/** Of all pairs. */
type Choice = ReadonlyMap<ConvPair, Option>

/** None first. */
async function optionsFor(
  graph: Graph,
  pairs: readonly ConvPair[],
  pictures: readonly Referenced[],
): Promise<[Option, ...Option[]]> {
  const options: [Option, ...Option[]] = [{ name: 'none', thresholds: await calibrated(graph, pictures) }]
  if (pairs.length === 0) return options
  const ranges = await rangesOf(graph, pairs, pictures)
  for (const rule of RULES) {
    const factors = new Map(pairs.map((pair) => [pair, evenFactors(graph, pair, ranges.get(pair)!, rule)]))
    options.push({ name: rule.name, factors, thresholds: await calibrated(equalize(graph, factors), pictures) })
  }
  return options
}

/** Neighbouring pairs that are decided together. */
const BLOCKS = 8

/**
 * One option for all pairs, whichever the whole INT8 network does best with; then block by block another where the network surely gains
 * by it. The error of the second conv alone does not tell: it gets smaller in networks that lose by it.
 */
async function choose(
  graph: Graph,
  pairs: readonly ConvPair[],
  options: readonly [Option, ...Option[]],
  pictures: readonly Referenced[],
  progress: Progress,
): Promise<Choice> {
  const size = Math.max(1, Math.ceil(pairs.length / BLOCKS))
  const blocks = Math.ceil(pairs.length / size)
  const measured = async (choice: Choice): Promise<{ choice: Choice; losses: readonly number[] }> => {
    const losses = await lossesOf(graph, options[0].thresholds, choice, pictures)
    progress(1, options.length + blocks * (options.length - 1))
    return { choice, losses }
  }
  let best: Awaited<ReturnType<typeof measured>> = { choice: new Map(), losses: [] }
  for (const [i, option] of options.entries()) {
    const one = await measured(new Map(pairs.map((pair) => [pair, option])))
    if (i === 0 || meanLoss(one.losses) < meanLoss(best.losses)) best = one
  }
  for (let at = 0; at < pairs.length; at += size) {
    const block = pairs.slice(at, at + size)
    const now = best.choice.get(block[0]!)
    for (const option of options) {
      if (option === now) continue
      const one = await measured(new Map([...best.choice, ...block.map((pair) => [pair, option] as const)]))
      if (gainOf(best.losses, one.losses).sure) best = one
    }
  }
  return best.choice
}

const evenGraph = (graph: Graph, choice: Choice): Graph =>
  equalize(
    graph,
    new Map([...choice].flatMap(([pair, { factors }]) => (factors ? [[pair, factors.get(pair)!] as const] : []))),
  )

/** Of INT8. A pair's factors change the values between its convs and no others: their thresholds are those of its option. */
async function lossesOf(
  graph: Graph,
  plain: Thresholds,
  choice: Choice,
  pictures: readonly Referenced[],
): Promise<number[]> {
  const thresholds = new Map(plain)
  for (const [{ values }, option] of choice)
    for (const value of values) thresholds.set(value, option.thresholds.get(value)!)
  return int8Losses(evenGraph(graph, choice), thresholds, pictures)
}

async function rangesOf(
  graph: Graph,
  pairs: readonly ConvPair[],
  pictures: readonly Referenced[],
): Promise<Map<ConvPair, Float64Array>> {
  const session = await openSession(emitOnnx(graph, { outputs: pairs.map(({ first }) => first) }), graph.name)
  const ranges = new Map<ConvPair, Float64Array>()
  for (const { feeds } of pictures) {
    const values = await session.run(feeds)
    for (const pair of pairs) ranges.set(pair, channelRanges(values.get(pair.first)!, ranges.get(pair)))
  }
  await session.release()
  return ranges
}

/** By the method that needs no tuning. */
async function calibrated(graph: Graph, pictures: readonly Referenced[]): Promise<Thresholds> {
  const session = await openSession(emitOnnx(graph, { outputs: readLayers(graph) }), graph.name)
  const found: Map<string, TensorStatistics>[] = []
  for (const { feeds } of pictures) found.push(await analysePicture(graph, session, feeds))
  await session.release()
  const merged = new Map(
    [...found[0]!.keys()].map((name) => [name, mergeStatistics(found.map((one) => one.get(name)!))]),
  )
  return thresholdsOf(withFollowers(graph, merged), { method: 'mse' })
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
