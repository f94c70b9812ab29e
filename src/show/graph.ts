/** The stages as a graph: nodes with their state, and the arrows between them, as text, DOT and Mermaid. `graph-svg.ts` draws it. */
import type { Planned, Would } from '../engine/plan.js'
import { producerOf } from '../engine/stage.js'
import { type Paint, printable } from './color.js'
import { layersOf } from './graph-layout.js'
import { causesText, tint, wouldWords } from './plan.js'
import type { PlaceOfSetting } from './reason.js'
import { table } from './table.js'
import { duration } from './words.js'

export interface GraphNode {
  readonly name: string
  readonly would: Would
  /** Of the last good run, or undefined. */
  readonly ms: number | undefined
  /** What it ended with, or why it would do something. */
  readonly note: string
  /** Positions of the nodes it waits for, only those that no other arrow implies. */
  readonly before: readonly number[]
}

/** @param planned in topological order, as `plan` gives them */
export function graphOf(planned: readonly Planned[], placeOf: PlaceOfSetting): GraphNode[] {
  const stages = planned.map(({ stage }) => stage)
  const direct = stages.map((stage) => [
    ...new Set(stage.needs.map((need) => stages.indexOf(producerOf(stages, need)))),
  ])
  /** All that a node hangs on, through others too. */
  const reached: Set<number>[] = []
  for (const before of direct) reached.push(new Set(before.flatMap((index) => [index, ...reached[index]!])))
  return planned.map((one, index) => ({
    name: printable(one.stage.name),
    would: one.would,
    ms: one.last?.ms,
    note: printable(one.would === 'stay' ? (one.last?.note ?? '') : causesText(one, placeOf)),
    before: direct[index]!.filter((a) => !direct[index]!.some((b) => b !== a && reached[b]!.has(a))).sort(
      (a, b) => a - b,
    ),
  }))
}

/** `up to date, 1.2 s`: the time is that of running, so it says nothing of restoring. */
export const stateText = ({ would, ms }: GraphNode): string =>
  ms === undefined || would === 'restore' ? wouldWords[would] : `${wouldWords[would]}, ${duration(ms)}`

/** A line per stage: those of one number can run side by side, and wait for the ones behind `<-`. */
export function graphText(nodes: readonly GraphNode[], colors: Paint): string {
  const layers = layersOf(nodes.map(({ before }) => before))
  const order = nodes.map((_, index) => index).sort((a, b) => layers[a]! - layers[b]! || a - b)
  const rows = order.map((index, position) => {
    const node = nodes[index]!
    const first = position === 0 || layers[order[position - 1]!] !== layers[index]
    return [
      first ? String(layers[index]! + 1) : '',
      node.name,
      wouldWords[node.would],
      node.ms === undefined ? '' : duration(node.ms),
      node.before.length === 0 ? '' : `<- ${node.before.map((before) => nodes[before]!.name).join(', ')}`,
    ]
  })
  return table(rows, { align: 'rllrl' })
    .split('\n')
    .map((line, position) => {
      const { would, name } = nodes[order[position]!]!
      const from = line.indexOf(wouldWords[would], line.indexOf(name) + name.length)
      return `${line.slice(0, from)}${tint(colors)[would](wouldWords[would])}${line.slice(from + wouldWords[would].length)}`
    })
    .join('\n')
}

/** Fill and border per state; black text stands on all of them. */
const palette: Readonly<Record<Would, readonly [fill: string, border: string]>> = {
  stay: ['#d9f2df', '#2f8f4e'],
  restore: ['#d6ecf7', '#2b7ea8'],
  run: ['#ffe9c2', '#b87503'],
  maybe: ['#eeeeee', '#777777'],
}

/** For Graphviz. Names are labels only, so any of them is safe. */
export function graphDot(nodes: readonly GraphNode[]): string {
  const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  return [
    'digraph quant {',
    '  rankdir=TB',
    '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11]',
    ...nodes.map((node, index) => {
      const [fill, border] = palette[node.would]
      const label = [node.name, stateText(node)].map((line) => quoted(line).slice(1, -1)).join('\\n')
      return `  n${index} [label="${label}", tooltip=${quoted(node.note)}, fillcolor="${fill}", color="${border}"${node.would === 'maybe' ? ', style="rounded,filled,dashed"' : ''}]`
    }),
    ...nodes.flatMap(({ before }, index) => before.map((from) => `  n${from} -> n${index}`)),
    '}',
    '',
  ].join('\n')
}

/** For Mermaid, which GitHub draws in Markdown. */
export function graphMermaid(nodes: readonly GraphNode[]): string {
  // Mermaid's own way to write a character is by its number between # and ;.
  const escaped = (text: string): string =>
    text.replaceAll(/[^\p{L}\p{N} :,._/()-]/gu, (character) => `#${character.codePointAt(0)};`)
  return [
    'flowchart TB',
    ...nodes.map(
      (node, index) => `  n${index}("${escaped(node.name)}<br/>${escaped(stateText(node))}"):::${node.would}`,
    ),
    ...nodes.flatMap(({ before }, index) => before.map((from) => `  n${from} --> n${index}`)),
    ...Object.entries(palette).map(
      ([would, [fill, border]]) =>
        `  classDef ${would} fill:${fill},stroke:${border},color:#111111${would === 'maybe' ? ',stroke-dasharray:4 3' : ''}`,
    ),
    '',
  ].join('\n')
}
