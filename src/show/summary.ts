/** The tables at the end of a build: how each variant does, and what it sees on each picture. */
import type { Figures, Seen, Verification } from '../stages/verification.js'
import { table } from './table.js'
import { byteSize, duration } from './words.js'

export interface VariantCost {
  /** Of the .bmodel; for the float model, of its graph and weights. */
  readonly bytes: number
  /** What the chip will take, by the cycle model; undefined for the float model. */
  readonly estimate: { readonly microseconds: number; readonly macUtilisation: number } | undefined
  /** What its own stages took when they last ran. */
  readonly ms: number
}

type Column = [title: string, cell: (figures: Figures, name: string) => string]

export function summaryText(verification: Verification, costs: Readonly<Record<string, VariantCost>>): string {
  const { variants, labelled, score, top, pictures } = verification
  const names = Object.keys(variants)
  const columns: Column[] = [
    ...(top === undefined ? [] : nameColumns(top, labelled > 0, names[0]!)),
    ...(labelled > 0 && top === undefined
      ? ([
          ['mAP@0.5', ({ map50 }) => fixed(map50, 4)],
          ['mAP@0.5:0.95', ({ map }) => fixed(map, 4)],
        ] as typeof columns)
      : []),
    ...(score === null
      ? []
      : ([
          ['recall', ({ recall }, name) => (name === names[0] ? '-' : fixed(recall, 4))],
          ['extra', ({ extra }, name) => (name === names[0] ? '-' : String(extra))],
          ['score diff', (figures, name) => (name === names[0] ? '-' : fixed(figures.score_difference, 4))],
        ] as typeof columns)),
    ['SQNR dB', ({ sqnr }, name) => (name === names[0] ? '-' : sqnr === null ? 'equal' : sqnr.toFixed(2))],
    ['chip ms', (_, name) => optional(costs[name]?.estimate?.microseconds, (us) => (us / 1000).toFixed(3))],
    [
      'MAC use',
      (_, name) => optional(costs[name]?.estimate?.macUtilisation, (share) => `${(100 * share).toFixed(1)} %`),
    ],
    ['size', (_, name) => (costs[name] ? byteSize(costs[name].bytes) : '-')],
    ['built in', (_, name) => (costs[name] ? duration(costs[name].ms) : '-')],
  ]
  const rows = [
    ['', ...columns.map(([title]) => title)],
    ...names.map((name) => [name, ...columns.map(([, cell]) => cell(variants[name]!, name))]),
  ]
  const parts = [table(rows, { align: `l${'r'.repeat(columns.length)}` })]
  if (score !== null || top !== undefined)
    for (const [picture, seen] of Object.entries(pictures))
      parts.push(`${picture}\n${table(names.map((name) => [`  ${name}`, seenText(seen[name]!)]))}`)
  return `\n${parts.join('\n\n')}\n`
}

/** Of a classifier: accuracy where there are labels, and how often the best class is the float model's, or that among the best. */
function nameColumns(top: number, labelled: boolean, float: string): Column[] {
  const share = (title: string, figure: 'top1' | 'topk' | 'top1_agreement' | 'topk_agreement'): Column => [
    title,
    (figures, name) => (figure.endsWith('agreement') && name === float ? '-' : fixed(figures[figure], 4)),
  ]
  const both = (one: Column, other: Column): Column[] => (top === 1 ? [one] : [one, other])
  return [
    ...(labelled ? both(share('top-1', 'top1'), share(`top-${top}`, 'topk')) : []),
    ...both(share('same top-1', 'top1_agreement'), share(`in top-${top}`, 'topk_agreement')),
  ]
}

/** More than a line or two tell nothing; all of them are in verify.json. */
const mostShown = 12

function seenText(seen: readonly Seen[]): string {
  if (seen.length === 0) return 'nothing'
  const rest = seen.length - mostShown
  return [...seen.slice(0, mostShown).map(({ text }) => text), ...(rest > 0 ? [`and ${rest} more`] : [])].join(' ')
}

const optional = (value: number | undefined, text: (value: number) => string): string =>
  value === undefined ? '-' : text(value)

const fixed = (value: number | undefined, digits: number): string => value?.toFixed(digits) ?? '-'
