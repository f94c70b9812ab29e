import type { Latency, Variant } from '../config/config.js'
import * as disk from '../disk.js'
import type { Json } from '../engine/reason.js'
import type { Stage, StageContext } from '../engine/stage.js'
import type { Graph } from '../ir/graph.js'
import { choiceKey, type FloatMode } from '../search/choice.js'
import { describeObjective, type Objective, weightsOf } from '../search/objective.js'
import { writeQtable } from '../search/qtable.js'
import type { Known } from '../search/select.js'
import { graphFiles } from './calibrate.js'
import { compileIdentity } from './compile.js'
import { graphParams, type Recipe } from './context.js'
import { detectorParams } from './detect.js'
import { headerOf, lossIdentity, pricing, readsOf, type Search, searchPictures } from './measure.js'
import { cyclesOf, type Found, historical, searched } from './searched.js'
import type { Selection } from './selection.js'
import { targetReads } from './target.js'

export type { Search } from './measure.js'

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

function objectiveOf(graph: Graph, mix: Search): Objective {
  const outputs = graph.outputs.map((name) => graph.nodes.find((node) => node.name === name)!)
  return { kind: mix.objective, weights: weightsOf(outputs, mix.weights) }
}

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
