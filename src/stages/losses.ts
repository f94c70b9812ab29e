import type { Variant } from '../config/config.js'
import * as disk from '../disk.js'
import type { Stage } from '../engine/stage.js'
import type { Graph } from '../ir/graph.js'
import { candidateLayers } from '../search/candidates.js'
import { int8Only } from '../search/choice.js'
import { writeLossTable } from '../search/losstable.js'
import type { Objective } from '../search/objective.js'
import type { Measured } from '../search/select.js'
import { graphFiles } from './calibrate.js'
import { graphParams, type Recipe } from './context.js'
import { detectorParams } from './detect.js'
import { headerOf, lossIdentity, measure, readsOf, type Search } from './measure.js'
import { firstPictures } from './searched.js'

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

const plainSqnr = (graph: Graph): Objective => ({ kind: 'sqnr', weights: graph.outputs.map(() => 1) })
