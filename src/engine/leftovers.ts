import { dirname, join } from 'node:path'
import * as disk from '../disk.js'
import type { Workspace } from './examine.js'

/**
 * Removes the files that a killed build was writing aside, from all folders that it writes to; those of the store are `quant gc`'s. To be
 * called under the lock: nobody else writes there.
 */
export function sweep({ project, state }: Workspace): void {
  const outputs = [
    ...project.stages.flatMap((stage) => stage.outputs),
    ...state.stages().flatMap((stage) => Object.keys(stage.outputs)),
  ]
  const folders = new Set(outputs.map((output) => dirname(join(project.output, output))))
  for (const folder of [project.root, project.state, ...folders]) disk.removeAsides(folder)
}
