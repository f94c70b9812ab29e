/** The search itself: what is tried, and what of it is taken. */
import type { Latency } from '../config/config.js'
import * as disk from '../disk.js'
import type { StageContext } from '../engine/stage.js'
import type { Graph } from '../ir/graph.js'
import { candidateLayers, runs, stretches, withMoves } from '../search/candidates.js'
import { type Choice, choiceKey, complete, int8Only } from '../search/choice.js'
import { bestOf, noWorse, paretoFront } from '../search/front.js'
import { historicalChoice } from '../search/historical.js'
import { readLossTable } from '../search/losstable.js'
import type { Objective } from '../search/objective.js'
import { cheapPrices } from '../search/price.js'
import { type Candidate, improvement, type Known, type Measured, type Step, selectLayers } from '../search/select.js'
import type { Recipe } from './context.js'
import { measure, type Pricing, type Search } from './measure.js'
import type { Selection } from './selection.js'
import { type Drops, dropsOf } from './target.js'

/** Candidates are tried on so many of the pictures, the best of them on some more: what comes out on top is measured on all. */
export const firstPictures = 2
const rankingPictures = 4
/** So many are the best. */
const ranked = 48

export interface Task {
  readonly recipe: Recipe
  readonly context: StageContext
  readonly mix: Search
  readonly graph: Graph
  /** What a search tries does not depend on it, but its pieces are ready when it is there. */
  readonly lossTable: string
  readonly prices: Pricing
  readonly objective: Objective
}

export interface Found {
  readonly int8: Known
  readonly picked: Known
  readonly steps: readonly (Step & { readonly cheap: number })[]
  readonly front: readonly Known[]
  readonly drops: ReadonlyMap<string, Drops>
  readonly maxCycles: number
  /** Of the target; null without one. */
  readonly reached: boolean | null
  /** How many choices, on all pictures. */
  readonly measured: number
  readonly tried: Selection['tried']
}

export async function searched({ recipe, context, mix, graph, prices, objective }: Task): Promise<Found> {
  const [mode] = mix.modes
  const alike = (layers: readonly string[]): Choice => new Map(layers.map((layer) => [layer, mode]))
  const tried = [
    ...candidateLayers(graph).map((layer) => [layer]),
    ...[...runs(graph), ...stretches(graph)].map((layers) => withMoves(graph, layers)),
  ].filter(({ length }) => length <= mix.maxFloatLayers)
  const measured = async (choices: readonly Choice[], most?: number): Promise<Measured[]> =>
    (await measure(recipe, context, mix, objective, choices, most)).losses
  const alone = await gainsOf(tried.map(alike), measured)
  const whole = await prices.whole(mix.modes)
  const cheap = cheapPrices(graph, whole.int8, whole.float)
  const maxCycles = mix.maxLatency ? cyclesOf(mix.maxLatency, whole.int8.cycles) : Infinity
  const drops = new Map<string, Drops>()
  let reached: boolean | null = mix.target ? false : null
  const {
    steps,
    known,
    measured: made,
  } = await selectLayers({
    candidates: tried.map((layers, i): Candidate => ({ layers, gain: alone[i]!.improvement })),
    int8: (await measured([int8Only]))[0]!,
    modes: mix.modes,
    complete: (choice) => complete(graph, choice),
    measure: measured,
    cheap,
    exact: prices.exact,
    limits: { minImprovement: mix.minImprovement, maxLayers: mix.maxFloatLayers, maxCycles },
    guarded: mix.objective === 'detection',
    async enough({ choice, loss }) {
      if (!mix.target) return false
      const { figure, value } = mix.target
      if (figure !== 'loss') drops.set(choiceKey(choice), await dropsOf(recipe, context, choice))
      const reachedNow = (figure === 'loss' ? loss : drops.get(choiceKey(choice))![figure]) <= value
      reached = reachedNow
      return reachedNow
    },
  })
  const [int8] = known as [Known, ...Known[]]
  const points = known.map((one) => ({ ...one, size: one.choice.size }))
  const front = paretoFront(points)
  const { pick } = mix
  const end = steps.at(-1) ?? int8
  const allowed = ({ size, sqnr, cycles }: (typeof points)[number]): boolean =>
    size <= mix.maxFloatLayers && cycles <= maxCycles && (mix.objective !== 'detection' || sqnr <= int8.sqnr)
  const picked =
    pick === 'best'
      ? // What a target is about was found for the end alone.
        mix.target
        ? end
        : noWorse(front, { ...end, size: end.choice.size }, allowed)
      : (bestOf(
          [points[0]!, ...front].sort((a, b) => b.loss - a.loss),
          ({ size, cycles }) => ('layers' in pick ? size <= pick.layers : cycles <= cyclesOf(pick, int8.cycles)),
        ) ?? int8)
  return {
    int8,
    picked,
    steps: steps.map((step) => ({ ...step, cheap: cheap(step.choice) })),
    front,
    drops,
    maxCycles,
    reached,
    measured: made,
    tried: tried
      .map((layers, i) => ({ layers, improvement: alone[i]!.improvement, pictures: alone[i]!.pictures }))
      .sort((a, b) => b.improvement - a.improvement),
  }
}

interface Alone {
  /** Of the mean loss over so many pictures. */
  readonly improvement: number
  readonly pictures: number
}

/** What each choice gains by itself: on few pictures, and where that is much on some more. */
async function gainsOf(
  choices: readonly Choice[],
  measured: (choices: readonly Choice[], most: number) => Promise<readonly Measured[]>,
): Promise<Alone[]> {
  const on = async (some: readonly Choice[], pictures: number): Promise<Alone[]> => {
    const [int8, ...losses] = (await measured([int8Only, ...some], pictures)) as [Measured, ...Measured[]]
    return losses.map(({ loss }) => ({ improvement: improvement(int8.loss, int8.loss, loss), pictures }))
  }
  const gains = await on(choices, firstPictures)
  const best = [...gains.keys()].sort((a, b) => gains[b]!.improvement - gains[a]!.improvement || a - b).slice(0, ranked)
  const better = await on(
    best.map((index) => choices[index]!),
    rankingPictures,
  )
  for (const [at, index] of best.entries()) gains[index] = better[at]!
  return gains
}

/** Nothing is tried: the rule looks at the table alone. What it chose is measured and priced all the same. */
export async function historical({ recipe, context, mix, lossTable, prices, objective }: Task): Promise<Found> {
  const { losses } = readLossTable(disk.readText(context.path(lossTable)), lossTable)
  const { losses: before } = await measure(recipe, context, mix, objective, [int8Only])
  const choice: Choice = new Map(historicalChoice(losses, before[0]!.sqnr).map((layer) => [layer, mix.modes[0]]))
  const { losses: after } = await measure(recipe, context, mix, objective, [choice])
  const cycles = await prices.exact([int8Only, choice])
  const int8: Known = { ...before[0]!, choice: int8Only, cycles: cycles[0]! }
  const picked: Known = { ...after[0]!, choice, cycles: cycles[1]! }
  const known = [int8, picked].map((one) => ({ ...one, size: one.choice.size }))
  const front = paretoFront(known)
  return {
    int8,
    picked,
    steps: [],
    front,
    drops: new Map(),
    maxCycles: Infinity,
    reached: null,
    measured: 1,
    tried: [],
  }
}

/** In cycles. */
export const cyclesOf = (latency: Latency, int8: number): number =>
  'times' in latency ? latency.times * int8 : 1000 * latency.microseconds
