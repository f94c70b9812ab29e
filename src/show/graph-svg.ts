/** The graph as an SVG of our own: no scripts, no fonts from elsewhere, readable on light and on dark. */
import type { Would } from '../engine/plan.js'
import { type GraphNode, stateText } from './graph.js'
import { layOut } from './graph-layout.js'
import { wouldWords } from './plan.js'

const box = { width: 214, height: 62 }
const gap = { x: 28, y: 40 }
const margin = 20
const legend = { height: 46, perCharacter: 6.6, around: 58 }

/** A picture from top to bottom: a rounded box per stage with its name, state, time and note; below it, what the colours mean. */
export function graphSvg(nodes: readonly GraphNode[]): string {
  const {
    width,
    layers,
    nodes: places,
    arrows,
  } = layOut(
    nodes.map(({ before }) => before),
    { box: box.width, gap: gap.x },
  )
  const top = (layer: number): number => margin + layer * (box.height + gap.y)
  const states = (Object.keys(wouldWords) as Would[]).filter((state) => nodes.some(({ would }) => would === state))
  const meaning = states.map((state) => {
    const text = `${nodes.filter(({ would }) => would === state).length} ${wouldWords[state]}`
    return { state, text, room: text.length * legend.perCharacter + legend.around }
  })
  const all = {
    width: Math.ceil(
      Math.max(
        width,
        meaning.reduce((sum, { room }) => sum + room, 0),
      ) +
        2 * margin,
    ),
    height: top(layers - 1) + box.height + margin + legend.height,
  }
  const left = (all.width - width) / 2
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${all.width}" height="${all.height}" viewBox="0 0 ${all.width} ${all.height}" role="img">`,
    '<title>Stages of this build</title>',
    `<style>${style}</style>`,
    `<rect class="paper" width="${all.width}" height="${all.height}"/>`,
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
    ...arrows.map((route) => {
      const points = route.map(({ x, layer }) => ({ x: x + left, from: top(layer), to: top(layer) + box.height }))
      return `<path class="arrow" marker-end="url(#head)" d="${curve(points)}"/>`
    }),
    ...nodes.map((node, index) => {
      const { x, layer } = places[index]!
      return drawn(node, left + x - box.width / 2, top(layer))
    }),
    ...meaning.map(({ state, text }, index) => {
      const x = margin + meaning.slice(0, index).reduce((sum, one) => sum + one.room, 0)
      const y = all.height - legend.height + 8
      return `<g class="${state}"><rect class="box" x="${number(x)}" y="${y}" width="22" height="14" rx="4"/><text x="${number(x + 30)}" y="${y + 11.5}">${text}</text></g>`
    }),
    '</svg>',
    '',
  ]
  return lines.join('\n')
}

function drawn(node: GraphNode, x: number, y: number): string {
  const line = (text: string, at: number, kind: string, most: number): string =>
    `<text class="${kind}" x="${number(x + 12)}" y="${number(y + at)}">${escaped(clipped(text, most))}</text>`
  return [
    `<g class="${node.would}"><title>${escaped(`${node.name}: ${stateText(node)}${node.note === '' ? '' : `\n${node.note}`}`)}</title>`,
    `<rect class="box" x="${number(x)}" y="${number(y)}" width="${box.width}" height="${box.height}" rx="9"/>`,
    line(node.name, 21, 'name', 24),
    line(stateText(node), 38, 'state', 29),
    line(node.note, 53, 'note', 33),
    '</g>',
  ].join('')
}

/** From the lower edge of the first box through the points to the upper edge of the last, vertical at each. */
function curve(points: readonly { readonly x: number; readonly from: number; readonly to: number }[]): string {
  const path = [`M${number(points[0]!.x)} ${number(points[0]!.to)}`]
  for (const [i, { x, from, to }] of points.slice(1).entries()) {
    const before = points[i]!
    const middle = (before.to + from) / 2
    path.push(`C${number(before.x)} ${number(middle)} ${number(x)} ${number(middle)} ${number(x)} ${number(from)}`)
    // A point in passing goes straight on to the layer's lower edge.
    if (i < points.length - 2) path.push(`L${number(x)} ${number(to)}`)
  }
  return path.join('')
}

const number = (value: number): string => String(Math.round(value * 10) / 10)

/** @param most characters that surely fit: nothing here can measure a font */
const clipped = (text: string, most: number): string => {
  const characters = [...text]
  return characters.length > most ? `${characters.slice(0, most - 1).join('')}…` : text
}

/** XML allows few control characters even when written by number: they become spaces. */
const escaped = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to keep out
    .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ud800-\udfff\ufffe\uffff]/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')

const style = [
  'text{font-family:ui-sans-serif,system-ui,sans-serif;font-size:12px;fill:#1b1f24}',
  '.name{font-size:14px;font-weight:600}',
  '.note{font-size:10.5px;fill:#57606a}',
  '.box{stroke-width:1.4}',
  '.paper{fill:#ffffff}.arrow{fill:none;stroke:#8c959f;stroke-width:1.3}.head{fill:#8c959f}',
  '.stay .box{fill:#dff5e5;stroke:#2f8f4e}.restore .box{fill:#dbeefa;stroke:#2b7ea8}',
  '.run .box{fill:#ffecc9;stroke:#b87503}.maybe .box{fill:#f3f3f3;stroke:#777777;stroke-dasharray:5 3}',
  '@media(prefers-color-scheme:dark){',
  'text{fill:#e6edf3}.note{fill:#9da7b1}.paper{fill:#0d1117}',
  '.stay .box{fill:#12301d;stroke:#3fb964}.restore .box{fill:#10293a;stroke:#4aa8d8}',
  '.run .box{fill:#3a2a08;stroke:#d29922}.maybe .box{fill:#1c2128;stroke:#8b949e}}',
].join('')
