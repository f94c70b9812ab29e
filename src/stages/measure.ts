/** Losses and prices of choices: from the memo, or made in workers and kept there. */
import { tableContent } from '../calibrate/table.js'
import type { Mix, Variant } from '../config/config.js'
import * as disk from '../disk.js'
import { memoKey } from '../engine/memo.js'
import type { StageContext } from '../engine/stage.js'
import { QuantError } from '../errors.js'
import type { Precision } from '../quantize/qgraph.js'
import { runtimeIdentity } from '../runtime/identity.js'
import { type Choice, choiceKey, type FloatMode, int8Only } from '../search/choice.js'
import type { SearchHeader } from '../search/header.js'
import { meanLoss } from '../search/loss.js'
import { lossOf, type Objective, type SampleLoss } from '../search/objective.js'
import type { Price } from '../search/price.js'
import type { Measured } from '../search/select.js'
import { calibrationPictures, graphFiles } from './calibrate.js'
import { compileIdentity, tableOf } from './compile.js'
import type { Recipe } from './context.js'
import { detectorSpec } from './detect.js'
import { decodeLoss, decodePrice } from './memo-pieces.js'
import { doMissing } from './pieces.js'

export type Search = Mix & { readonly kind: 'search' }

/** Raise it when the loss of a picture changes. */
export const lossIdentity = `loss 4, ${runtimeIdentity}`

/** The first `input_num` of the calibration pictures, as the vendor's run_qtable takes them. */
export function searchPictures(recipe: Recipe, mix: Search): string[] {
  const calibration = recipe.config.calibration!
  return calibrationPictures(recipe, { ...calibration, dataset: calibration.dataset!, inputNum: 0 }).slice(
    0,
    mix.inputNum,
  )
}

/** Boxes are decoded only for a search that looks at them. */
const searchDetector = (recipe: Recipe, mix: Search) =>
  mix.objective === 'detection' ? detectorSpec(recipe) : undefined

/**
 * Means over pictures for every choice, all pictures or the first few. Pieces per (choice, picture) are kept, those of one network in one
 * file of records.
 */
export async function measure(
  recipe: Recipe,
  context: StageContext,
  mix: Search,
  objective: Objective,
  choices: readonly Choice[],
  most = Infinity,
): Promise<{ losses: Measured[]; reused: number }> {
  const graph = graphFiles(recipe, context)
  const table = tableOf(recipe)
  const detector = searchDetector(recipe, mix)
  const thresholds = tableContent(disk.readText(context.path(table.name)))
  const base = memoKey(lossIdentity, graph.digest, thresholds, JSON.stringify(detector ?? null))
  const files = searchPictures(recipe, mix)
    .slice(0, most)
    .map((picture) => ({ path: context.path(picture), digest: context.digest(picture) }))
  const pieces = choices.map((choice) => {
    const chosen = choiceKey(choice)
    return files.map((file) => ({ choice, file, key: memoKey(chosen, file.digest) }))
  })
  const before = context.memo.records(base)
  const { done, reused } = await doMissing(context, {
    pieces: pieces.flat(),
    unit: 'runs',
    isKnown: ({ key }) => before.get(key) !== undefined,
    workers: recipe.pool.size,
    chunks: (missing) =>
      chunksOfChoices(missing, workersFor(disk.readText(graph.mlir), files.length, recipe.pool.size)),
    work: (chunk, progress) =>
      recipe.pool.run(
        'measureLosses',
        {
          graph,
          table: context.path(table.name),
          thresholds,
          detector,
          records: before.path,
          ...byPicture(chunk),
        },
        progress,
      ),
  })
  const after = done > 0 ? context.memo.records(base) : before
  const lossIn = ({ key }: Piece): SampleLoss => {
    const piece = after.get(key)
    if (piece) return decodeLoss(piece)
    throw new QuantError('disk', `${after.path} lacks what was just written to it`, { hint: 'build again' })
  }
  const losses = pieces.map((each): Measured => {
    const values = each.map(lossIn)
    return {
      sqnr: meanLoss(values.map(({ sqnr }) => sqnr)),
      loss: meanLoss(values.map((value) => lossOf(value, objective))),
    }
  })
  return { losses, reused }
}

interface Piece {
  readonly choice: Choice
  readonly file: { readonly path: string; readonly digest: string }
  readonly key: string
}

/** A worker that starts anew costs as much as running networks for so many operations. */
const startOperations = 100e9

/** A small network is searched by one worker: a second would take longer to start than it saves. By what its table of losses takes. */
function workersFor(mlir: string, pictures: number, most: number): number {
  const operations = Number(/module\.FLOPs = (\d+)/.exec(mlir)?.[1] ?? Infinity)
  const layers = mlir.match(/"top\.(?!Weight|Input|None)/g)?.length ?? 0
  return Math.max(1, Math.min(most, Math.floor((operations * layers * pictures) / startOperations)))
}

/** A network is lowered once per chunk that it is in, so chunks are of whole choices: neighbours, which share what lies behind them. */
function chunksOfChoices(missing: readonly Piece[], workers: number): Piece[][] {
  const choices = [...new Set(missing.map(({ choice }) => choice))]
  const size = workers === 1 ? 256 : Math.max(1, Math.min(16, Math.ceil(choices.length / (4 * workers))))
  const chunkOf = new Map(choices.map((choice, i) => [choice, Math.floor(i / size)]))
  const chunks: Piece[][] = Array.from({ length: Math.ceil(choices.length / size) }, () => [])
  for (const piece of missing) chunks[chunkOf.get(piece.choice)!]!.push(piece)
  return chunks
}

function byPicture(chunk: readonly Piece[]) {
  const choices = [...new Set(chunk.map(({ choice }) => choice))]
  const files = [...new Set(chunk.map(({ file }) => file))]
  return {
    choices: choices.map((choice) => [...choice]),
    pictures: files.map((file) => ({
      file,
      pieces: chunk
        .filter((piece) => piece.file === file)
        .map(({ choice, key }) => ({ choice: choices.indexOf(choice), key })),
    })),
  }
}

export interface Pricing {
  /** Whole programs: all INT8, and all float in each of the modes. */
  whole(modes: readonly FloatMode[]): Promise<{ int8: Price; float: Partial<Record<FloatMode, Price>> }>
  /** Estimates of the programs themselves, in cycles. */
  exact(choices: readonly Choice[]): Promise<number[]>
}

export function pricing(recipe: Recipe, context: StageContext, variant: Variant): Pricing {
  const graph = graphFiles(recipe, context)
  const table = tableOf(recipe)
  const thresholds = tableContent(disk.readText(context.path(table.name)))
  const { quantInput, quantOutput } = variant
  const base = memoKey('price 1', compileIdentity, graph.digest, thresholds, `${quantInput} ${quantOutput}`)

  async function prices(wanted: readonly { choice: Choice; rest: Precision }[]): Promise<Price[]> {
    const pieces = wanted.map(({ choice, rest }) => ({
      key: memoKey(base, choiceKey(choice), rest),
      choice: [...choice],
      rest,
    }))
    await doMissing(context, {
      pieces,
      unit: 'programs',
      workers: recipe.pool.size,
      chunks: (missing) => missing.map((piece) => [piece]),
      work: (chunk, progress) =>
        recipe.pool.run(
          'priceChoices',
          {
            graph,
            table: context.path(table.name),
            quantInput,
            quantOutput,
            memo: context.memo.folder,
            pieces: chunk,
          },
          progress,
        ),
    })
    return pieces.map(({ key }) => decodePrice(context.memo.get(key)!))
  }

  return {
    async whole(modes) {
      const rests: readonly Precision[] = ['INT8', ...modes]
      const [int8, ...float] = await prices(rests.map((rest) => ({ choice: int8Only, rest })))
      return { int8: int8!, float: Object.fromEntries(modes.map((mode, i) => [mode, float[i]!])) }
    },
    exact: async (choices) =>
      (await prices(choices.map((choice) => ({ choice, rest: 'INT8' as const })))).map(({ cycles }) => cycles),
  }
}

/** What the tables of a search begin with. */
export const headerOf = (recipe: Recipe, mix: Search, int8Loss: number): SearchHeader => ({
  samples: searchPictures(recipe, mix).length,
  int8Loss,
  chip: recipe.config.chip,
  mixMode: mix.modes[0],
})

/** Files and artifacts of the stages of a search. */
export function readsOf(recipe: Recipe, mix: Search): { files: string[]; needs: string[] } {
  const { artifacts } = recipe
  const table = tableOf(recipe)
  return {
    files: [...searchPictures(recipe, mix), ...(table.file === undefined ? [] : [table.file])],
    needs: [artifacts.mlir, artifacts.weights, ...(table.need === undefined ? [] : [table.need])],
  }
}
