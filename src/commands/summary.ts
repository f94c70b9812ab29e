import { join } from 'node:path'
import * as disk from '../disk.js'
import type { Project } from '../engine/stage.js'
import { openState } from '../engine/state.js'
import { summaryText, type VariantCost } from '../show/summary.js'
import type { Verification } from '../stages/verification.js'

/** What a build that reached the figures prints last. */
export function summarize(project: Project): string {
  const verification = JSON.parse(disk.readText(join(project.output, 'verify.json'))) as Verification
  const state = openState(project.state)
  const costs = Object.fromEntries(
    Object.keys(verification.variants).map((variant): [string, VariantCost] => {
      const own = project.stages.filter((stage) => stage.variant === variant || stage.name === `detect:${variant}`)
      // The float model's files are those of the import.
      const makes = own.some(({ name }) => name === `compile:${variant}`) ? `compile:${variant}` : 'import'
      const outputs = project.stages.find(({ name }) => name === makes)?.outputs ?? []
      return [
        variant,
        {
          bytes: outputs.reduce((sum, output) => sum + (disk.stat(join(project.output, output))?.size ?? 0), 0),
          ms: own.reduce((sum, { name }) => sum + (state.stage(name)?.ms ?? 0), 0),
        },
      ]
    }),
  )
  return summaryText(verification, costs)
}
