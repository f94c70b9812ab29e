import { join } from 'node:path'
import * as disk from '../disk.js'
import type { Project } from '../engine/stage.js'
import { openState } from '../engine/state.js'
import { frontText } from '../show/front.js'
import { summaryText, type VariantCost } from '../show/summary.js'
import type { EstimateRecord } from '../stages/estimate.js'
import type { Selection } from '../stages/selection.js'
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
  return summaryText(verification, costs) + fronts(project, read)
}

/** What the searches of the build had to choose from. */
const fronts = (project: Project, read: (output: string) => unknown): string =>
  project.stages
    .flatMap(({ name, variant, outputs }) => {
      const file = name.startsWith('select:') && outputs.find((output) => output.endsWith('_selection.json'))
      return file ? [`\n${variant}, float layers and time:\n${frontText(read(file) as Selection)}\n`] : []
    })
    .join('')
