import { plan } from '../engine/plan.js'
import { producerOf } from '../engine/stage.js'
import { QuantError } from '../errors.js'
import { suggest } from '../nearest.js'
import { reasonText } from '../show/reason.js'
import { duration } from '../show/words.js'
import { openProject, type ProjectOptions } from './project.js'

/** All about one stage: why it would run, what it reads and writes. */
export async function whyCommand(name: string, options: ProjectOptions & { json?: boolean }): Promise<number> {
  const { project, pool } = openProject(options)
  pool.close()
  const planned = await plan(project)
  const found = planned.find(({ stage }) => stage.name === name)
  if (!found)
    throw new QuantError('usage', `there is no stage \`${name}\``, {
      hint: suggest(
        name,
        planned.map(({ stage }) => stage.name),
      ),
    })
  const { stage, would, because, last } = found
  if (options.json) {
    process.stdout.write(
      `${JSON.stringify({ stage: stage.name, would, because, params: stage.params, files: stage.files, needs: stage.needs, outputs: stage.outputs })}\n`,
    )
    return 0
  }
  const verdict = {
    stay: 'is up to date',
    restore: 'would be restored from the store, because',
    run: 'would run, because',
  }[would]
  const from = [...new Set(stage.needs.map((need) => producerOf(project.stages, need).name))]
  const files =
    stage.files.length > 4
      ? `${stage.files[0]} ... ${stage.files.at(-1)} (${stage.files.length} files)`
      : stage.files.join(', ')
  const lines = [
    `${stage.name} (${stage.title}) ${verdict}`,
    ...because.map((reason) => `  ${reasonText(reason)}`),
    ...(last ? [`last time: ${last.note}, ${duration(last.ms)}`] : []),
    ...(from.length > 0 ? [`reads what is made by: ${from.join(', ')}`] : []),
    ...(files === '' ? [] : [`reads files: ${files}`]),
    ...Object.entries(stage.params).map(([at, value]) => `setting: ${at} = ${clip(JSON.stringify(value))}`),
    `writes: ${stage.outputs.join(', ') || 'nothing'}`,
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
  return 0
}

const clip = (text: string): string => (text.length > 100 ? `${text.slice(0, 97)}...` : text)
