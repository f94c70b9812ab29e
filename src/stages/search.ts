import type { Latency, Variant } from '../config/config.js'
import * as disk from '../disk.js'
import type { Json } from '../engine/reason.js'
import type { Stage, StageContext } from '../engine/stage.js'
import type { Graph } from '../ir/graph.js'
import { candidateLayers, runs, stretches, withMoves } from '../search/candidates.js'
import { type Choice, choiceKey, complete, type FloatMode, int8Only } from '../search/choice.js'
import { bestOf, noWorse, paretoFront } from '../search/front.js'
import type { SearchHeader } from '../search/header.js'
import { historicalChoice } from '../search/historical.js'
import { readLossTable, writeLossTable } from '../search/losstable.js'
import { describeObjective, type Objective, weightsOf } from '../search/objective.js'
import { cheapPrices } from '../search/price.js'
import { writeQtable } from '../search/qtable.js'
import { type Candidate, improvement, type Known, type Measured, type Step, selectLayers } from '../search/select.js'
import { graphFiles } from './calibrate.js'
import { compileIdentity, tableOf } from './compile.js'
import { graphParams, type Recipe } from './context.js'
import { detectorParams } from './detect.js'
import { lossIdentity, measure, type Pricing, pricing, type Search, searchPictures } from './measure.js'
import type { Selection } from './selection.js'
import { type Drops, dropsOf, targetReads } from './target.js'

export type { Search } from './measure.js'

/** Candidates are tried on so many of the pictures, the best of them on some more: what comes out on top is measured on all. */
const firstPictures = 2
const rankingPictures = 4
/** So many are the best. */
const ranked = 48

/**
 * One loss per candidate layer: NAME_full_loss_table.txt. Always SQNR, as the vendor's. `ranked` measures what the search's own ranking
 * needs, and no more; `exhaustive` every layer on all pictures.
 */
export function lossesStage(recipe: Recipe, variant: Variant, mix: Search): Stage {
  const files = recipe.artifacts.variant(variant)
  const at = `variants.${variant.name}.mix`
  return {
    name: `losses:${variant.name}`,
    title: 'loss per layer',
    variant: variant.name,
    params: {
      ...graphParams(recipe),
      [`${at}.mode`]: mix.modes[0],
      [`${at}.loss_table`]: mix.lossTable,
      ...(mix.order === 'historical' ? { [`${at}.order`]: mix.order } : {}),
      ...(mix.objective === 'detection' ? detectorParams(recipe) : {}),
    },
    identity: `losses 2, ${lossIdentity}`,
    ...readsOf(recipe, mix),
    outputs: [files.lossTable],
    async run(context) {
      const graph = await recipe.pool.run('readLayers', { graph: graphFiles(recipe, context) })
      const candidates = candidateLayers(graph)
      const pictures = mix.lossTable === 'ranked' ? firstPictures : Infinity
      const { losses, reused } = await measure(
        recipe,
        context,
        mix,
        plainSqnr(graph),
        [int8Only, ...candidates.map((layer) => new Map([[layer, mix.modes[0]]]))],
        pictures,
      )
      const [int8, ...single] = losses as [Measured, ...Measured[]]
      const header = headerOf(recipe, mix, int8.sqnr)
      const few = pictures < header.samples
      const table = writeLossTable(
        few
          ? { ...header, samples: pictures, note: `ranked: the first ${pictures} of ${header.samples} pictures` }
          : header,
        candidates.map((layer, index) => ({ layer, loss: single[index]!.sqnr })),
        mix.order,
      )
      disk.writeAtomic(context.target(files.lossTable), table)
      return {
        note: `all INT8 ${(-int8.sqnr).toFixed(2)} dB, ${candidates.length} layers${few ? ` on ${pictures} of ${header.samples} pictures` : ''}${reused > 0 ? ` (${reused} runs known)` : ''}`,
      }
    },
  }
}

/**
 * Graph + losses -> NAME_qtable. Tries single layers and islands of neighbours; every step is measured on the whole choice, and priced by
 * its program, so the loss and the time that are told are those of the table. With a detector, what is made small is the distance of the
 * boxes from the float model's: SQNR hardly sees the few numbers that place a box.
 */
export function selectStage(recipe: Recipe, variant: Variant, mix: Search): Stage {
  const files = recipe.artifacts.variant(variant)
  const reads = readsOf(recipe, mix)
  const target = targetReads(recipe, mix.target)
  return {
    name: `select:${variant.name}`,
    title: 'layers to keep float',
    variant: variant.name,
    params: {
      ...graphParams(recipe),
      ...paramsOf(variant, mix),
      ...(mix.objective === 'detection' ? detectorParams(recipe) : {}),
      ...target.params,
    },
    identity: `select 5, ${lossIdentity}, ${compileIdentity}`,
    files: [...new Set([...reads.files, ...target.files])],
    needs: [...reads.needs, files.lossTable],
    outputs: [files.qtable, files.selection],
    memo: 'losses',
    async run(context) {
      const graph = await recipe.pool.run('readLayers', { graph: graphFiles(recipe, context) })
      const found = await (mix.order === 'historical' ? historical : searched)({
        recipe,
        context,
        mix,
        graph,
        lossTable: files.lossTable,
        prices: pricing(recipe, context, variant),
        objective: objectiveOf(graph, mix),
      })
      const selection = selectionOf(recipe, mix, found)
      tell(context, variant, mix, selection)
      disk.writeAtomic(
        context.target(files.qtable),
        writeQtable(headerOf(recipe, mix, found.int8.sqnr), found.picked.choice),
      )
      disk.writeAtomic(context.target(files.selection), `${JSON.stringify(selection, undefined, 2)}\n`)
      const { all_int8, joint, layers } = selection
      return {
        note:
          layers.length === 0
            ? 'none: equals INT8'
            : `${layers.length} layers, ${decibels(all_int8.sqnr)} -> ${decibels(joint.sqnr)} together, ${(joint.microseconds / all_int8.microseconds).toFixed(2)}x the time`,
      }
    },
  }
}

interface Task {
  readonly recipe: Recipe
  readonly context: StageContext
  readonly mix: Search
  readonly graph: Graph
  /** What a search tries does not depend on it, but its pieces are ready when it is there. */
  readonly lossTable: string
  readonly prices: Pricing
  readonly objective: Objective
}

interface Found {
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

async function searched({ recipe, context, mix, graph, prices, objective }: Task): Promise<Found> {
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
async function historical({ recipe, context, mix, lossTable, prices, objective }: Task): Promise<Found> {
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

function selectionOf(recipe: Recipe, mix: Search, found: Found): Selection {
  const { int8, picked, steps, front, drops, maxCycles, reached, measured, tried } = found
  const figures = ({ choice, loss, sqnr, cycles }: Known) => ({
    loss: finite(loss),
    sqnr: finite(-sqnr),
    microseconds: cycles / 1000,
    ...drops.get(choiceKey(choice)),
  })
  const precision = ({ choice }: Known): Record<string, FloatMode> => Object.fromEntries(choice)
  const pictures = searchPictures(recipe, mix).length
  return {
    objective: mix.objective,
    loss: describeObjective[mix.objective],
    order: mix.order,
    modes: mix.modes,
    min_improvement: mix.minImprovement,
    max_float_layers: Number.isFinite(mix.maxFloatLayers) ? mix.maxFloatLayers : null,
    max_microseconds: Number.isFinite(maxCycles) ? maxCycles / 1000 : null,
    target: mix.target ? { ...mix.target, reached: reached === true } : null,
    pictures,
    measured,
    all_int8: figures(int8),
    joint: figures(picked),
    layers: [...picked.choice.keys()],
    precision: precision(picked),
    steps: steps.map((step) => ({
      ...(step.added.length > 0 ? { added: step.added } : {}),
      ...(step.dropped.length > 0 ? { dropped: step.dropped } : {}),
      layers: step.choice.size,
      ...figures(step),
      microseconds_cheap: step.cheap / 1000,
      improvement: step.improvement,
      measured: step.measured,
    })),
    front: front.map((one) => ({
      precision: precision(one),
      ...figures(one),
      picked: choiceKey(one.choice) === choiceKey(picked.choice),
    })),
    tried,
  }
}

const decibels = (sqnr: number | null): string => (sqnr === null ? '-' : `${sqnr.toFixed(2)} dB`)
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)

/** What the user would not expect. */
function tell(context: StageContext, variant: Variant, mix: Search, selection: Selection): void {
  const { target, layers, joint, all_int8, max_microseconds } = selection
  const at = `variants.${variant.name}.mix`
  const warn = (message: string): void => context.warn({ about: variant.name, message })
  if (target && !target.reached)
    warn(
      `no choice that was found has a ${target.figure} of ${target.value}: the best leaves ${joint[target.figure as 'loss'] ?? 'more'}; a smaller ${at}.min_improvement or more time may`,
    )
  if (layers.length > 0) return
  const { pick } = mix
  const int8Time = all_int8.microseconds
  const all = `so ${variant.name} equals INT8, which takes ${int8Time.toFixed(1)} us`
  if (pick !== 'best' && !('layers' in pick) && cyclesOf(pick, 1000 * int8Time) < 1000 * int8Time)
    warn(`no choice that was found takes ${latencyText(pick)} or less, ${all}`)
  if (target?.reached) return
  if (mix.order === 'historical') warn(`no layer makes the loss 5 % worse, so ${variant.name} equals INT8`)
  else if (pick === 'best' && max_microseconds !== null && max_microseconds < int8Time)
    warn(`nothing that pays takes ${max_microseconds.toFixed(1)} us or less, ${all}; raise ${at}.max_latency`)
  else if (pick === 'best')
    warn(
      `no layer improves the loss by ${(100 * mix.minImprovement).toFixed(1)} %, so ${variant.name} equals INT8; lower ${at}.min_improvement to keep more layers float`,
    )
}

const cyclesOf = (latency: Latency, int8: number): number =>
  'times' in latency ? latency.times * int8 : 1000 * latency.microseconds

function objectiveOf(graph: Graph, mix: Search): Objective {
  const outputs = graph.outputs.map((name) => graph.nodes.find((node) => node.name === name)!)
  return { kind: mix.objective, weights: weightsOf(outputs, mix.weights) }
}

const plainSqnr = (graph: Graph): Objective => ({ kind: 'sqnr', weights: graph.outputs.map(() => 1) })

/** Only what is set: a reason names what changed. */
function paramsOf(variant: Variant, mix: Search): Record<string, Json> {
  const at = `variants.${variant.name}.mix`
  const { objective, weights, maxFloatLayers, maxLatency, target, pick, order } = mix
  return {
    [`${at}.min_improvement`]: mix.minImprovement,
    [`${at}.max_float_layers`]: Number.isFinite(maxFloatLayers) ? maxFloatLayers : 'no limit',
    [`${at}.mode`]: mix.modes.length > 1 ? 'auto' : mix.modes[0],
    [`${at}.objective`]: objective,
    ...(weights ? { [`${at}.weights`]: weights } : {}),
    ...(maxLatency ? { [`${at}.max_latency`]: latencyText(maxLatency) } : {}),
    ...(target ? { [`${at}.target`]: { [target.figure]: target.value } } : {}),
    ...(pick === 'best' ? {} : { [`${at}.pick`]: 'layers' in pick ? pick.layers : latencyText(pick) }),
    ...(order === 'historical' ? { [`${at}.order`]: order } : {}),
    [`variants.${variant.name}.quant_input`]: variant.quantInput,
    [`variants.${variant.name}.quant_output`]: variant.quantOutput,
  }
}

const latencyText = (latency: Latency): string =>
  'times' in latency ? `${latency.times}x` : `${latency.microseconds}us`

const headerOf = (recipe: Recipe, mix: Search, int8Loss: number): SearchHeader => ({
  samples: searchPictures(recipe, mix).length,
  int8Loss,
  chip: recipe.config.chip,
  mixMode: mix.modes[0],
})

function readsOf(recipe: Recipe, mix: Search): { files: string[]; needs: string[] } {
  const { artifacts } = recipe
  const table = tableOf(recipe)
  return {
    files: [...searchPictures(recipe, mix), ...(table.file === undefined ? [] : [table.file])],
    needs: [artifacts.mlir, artifacts.weights, ...(table.need === undefined ? [] : [table.need])],
  }
}
