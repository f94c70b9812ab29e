import { type Planned, plan } from '../engine/plan.js'
import { type Project, producerOf } from '../engine/stage.js'
import { QuantError } from '../errors.js'
import { suggest } from '../nearest.js'
import { printable } from '../show/color.js'
import { causeLines, plannedJson, wouldWords } from '../show/plan.js'
import { type PlaceOfSetting, reasonsText } from '../show/reason.js'
import { duration } from '../show/words.js'
import { openProject, type ProjectOptions } from './project.js'

/** Why stages would run: all that would do something with their first causes, or all about one. */
export async function whyCommand(
  name: string | undefined,
  options: ProjectOptions & { json?: boolean },
): Promise<number> {
  const { project, pool, placeOfSetting } = openProject(options)
  pool.close()
  const planned = await plan(project)
  const found = name === undefined ? undefined : planned.find(({ stage }) => stage.name === name)
  if (name !== undefined && !found)
    throw new QuantError('usage', `there is no stage \`${name}\``, {
      hint: suggest(
        name,
        planned.map(({ stage }) => stage.name),
      ),
    })
  const lines = options.json
    ? found
      ? [JSON.stringify({ ...plannedJson(planned, found, placeOfSetting), ...detailJson(found) })]
      : planned
          .filter(({ would }) => would !== 'stay')
          .map((one) => JSON.stringify(plannedJson(planned, one, placeOfSetting)))
    : found
      ? aboutOne(project, planned, found, placeOfSetting)
      : aboutAll(planned, placeOfSetting)
  process.stdout.write(lines.map((line) => `${line}\n`).join(''))
  return 0
}

function aboutAll(planned: readonly Planned[], placeOf: PlaceOfSetting): string[] {
  const sure = planned.filter(({ would }) => would === 'run' || would === 'restore')
  if (sure.length === 0) return ['everything is up to date']
  const maybe = planned.filter(({ would }) => would === 'maybe').map(({ stage }) => stage.name)
  return [
    ...sure.flatMap((one) => [
      `${one.stage.name} ${wouldWords[one.would]}, because`,
      ...causeLines(planned, one, placeOf),
    ]),
    ...(maybe.length === 0 ? [] : [`may run, if those before them give other outputs: ${maybe.join(', ')}`]),
  ]
}

function aboutOne(project: Project, planned: readonly Planned[], one: Planned, placeOf: PlaceOfSetting): string[] {
  const { stage, would, last } = one
  const from = [...new Set(stage.needs.map((need) => producerOf(project.stages, need).name))]
  const verdict = {
    stay: 'is up to date',
    restore: 'would be restored from the store, because',
    run: 'would run, because',
    maybe: 'may run; that depends on the outputs of stages before it:',
  }[would]
  const facts: [string, string][] = [
    ...(last ? ([['last time', `${last.note}, ${duration(last.ms)}${lastCause(last)}`]] as [string, string][]) : []),
    ['reads', from.length === 0 ? '' : `what is made by ${from.join(', ')}`],
    ['files', manyText(stage.files)],
    ...Object.entries(stage.params).map(([at, value]): [string, string] => [
      'setting',
      `${at} = ${clip(JSON.stringify(value))}`,
    ]),
    ['writes', manyText(stage.outputs) || 'nothing'],
  ]
  return [
    `${stage.name} (${stage.title}) ${verdict}`,
    ...causeLines(planned, one, placeOf),
    '',
    ...facts.filter(([, fact]) => fact !== '').map(([what, fact]) => `${what.padEnd(9)}  ${printable(fact)}`),
  ]
}

/** Records of older versions do not tell. */
const lastCause = ({ because, restored }: NonNullable<Planned['last']>): string =>
  because === undefined ? '' : `; ${restored ? 'restored' : 'ran'} because: ${reasonsText(because)}`

const detailJson = ({ stage, last }: Planned): object => ({
  title: stage.title,
  params: stage.params,
  files: stage.files,
  needs: stage.needs,
  outputs: stage.outputs,
  ...(last
    ? { last: { note: last.note, ms: last.ms, because: last.because, restored: last.restored, outputs: last.outputs } }
    : {}),
})

const manyText = (paths: readonly string[]): string =>
  paths.length > 4 ? `${paths[0]} ... ${paths.at(-1)} (${paths.length} files)` : paths.join(', ')

const clip = (text: string): string => (text.length > 100 ? `${text.slice(0, 97)}...` : text)
