import { join } from 'node:path'
import * as disk from '../disk.js'
import type { Project } from '../engine/stage.js'
import { openState } from '../engine/state.js'
import { summaryText, type VariantCost } from '../show/summary.js'
import type { EstimateRecord } from '../stages/estimate.js'
import type { Verification } from '../stages/verification.js'

/** What a build that reached the figures prints last. */
export function summarize(project: Project): string {
  const read = (output: string): unknown => JSON.parse(disk.readText(join(project.output, output)))
  const sizeOf = (output: string): number => disk.stat(join(project.output, output))?.size ?? 0
  const verification = read('verify.json') as Verification
  const state = openState(project.state)
  const costs = Object.fromEntries(
    Object.keys(verification.variants).map((variant): [string, VariantCost] => {
      const own = project.stages.filter((stage) => stage.variant === variant || stage.name === `detect:${variant}`)
      const ms = own.reduce((sum, { name }) => sum + (state.stage(name)?.ms ?? 0), 0)
      const compiled = own.find(({ name }) => name === `compile:${variant}`)?.outputs
      if (!compiled) {
        const float = project.stages.find(({ name }) => name === 'import')!.outputs
        return [variant, { bytes: float.reduce((sum, output) => sum + sizeOf(output), 0), ms, estimate: undefined }]
      }
      const made = read(compiled.find((output) => output.endsWith('_estimate.json'))!) as EstimateRecord
      const estimate = { microseconds: made.microseconds, macUtilisation: made.mac_utilisation }
      return [variant, { bytes: sizeOf(compiled.find((output) => output.endsWith('.bmodel'))!), ms, estimate }]
    }),
  )
  return summaryText(verification, costs)
}
