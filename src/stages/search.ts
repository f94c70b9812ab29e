import type { Mix, Variant } from '../config/config.js'
import * as disk from '../disk.js'
import { memoKey } from '../engine/memo.js'
import type { Stage, StageContext } from '../engine/stage.js'
import { runtimeIdentity } from '../runtime/identity.js'
import { candidateLayers, runs, withMoves } from '../search/candidates.js'
import type { SearchHeader } from '../search/header.js'
import { meanLoss } from '../search/loss.js'
import { readLossTable, writeLossTable } from '../search/losstable.js'
import { writeQtable } from '../search/qtable.js'
import { improvement, type Measured, type Step, selectLayers } from '../search/select.js'
import { calibrationPictures, graphFiles } from './calibrate.js'
import { tableOf } from './compile.js'
import type { Recipe } from './context.js'
import { detectorParams, detectorSpec } from './detect.js'
import { decodeLoss } from './memo-pieces.js'
import { doMissing } from './pieces.js'

export type Search = Mix & { readonly kind: 'search' }

/** Raise it when the loss of a picture changes. */
const lossIdentity = `loss 2, ${runtimeIdentity}`

/** Islands are ranked by so many of the pictures: what comes out on top is measured on all. */
const rankingPictures = 4

/** One loss per candidate layer: NAME_full_loss_table.txt. */
export function lossesStage(recipe: Recipe, variant: Variant, mix: Search): Stage {
  const files = recipe.artifacts.variant(variant)
  return {
    name: `losses:${variant.name}`,
    title: 'loss per layer',
    variant: variant.name,
    params: { [`variants.${variant.name}.mix.mode`]: mix.mode, ...detectorParams(recipe) },
    identity: `losses 1, ${lossIdentity}`,
    ...readsOf(recipe, mix),
    outputs: [files.lossTable],
    async run(context) {
      const candidates = candidateLayers(await recipe.pool.run('readLayers', { graph: graphFiles(recipe, context) }))
      const { losses, reused } = await measure(recipe, context, mix, [[], ...candidates.map((layer) => [layer])])
      const [int8, ...single] = losses as [Measured, ...Measured[]]
      const table = writeLossTable(
        headerOf(recipe, mix, int8.sqnr),
        candidates.map((layer, index) => ({ layer, loss: single[index]!.sqnr })),
      )
      disk.writeAtomic(context.target(files.lossTable), table)
      return {
        note: `all INT8 ${(-int8.sqnr).toFixed(2)} dB, ${candidates.length} layers${reused > 0 ? ` (${reused} runs known)` : ''}`,
      }
    },
  }
}

/**
 * Graph + losses -> NAME_qtable. Tries single layers and islands of neighbours; every step is measured on the whole set, so the loss
 * that is told is that of the table. With a detector, what is made small is the distance of the boxes from the float model's: SQNR
 * hardly sees the few numbers that place a box.
 */
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
      [`${at}.max_float_layers`]: mix.maxFloatLayers,
      [`${at}.mode`]: mix.mode,
      ...detectorParams(recipe),
    },
    identity: `select 2, ${lossIdentity}`,
    files: reads.files,
    needs: [...reads.needs, files.lossTable],
    outputs: [files.qtable, files.selection],
    async run(context) {
      const graph = await recipe.pool.run('readLayers', { graph: graphFiles(recipe, context) })
      const single = readLossTable(disk.readText(context.path(files.lossTable)), files.lossTable).losses
      const complete = (layers: readonly string[]): string[] => withMoves(graph, layers)
      const tried = [...single.map(({ layer }) => [layer]), ...runs(graph).map(complete)]
      const ranked = await measure(recipe, context, mix, [[], ...tried], rankingPictures)
      const [rankedInt8, ...alone] = ranked.losses as [Measured, ...Measured[]]
      const { losses } = await measure(recipe, context, mix, [[]])
      const int8 = losses[0]!
      const steps = await selectLayers({
        candidates: tried.map((layers, i) => ({ layers, gain: rankedInt8.loss - alone[i]!.loss })),
        int8,
        complete,
        measure: async (sets) => (await measure(recipe, context, mix, sets)).losses,
        minImprovement: mix.minImprovement,
        maxLayers: mix.maxFloatLayers,
      })
      const { layers, ...joint } = steps.at(-1) ?? { ...int8, layers: [] }
      if (layers.length === 0)
        context.warn({
          about: variant.name,
          message: `no layer improves the loss by ${(100 * mix.minImprovement).toFixed(1)} %, so ${variant.name} equals INT8; lower ${at}.min_improvement to keep more layers float`,
        })
      disk.writeAtomic(
        context.target(files.qtable),
        writeQtable(headerOf(recipe, mix, int8.sqnr), new Map(layers.map((layer) => [layer, mix.mode]))),
      )
      const selection = {
        mode: mix.mode,
        min_improvement: mix.minImprovement,
        max_float_layers: mix.maxFloatLayers,
        pictures: searchPictures(recipe, mix).length,
        loss: detectorSpec(recipe) ? 'distance of the boxes' : '-SQNR in dB',
        all_int8: { loss: int8.loss, sqnr: -int8.sqnr },
        joint: { loss: joint.loss, sqnr: -joint.sqnr },
        layers,
        steps: steps.map(describe),
        tried: tried
          .map((set, i) => ({
            layers: set,
            loss: alone[i]!.loss,
            improvement: improvement(rankedInt8.loss, rankedInt8.loss, alone[i]!.loss),
          }))
          .sort((a, b) => a.loss - b.loss),
        tried_pictures: Math.min(rankingPictures, searchPictures(recipe, mix).length),
      }
      disk.writeAtomic(context.target(files.selection), `${JSON.stringify(selection, undefined, 2)}\n`)
      return {
        note:
          layers.length === 0
            ? 'none: equals INT8'
            : `${layers.length} layers, ${(-int8.sqnr).toFixed(2)} -> ${(-joint.sqnr).toFixed(2)} dB together`,
      }
    },
  }
}

const describe = ({ added, dropped, layers, loss, sqnr, improvement: gained }: Step) => ({
  ...(added.length > 0 ? { added } : {}),
  ...(dropped.length > 0 ? { dropped } : {}),
  layers: layers.length,
  loss,
  sqnr: -sqnr,
  improvement: gained,
})

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

/** Means over pictures for every set of float layers, all pictures or the first few; pieces per (set, picture) are kept. */
async function measure(
  recipe: Recipe,
  context: StageContext,
  mix: Search,
  sets: readonly (readonly string[])[],
  most = Infinity,
): Promise<{ losses: Measured[]; reused: number }> {
  const graph = graphFiles(recipe, context)
  const table = tableOf(recipe)
  const detector = detectorSpec(recipe)
  const thresholds = thresholdLines(disk.readText(context.path(table.name)))
  const base = memoKey(lossIdentity, graph.digest, thresholds, mix.mode, JSON.stringify(detector ?? null))
  const files = searchPictures(recipe, mix)
    .slice(0, most)
    .map((picture) => ({ path: context.path(picture), digest: context.digest(picture) }))
  const pieces = sets.map((layers) => {
    const sorted = [...layers].sort()
    // The mode is nothing to the all-INT8 net, but a table per mode has its own: simple, and one run more.
    return files.map((file) => ({ layers, file, key: memoKey(base, ...sorted, file.digest) }))
  })
  const { reused } = await doMissing(context, {
    pieces: pieces.flat(),
    unit: 'runs',
    workers: recipe.pool.size,
    chunks: (missing) => chunksOfSets(missing, recipe.pool.size),
    work: (chunk, progress) =>
      recipe.pool.run(
        'measureLosses',
        {
          graph,
          table: context.path(table.name),
          thresholds,
          mode: mix.mode,
          detector,
          memo: context.memo.folder,
          ...byPicture(chunk),
        },
        progress,
      ),
  })
  const losses = pieces.map((each): Measured => {
    const values = each.map(({ key }) => decodeLoss(context.memo.get(key)!))
    const sqnr = meanLoss(values.map((value) => value.sqnr))
    return { sqnr, loss: detector ? meanLoss(values.map(({ boxes }) => boxes!)) : sqnr }
  })
  return { losses, reused }
}

interface Piece {
  readonly layers: readonly string[]
  readonly file: { readonly path: string; readonly digest: string }
  readonly key: string
}

/** A network is lowered once per chunk that it is in, so chunks are of whole sets: neighbours, which share what lies behind them. */
function chunksOfSets(missing: readonly Piece[], workers: number): Piece[][] {
  const sets = [...new Set(missing.map(({ layers }) => layers))]
  const size = Math.max(1, Math.min(16, Math.ceil(sets.length / (4 * workers))))
  const chunkOf = new Map(sets.map((layers, i) => [layers, Math.floor(i / size)]))
  const chunks: Piece[][] = Array.from({ length: Math.ceil(sets.length / size) }, () => [])
  for (const piece of missing) chunks[chunkOf.get(piece.layers)!]!.push(piece)
  return chunks
}

function byPicture(chunk: readonly Piece[]) {
  const sets = [...new Set(chunk.map(({ layers }) => layers))]
  const files = [...new Set(chunk.map(({ file }) => file))]
  return {
    sets,
    pictures: files.map((file) => ({
      file,
      pieces: chunk
        .filter((piece) => piece.file === file)
        .map(({ layers, key }) => ({ set: sets.indexOf(layers), key })),
    })),
  }
}
