import { plan } from '../engine/plan.js'
import { paint, useColor } from '../show/color.js'
import { costText, plannedJson, statusText } from '../show/plan.js'
import { findTargets, openProject, type ProjectOptions } from './project.js'

/** `quant build --dry-run`: what a build of the targets would do, and how long that took last time; of stages that stay only the number. */
export async function dryRun(
  targets: readonly string[],
  options: ProjectOptions & { json?: boolean },
): Promise<number> {
  const { project, pool, placeOfSetting } = openProject(options)
  pool.close()
  const planned = await plan(project, targets.length === 0 ? undefined : findTargets(project, targets))
  const active = planned.filter(({ would }) => would !== 'stay')
  const colors = paint(useColor(process.stdout, process.env))
  const lines = options.json
    ? planned.map((one) => JSON.stringify(plannedJson(planned, one, placeOfSetting)))
    : [...(active.length === 0 ? [] : [statusText(active, placeOfSetting, colors), '']), costText(planned)]
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
  return 0
}
