/** What a build would do and why, as text and for programs: the same words for `status`, `why` and `build --dry-run`. */
import { costOf, firstCauses, type Planned, type Would } from '../engine/plan.js'
import { type Paint, printable } from './color.js'
import { type PlaceOfSetting, reasonJson, reasonsText, reasonText } from './reason.js'
import { table } from './table.js'
import { duration } from './words.js'

export const wouldWords: Readonly<Record<Would, string>> = {
  stay: 'up to date',
  restore: 'would be restored',
  run: 'would run',
  maybe: 'may run',
}

export const tint = (colors: Paint): Record<Would, (text: string) => string> => ({
  stay: colors.green,
  restore: colors.cyan,
  run: colors.yellow,
  maybe: colors.dim,
})

/** A line per stage: its name, what it would do, and why; of stages that stay, what they ended with. */
export function statusText(planned: readonly Planned[], placeOf: PlaceOfSetting, colors: Paint): string {
  const names = Math.max(0, ...planned.map(({ stage }) => stage.name.length))
  const rows = planned.map((one) => [
    one.stage.name,
    wouldWords[one.would],
    printable(one.would === 'stay' ? (one.last?.note ?? '') : causesText(one, placeOf)),
  ])
  return table(rows)
    .split('\n')
    .map((line, index) => {
      const would = planned[index]?.would
      if (would === undefined) return line
      const to = names + 2 + wouldWords[would].length
      return `${line.slice(0, names + 2)}${tint(colors)[would](line.slice(names + 2, to))}${line.slice(to)}`
    })
    .join('\n')
}

/** All causes in one line; of `maybe`, what has to happen first. */
export function causesText({ because, would }: Planned, placeOf: PlaceOfSetting): string {
  if (would !== 'maybe') return reasonsText(because, placeOf)
  const own = because.filter(({ why }) => why !== 'upstream-stale')
  const waits = waitsFor(because)
  const waiting = `if ${listText(waits)} ${waits.length === 1 ? 'gives' : 'give'} other outputs`
  return own.length === 0 ? waiting : `${reasonsText(own, placeOf)}; runs ${waiting}, else restored`
}

const waitsFor = (because: Planned['because']): string[] =>
  because.flatMap((reason) => (reason.why === 'upstream-stale' ? [reason.stage] : []))

/** `a`, `a or b`, `a, b, c or 3 others`. */
function listText(names: readonly string[]): string {
  const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} others`] : names
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} or ${shown.at(-1)}`
}

/**
 * How much there is to do, and how long that took last time: `2 would run, 3 may run, 5 up to date: 12.0 s by the last runs, at most
 * 40.0 s`.
 */
export function costText(planned: readonly Planned[]): string {
  const counts = (['run', 'restore', 'maybe', 'stay'] as const).flatMap((would) => {
    const count = planned.filter((one) => one.would === would).length
    return count === 0 ? [] : [`${count} ${wouldWords[would]}`]
  })
  const [sure, perhaps] = [costOf(planned, 'run'), costOf(planned, 'maybe')]
  const unknown = sure.unknown + perhaps.unknown
  const times = [
    ...(sure.ms > 0 ? [`${duration(sure.ms)} by the last runs`] : []),
    ...(perhaps.ms > 0 ? [`at most ${duration(sure.ms + perhaps.ms)}`] : []),
    ...(unknown > 0 ? [`${unknown} never ran here`] : []),
  ]
  return `${counts.join(', ')}${times.length === 0 ? '' : `: ${times.join(', ')}`}`
}

/** Every reason of one stage, a line each, indented; of `maybe`, the stages at the beginning with theirs. */
export function causeLines(
  planned: readonly Planned[],
  one: Planned,
  placeOf: PlaceOfSetting,
  indent = '  ',
): string[] {
  const own = one.because.filter(({ why }) => why !== 'upstream-stale')
  const lines = own.slice(0, mostLines).map((reason) => `${indent}${printable(reasonText(reason, placeOf))}`)
  if (own.length > mostLines) lines.push(`${indent}and ${own.length - mostLines} more (--json has all)`)
  if (one.would !== 'maybe') return lines
  const first = firstCauses(planned, one).flatMap((cause) => [
    `${indent}${cause.stage.name} ${wouldWords[cause.would]}, because`,
    ...causeLines(planned, cause, placeOf, `${indent}  `),
  ])
  return [...lines, ...first]
}

/** A thousand changed pictures are one fact. */
const mostLines = 12

/** For programs: every reason whole, settings with their place. */
export function plannedJson(planned: readonly Planned[], one: Planned, placeOf: PlaceOfSetting): object {
  const json = ({ stage, because }: Planned): object => ({
    stage: stage.name,
    because: because.map((reason) => reasonJson(reason, placeOf)),
  })
  return {
    stage: one.stage.name,
    would: one.would,
    because: one.because.map((reason) => reasonJson(reason, placeOf)),
    ...(one.would === 'maybe' ? { firstCauses: firstCauses(planned, one).map(json) } : {}),
    ...(one.last ? { lastMs: one.last.ms } : {}),
  }
}
