import { plan } from '../engine/plan.js'
import { paint, useColor } from '../show/color.js'
import { plannedJson, statusText } from '../show/plan.js'
import { openProject, type ProjectOptions } from './project.js'

/** One line per stage: up to date, would be restored, would run or may run, and why. */
export async function statusCommand(options: ProjectOptions & { json?: boolean }): Promise<number> {
  const { project, pool, placeOfSetting } = openProject(options)
  pool.close()
  const planned = await plan(project)
  const lines = options.json
    ? planned.map((one) => JSON.stringify(plannedJson(planned, one, placeOfSetting)))
    : [statusText(planned, placeOfSetting, paint(useColor(process.stdout, process.env)))]
  process.stdout.write(`${lines.join('\n')}\n`)
  return 0
}
