/** How a choice does on the labelled pictures, for a search that ends by that. */
import { tableContent } from '../calibrate/table.js'
import type { Target } from '../config/config.js'
import * as disk from '../disk.js'
import { memoKey } from '../engine/memo.js'
import type { StageContext } from '../engine/stage.js'
import { type Choice, choiceKey } from '../search/choice.js'
import { graphFiles } from './calibrate.js'
import { tableOf } from './compile.js'
import type { Recipe } from './context.js'
import { detectorParams, detectorSpec, findingIdentity, verifyPictures } from './detect.js'
import { doMissing } from './pieces.js'
import { labelFiles } from './verify.js'

export interface Drops {
  readonly map50_drop: number
  readonly map75_drop: number
  readonly map_drop: number
}

/** What a search with such a target reads and depends on, besides what every search does. */
export function targetReads(recipe: Recipe, target: Target | undefined) {
  if (target === undefined || target.figure === 'loss') return { files: [], params: {} }
  const { labelled } = verifyPictures(recipe)
  const { classMap } = recipe.config.verify.validation!
  return {
    files: [...labelled, ...labelFiles(recipe, labelled).files],
    params: {
      ...detectorParams(recipe),
      ...(classMap ? { 'verify.validation.class_map': [...classMap] } : {}),
    },
  }
}

/** @returns mAP of the float model minus that of the choice; what is found on a picture is kept */
export async function dropsOf(recipe: Recipe, context: StageContext, choice: Choice): Promise<Drops> {
  const { pool, config } = recipe
  const graph = graphFiles(recipe, context)
  const detector = detectorSpec(recipe)!
  const table = tableOf(recipe)
  const thresholds = tableContent(disk.readText(context.path(table.name)))
  const { labelled } = verifyPictures(recipe)
  const labels = labelFiles(recipe, labelled)
  const memo = context.memo.folder
  const piecesOf = (base: string) =>
    labelled.map((picture) => ({
      path: context.path(picture),
      digest: context.digest(picture),
      key: memoKey(base, context.digest(picture)),
    }))
  const float = piecesOf(memoKey(findingIdentity, graph.digest, '', JSON.stringify(detector)))
  const chosen = piecesOf(
    memoKey(findingIdentity, 'chosen', graph.digest, thresholds, choiceKey(choice), JSON.stringify(detector)),
  )
  const common = { unit: 'pictures', workers: pool.size }
  await doMissing(context, {
    ...common,
    pieces: float,
    work: (chunk, progress) =>
      pool.run('findBoxes', { graph, bmodel: undefined, detector, pictures: chunk, memo }, progress),
  })
  await doMissing(context, {
    ...common,
    pieces: chosen,
    work: (chunk, progress) =>
      pool.run(
        'findChosen',
        { graph, table: context.path(table.name), choice: [...choice], detector, pictures: chunk, memo },
        progress,
      ),
  })
  return pool.run('judgeChosen', {
    classes: detector.classes,
    classMap: config.verify.validation?.classMap,
    labelled,
    labels: labels.pass((file) => context.path(file)),
    memo,
    float: float.map(({ key }) => key),
    chosen: chosen.map(({ key }) => key),
  })
}
