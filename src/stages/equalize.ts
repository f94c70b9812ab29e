import type { Calibration } from '../config/config.js'
import type { Stage } from '../engine/stage.js'
import { runtimeIdentity } from '../runtime/identity.js'
import { calibrationPictures } from './calibrate.js'
import type { Recipe } from './context.js'

/** Pictures on which channels are measured and factors chosen; those behind them on which the gain is judged. */
const CHOSEN_ON = 16
const JUDGED = 24

/** Graph -> the same network with even channels: NAME_equalized.mlir and its weights, and what it gained: NAME_equalization.json. */
export function equalizeStage(recipe: Recipe, calibration: Calibration & { dataset: string }): Stage {
  const { pool, artifacts } = recipe
  const { imported } = artifacts
  const pictures = calibrationPictures(recipe, calibration).slice(0, CHOSEN_ON + JUDGED)
  return {
    name: 'equalize',
    title: 'even channels',
    params: { 'calibration.equalize': true },
    identity: `equalize 2, ${runtimeIdentity}`,
    files: pictures,
    needs: [imported.mlir, imported.weights],
    outputs: [artifacts.mlir, artifacts.weights, artifacts.equalization],
    async run(context) {
      let measured = 0
      const { pairs, even, applied, before, after } = await pool.run(
        'equalizeModel',
        {
          graph: {
            mlir: context.path(imported.mlir),
            weights: context.path(imported.weights),
            digest: `${context.digest(imported.mlir)} ${context.digest(imported.weights)}`,
          },
          pictures: pictures.map((picture) => ({ path: context.path(picture), digest: context.digest(picture) })),
          chosenOn: CHOSEN_ON,
          mlir: context.target(artifacts.mlir),
          weights: context.target(artifacts.weights),
          weightFile: artifacts.weights,
          report: context.target(artifacts.equalization),
        },
        (networks, of = 0) => {
          measured += networks
          context.progress(measured, of, 'networks')
        },
      )
      const gain = `${before.toFixed(2)} -> ${after.toFixed(2)} dB`
      if (pairs === 0) return { note: 'no two convs that it could be done between' }
      if (even === 0) return { note: `not applied: none of ${pairs} pairs of convs gains` }
      return { note: `${applied ? '' : 'not applied: '}${even} of ${pairs} pairs of convs, ${gain} on other pictures` }
    },
  }
}
