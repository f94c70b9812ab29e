import type { Mix, Variant } from '../config/config.js'
import * as disk from '../disk.js'
import { memoKey } from '../engine/memo.js'
import type { Stage, StageContext } from '../engine/stage.js'
import { runtimeIdentity } from '../runtime/identity.js'
import type { SearchHeader } from '../search/header.js'
import { readLossTable, writeLossTable } from '../search/losstable.js'
import { writeQtable } from '../search/qtable.js'
import { improvement, selectLayers } from '../search/select.js'
import { calibrationPictures, graphFiles } from './calibrate.js'
import { tableOf } from './compile.js'
import type { Recipe } from './context.js'
import { decodeLoss } from './memo-pieces.js'
import { doMissing } from './pieces.js'

export type Search = Mix & { readonly kind: 'search' }

/** Raise it when the loss of a picture changes. */
const lossIdentity = `loss 1, ${runtimeIdentity}`

/** One loss per candidate layer: NAME_full_loss_table.txt. */
export function lossesStage(recipe: Recipe, variant: Variant, mix: Search): Stage {
  const files = recipe.artifacts.variant(variant)
  return {
    name: `losses:${variant.name}`,
    title: 'loss per layer',
    variant: variant.name,
    params: { [`variants.${variant.name}.mix.mode`]: mix.mode },
    identity: `losses 1, ${lossIdentity}`,
    ...readsOf(recipe, mix),
    outputs: [files.lossTable],
    async run(context) {
      const candidates = await recipe.pool.run('listCandidates', { graph: graphFiles(recipe, context) })
      const { losses, reused } = await measure(recipe, context, mix, [[], ...candidates.map((layer) => [layer])])
      const [int8Loss, ...single] = losses as [number, ...number[]]
      const table = writeLossTable(
        headerOf(recipe, mix, int8Loss),
        candidates.map((layer, index) => ({ layer, loss: single[index]! })),
      )
      disk.writeAtomic(context.target(files.lossTable), table)
      return {
        note: `all INT8 ${(-int8Loss).toFixed(2)} dB, ${candidates.length} layers${reused > 0 ? ` (${reused} runs known)` : ''}`,
      }
    },
  }
}

/** Loss table + min_improvement -> NAME_qtable. The chosen layers are measured together before they are written. */
export function selectStage(recipe: Recipe, variant: Variant, mix: Search): Stage {
  const files = recipe.artifacts.variant(variant)
  const reads = readsOf(recipe, mix)
  const at = `variants.${variant.name}.mix`
  return {
    name: `select:${variant.name}`,
    title: 'layers to keep float',
    variant: variant.name,
    params: {
      [`${at}.min_improvement`]: mix.minImprovement,
      [`${at}.max_float_layers`]: mix.maxFloatLayers ?? null,
      [`${at}.mode`]: mix.mode,
    },
    identity: `select 1, ${lossIdentity}`,
    files: reads.files,
    needs: [...reads.needs, files.lossTable],
    outputs: [files.qtable, files.selection],
    async run(context) {
      const table = readLossTable(disk.readText(context.path(files.lossTable)), files.lossTable)
      const int8Loss = table.header.int8Loss!
      const layers = selectLayers({
        int8Loss,
        losses: table.losses,
        minImprovement: mix.minImprovement,
        maxLayers: mix.maxFloatLayers,
      })
      const { losses } = await measure(recipe, context, mix, [layers])
      const jointLoss = losses[0]!
      const gained = int8Loss - jointLoss
      if (layers.length === 0)
        context.warn({
          about: variant.name,
          message: `no layer improves the loss by ${(100 * mix.minImprovement).toFixed(1)} %, so ${variant.name} equals INT8; lower ${at}.min_improvement to keep more layers float`,
        })
      else if (gained <= 0)
        context.warn({
          about: variant.name,
          message: `the ${layers.length} chosen layers together do not improve on INT8 (${gained.toFixed(3)} dB)`,
        })
      disk.writeAtomic(
        context.target(files.qtable),
        writeQtable(headerOf(recipe, mix, int8Loss), new Map(layers.map((layer) => [layer, mix.mode]))),
      )
      const alone = new Map(table.losses.map(({ layer, loss }) => [layer, loss]))
      const selection = {
        mode: mix.mode,
        min_improvement: mix.minImprovement,
        all_int8_loss: int8Loss,
        joint_loss: jointLoss,
        layers: layers.map((layer) => ({
          layer,
          loss: alone.get(layer)!,
          improvement: improvement(int8Loss, alone.get(layer)!),
        })),
      }
      disk.writeAtomic(context.target(files.selection), `${JSON.stringify(selection, undefined, 2)}\n`)
      return {
        note:
          layers.length === 0
            ? 'none: equals INT8'
            : `${layers.length} layers, ${(-int8Loss).toFixed(2)} -> ${(-jointLoss).toFixed(2)} dB together`,
      }
    },
  }
}

const headerOf = (recipe: Recipe, mix: Search, int8Loss: number): SearchHeader => ({
  samples: searchPictures(recipe, mix).length,
  int8Loss,
  chip: recipe.config.chip,
  mixMode: mix.mode,
})

function readsOf(recipe: Recipe, mix: Search): { files: string[]; needs: string[] } {
  const { artifacts } = recipe
  const table = tableOf(recipe)
  return {
    files: [...searchPictures(recipe, mix), ...(table.file === undefined ? [] : [table.file])],
    needs: [artifacts.mlir, artifacts.weights, ...(table.need === undefined ? [] : [table.need])],
  }
}

/** The first `input_num` of the calibration pictures, as the vendor's run_qtable takes them. */
function searchPictures(recipe: Recipe, mix: Search): string[] {
  const calibration = recipe.config.calibration!
  return calibrationPictures(recipe, { ...calibration, dataset: calibration.dataset!, inputNum: 0 }).slice(
    0,
    mix.inputNum,
  )
}

/** A table without its comments: one picture more that moves no threshold moves no loss. */
const thresholdLines = (table: string): string =>
  table
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')

/** Mean loss of every set of float layers; pieces per (set, picture) are kept. */
async function measure(
  recipe: Recipe,
  context: StageContext,
  mix: Search,
  sets: readonly (readonly string[])[],
): Promise<{ losses: number[]; reused: number }> {
  const graph = graphFiles(recipe, context)
  const table = tableOf(recipe)
  const pictures = searchPictures(recipe, mix)
  const thresholds = thresholdLines(disk.readText(context.path(table.name)))
  const base = memoKey(lossIdentity, graph.digest, thresholds, mix.mode)
  const keyed = sets.map((layers) => {
    const set = [...layers].sort()
    return {
      layers: set,
      key: '',
      pictures: pictures.map((picture) => ({
        path: context.path(picture),
        digest: context.digest(picture),
        // The mode is nothing to the all-INT8 net, but a table per mode has its own: simple, and one run more.
        key: memoKey(base, ...set, context.digest(picture)),
      })),
    }
  })
  const pieces = keyed.flatMap(({ layers, pictures: each }) => each.map((picture) => ({ ...picture, layers })))
  const { reused } = await doMissing(context, {
    pieces,
    unit: 'runs',
    workers: recipe.pool.size,
    work: (chunk, progress) =>
      recipe.pool.run(
        'measureLosses',
        {
          graph,
          table: context.path(table.name),
          mode: mix.mode,
          memo: context.memo.folder,
          sets: bySet(chunk),
        },
        progress,
      ),
  })
  const losses = keyed.map(({ pictures: each }) => {
    const values = each.map(({ key }) => decodeLoss(context.memo.get(key)!))
    return values.reduce((sum, loss) => sum + loss, 0) / values.length
  })
  return { losses, reused }
}

/** Neighbouring pieces of the same set become one: its network is lowered once. */
function bySet<P extends { readonly layers: readonly string[] }>(
  chunk: readonly P[],
): { layers: readonly string[]; pictures: P[] }[] {
  const sets: { layers: readonly string[]; pictures: P[] }[] = []
  for (const piece of chunk) {
    const last = sets.at(-1)
    if (last && last.layers === piece.layers) last.pictures.push(piece)
    else sets.push({ layers: piece.layers, pictures: [piece] })
  }
  return sets
}
