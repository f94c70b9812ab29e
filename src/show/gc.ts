/** What `quant gc` found, as a table by stage and a sentence. */
import type { Amount, GcGroup, GcReport } from '../engine/gc.js'
import { table } from './table.js'
import { byteSize, duration } from './words.js'

export function gcText({ groups, damaged, projects }: GcReport, store: string, dryRun: boolean): string {
  const bytes = (side: 'stays' | 'goes'): string => byteSize(groups.reduce((sum, group) => sum + group[side].bytes, 0))
  const [goes, stays] = dryRun ? ['would go', 'would stay'] : ['deleted', 'kept']
  const some = groups.some((group) => group.goes.count > 0)
  const rows = groups.map((group) => [
    group.name,
    what[group.kind],
    ...amount(group.stays),
    ...(some ? amount(group.goes) : []),
    unused(group.unusedDays),
  ])
  const columns = ['bytes', 'to rebuild']
  const head = ['stage', 'what', 'stays', ...columns, ...(some ? [goes, ...columns] : []), 'last used']
  return [
    ...(groups.length === 0 ? [] : [table([head, ...rows], { align: some ? 'llrrrrrrl' : 'llrrrl' })]),
    ...(damaged === 0
      ? []
      : [`${damaged} damaged: ${dryRun ? 'would be dropped' : 'dropped'}, builds make them again`]),
    `${store}, used by ${projects} ${projects === 1 ? 'project' : 'projects'}: ${bytes('goes')} ${goes}, ${bytes('stays')} ${stays}`,
    '',
  ].join('\n')
}

const what: Record<GcGroup['kind'], string> = {
  outputs: 'outputs',
  pieces: 'pieces',
  nobody: 'files of no stage',
  leftovers: 'left by killed writes',
}

const amount = ({ count, bytes, ms }: Amount): string[] =>
  count === 0 ? ['', '', ''] : [`${count}`, byteSize(bytes), ms === 0 ? '' : duration(ms)]

const unused = (days: number): string => (days === 0 ? 'today' : days === 1 ? 'yesterday' : `${days} days ago`)
