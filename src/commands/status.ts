import { plan } from '../engine/plan.js'
import { reasonsText } from '../show/reason.js'
import { table } from '../show/table.js'
import { openProject, type ProjectOptions } from './project.js'

/** One line per stage: up to date, would be restored, would run, and why. */
export async function statusCommand(options: ProjectOptions & { json?: boolean }): Promise<number> {
  const { project, pool } = openProject(options)
  pool.close()
  const planned = await plan(project)
  if (options.json) {
    for (const { stage, would, because } of planned)
      process.stdout.write(`${JSON.stringify({ stage: stage.name, would, because })}\n`)
    return 0
  }
  const words = { stay: 'up to date', restore: 'would be restored', run: 'would run' }
  const rows = planned.map(({ stage, would, because, last }) => [
    stage.name,
    words[would],
    would === 'stay' ? (last?.note ?? '') : reasonsText(because),
  ])
  process.stdout.write(`${table(rows)}\n`)
  return 0
}
