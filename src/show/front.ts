/** The Pareto front of a search, as people read it. */
import type { Selection } from '../stages/selection.js'
import { table } from './table.js'
import { figure } from './words.js'

/** More points tell nothing new at the end of a build; all of them are in the file. */
const mostShown = 8

/** Fastest first; `>` stands before the one that is built. @param most rows; the picked one is always among them */
export function frontText({ front, all_int8, target, objective }: Selection, most = mostShown): string {
  const drops = (['map50_drop', 'map75_drop', 'map_drop'] as const).filter((drop) =>
    front.some((point) => point[drop] !== undefined),
  )
  const shown = spread(front, most)
  const rows = shown.map((point) => [
    point.picked ? '>' : '',
    String(Object.keys(point.precision).length),
    modesOf(point.precision),
    point.microseconds.toFixed(1),
    `${(point.microseconds / all_int8.microseconds).toFixed(2)}x`,
    figure(point.loss, objective === 'sqnr' ? 2 : 4),
    figure(point.sqnr, 2),
    ...drops.map((drop) => point[drop]?.toFixed(4) ?? '-'),
  ])
  const head = ['', 'float layers', '', 'chip us', 'of INT8', 'loss', 'SQNR dB', ...drops]
  const rest = front.length - shown.length
  return [
    table([head, ...rows], { align: 'lrlrrrrrrr' }),
    ...(rest > 0 ? [`and ${rest} more between them`] : []),
    ...(target ? [`${target.figure} <= ${target.value}: ${target.reached ? 'reached' : 'not reached'}`] : []),
  ].join('\n')
}

const modesOf = (precision: Readonly<Record<string, string>>): string => {
  const counts = new Map<string, number>()
  for (const mode of Object.values(precision)) counts.set(mode, (counts.get(mode) ?? 0) + 1)
  const [only, ...others] = [...counts]
  return others.length === 0 ? (only?.[0] ?? 'INT8') : [...counts].map(([mode, count]) => `${count} ${mode}`).join(', ')
}

/** Both ends, what is picked, and others evenly between. */
function spread<T extends { readonly picked: boolean }>(points: readonly T[], most: number): T[] {
  if (points.length <= most) return [...points]
  const step = (points.length - 1) / (most - 1)
  const shown = new Set(Array.from({ length: most }, (_, i) => Math.round(i * step)))
  const picked = points.findIndex((point) => point.picked)
  return points.filter((_, i) => shown.has(i) || i === picked)
}
