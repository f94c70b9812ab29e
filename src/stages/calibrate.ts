import type { Calibration } from '../config/config.js'
import { memoKey } from '../engine/memo.js'
import type { Json } from '../engine/reason.js'
import type { Stage, StageContext } from '../engine/stage.js'
import { runtimeIdentity } from '../runtime/identity.js'
import { graphParams, type Recipe } from './context.js'
import { filesOfDataset } from './dataset.js'
import { classifierNames, detectorParams, detectorSpec } from './detect.js'
import type { GraphFiles } from './jobs/load.js'
import type { Reading } from './jobs/outputs.js'
import { chunksOf, doMissing } from './pieces.js'

/** Raise it when the statistics of a picture change. */
const statisticsIdentity = `statistics 2, ${runtimeIdentity}`

/** Pictures -> NAME_cali_table. Statistics are kept per picture, so ten more pictures cost ten. */
export function calibrateStage(recipe: Recipe, calibration: Calibration & { dataset: string }): Stage {
  const { pool, artifacts } = recipe
  const pictures = calibrationPictures(recipe, calibration)
  const reading = calibration.method === 'best' ? readingOf(recipe) : undefined
  const usesPercentile = calibration.method === 'percentile' || calibration.method === 'best'
  return {
    name: 'calibrate',
    title: 'thresholds',
    params: {
      ...graphParams(recipe),
      'calibration.method': calibration.method,
      'calibration.tune_num': calibration.tuneNum,
      ...(calibration.asymmetric ? { 'calibration.asymmetric': true } : {}),
      'calibration.bias_correction': calibration.biasCorrection,
      ...(usesPercentile ? { 'calibration.percentile': calibration.percentile } : {}),
      ...readingParams(recipe, reading),
    },
    identity: `calibrate 3${calibration.method === 'best' ? ', best 7' : ''}, ${statisticsIdentity}`,
    files: pictures,
    needs: [artifacts.mlir, artifacts.weights],
    outputs: [artifacts.table, artifacts.calibration],
    async run(context) {
      const graph = graphFiles(recipe, context)
      const pieces = pictures.map((picture) => ({
        name: picture,
        path: context.path(picture),
        digest: context.digest(picture),
        key: memoKey(statisticsIdentity, graph.digest, context.digest(picture)),
      }))
      const { done, reused } = await doMissing(context, {
        pieces,
        unit: 'pictures',
        workers: pool.size,
        work: (chunk, progress) =>
          pool.run('analysePictures', { graph, pictures: chunk, memo: context.memo.folder }, progress),
      })
      let tuned = 0
      const { tensors, note, warnings } = await pool.run(
        'chooseThresholds',
        {
          graph,
          memo: context.memo.folder,
          groups: chunksOf(pieces, pool.size).map((chunk) => chunk.map(({ key }) => key)),
          method: calibration.method,
          percentile: calibration.percentile,
          reading,
          pictures: pieces.map(({ name, path, digest }) => ({ name, path, digest })),
          tuneNum: calibration.tuneNum,
          asymmetric: calibration.asymmetric,
          biasCorrection: calibration.biasCorrection,
          table: context.target(artifacts.table),
          report: context.target(artifacts.calibration),
        },
        (layers, of = 0) => {
          tuned += layers
          context.progress(tuned, of, 'layers')
        },
      )
      for (const warning of warnings) context.warn(warning)
      return {
        note: `${tensors} thresholds from ${pictures.length} pictures${reused > 0 ? ` (${done} analysed)` : ''}${note}`,
      }
    },
  }
}

/** Which boxes a user wants to see, or how classes are called, is no reason to calibrate anew: this is what the network is, and a usual IoU. */
function readingOf(recipe: Recipe): Reading | undefined {
  const detector = detectorSpec(recipe)
  if (detector) return { detector: { ...detector, classes: detector.classes.map((_, i) => `${i}`), iou: 0.45 } }
  const classes = classifierNames(recipe)?.length
  return classes === undefined ? undefined : { classes }
}

function readingParams(recipe: Recipe, reading: Reading | undefined): Record<string, Json> {
  if (reading === undefined) return {}
  if ('classes' in reading) return { 'verify.classifier.classes': reading.classes }
  const { iou: _, ...network } = detectorParams(recipe)['verify.detector'] as Record<string, Json>
  return { 'verify.detector': { ...network, classes: reading.detector.classes.length } }
}

/** The pictures of calibration, sorted; the search takes the first of them. */
export function calibrationPictures(
  recipe: Recipe,
  { dataset, inputNum }: Calibration & { dataset: string },
): string[] {
  const all = filesOfDataset(recipe, dataset, 'the data set', recipe.places(['calibration', 'dataset']))
  return inputNum === 0 ? all : all.slice(0, inputNum)
}

/** The float graph as a stage reads it. */
export function graphFiles({ artifacts }: Recipe, context: StageContext): GraphFiles {
  return {
    mlir: context.path(artifacts.mlir),
    weights: context.path(artifacts.weights),
    digest: `${context.digest(artifacts.mlir)} ${context.digest(artifacts.weights)}`,
  }
}
