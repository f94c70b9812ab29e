import type { Calibration } from '../config/config.js'
import type { Stage } from '../engine/stage.js'
import { runtimeIdentity } from '../runtime/identity.js'
import { calibrationPictures } from './calibrate.js'
import type { Recipe } from './context.js'

/** Pictures on which channels are measured, and the gain. */
const MEASURED = 8

/** Graph -> the same network with even channels: NAME_equalized.mlir and its weights, and what it gained: NAME_equalization.json. */
export function equalizeStage(recipe: Recipe, calibration: Calibration & { dataset: string }): Stage {
  const { pool, artifacts } = recipe
  const { imported } = artifacts
  const pictures = calibrationPictures(recipe, calibration).slice(0, MEASURED)
  return {
    name: 'equalize',
    title: 'even channels',
    params: { 'calibration.equalize': true },
    identity: `equalize 1, ${runtimeIdentity}`,
    files: pictures,
    needs: [imported.mlir, imported.weights],
    outputs: [artifacts.mlir, artifacts.weights, artifacts.equalization],
    async run(context) {
      const { pairs, applied, before, after } = await pool.run('equalizeModel', {
        graph: {
          mlir: context.path(imported.mlir),
          weights: context.path(imported.weights),
          digest: `${context.digest(imported.mlir)} ${context.digest(imported.weights)}`,
        },
        pictures: pictures.map((picture) => ({ path: context.path(picture), digest: context.digest(picture) })),
        mlir: context.target(artifacts.mlir),
        weights: context.target(artifacts.weights),
        weightFile: artifacts.weights,
        report: context.target(artifacts.equalization),
      })
      const what = `${pairs.length} pairs of convs`
      const gain = `${before.toFixed(2)} -> ${after.toFixed(2)} dB`
      if (pairs.length === 0) return { note: 'no two convs that it could be done between' }
      return { note: applied ? `${what}, ${gain}` : `not applied: ${what}, but ${gain}` }
    },
  }
}
