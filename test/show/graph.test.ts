import { execFileSync, spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { paint } from '../../src/show/color.js'
import { graphDot, graphMermaid, graphOf, graphText } from '../../src/show/graph.js'
import { layersOf, layOut } from '../../src/show/graph-layout.js'
import { graphSvg } from '../../src/show/graph-svg.js'
import { placeOf, planned, tuned } from './planned.js'

const hostile = [
  planned('a"\\n<b>&\'', 'stay', { ms: 3, note: '"]; evil [label="' }),
  planned('--> end; %% `x` #quot; \n::: </text><script>alert(1)</script>', 'run', {
    needs: ['a"\\n<b>&\''],
    because: [{ why: 'output-missing', path: ']]> \u0000 \ud800 &amp;' }],
  }),
]

test('text: numbers are layers, and arrows that others imply are left out', () => {
  expect(graphText(graphOf(tuned, placeOf), paint(false)).split('\n')).toEqual([
    '1  import     up to date  1.2 s',
    '2  calibrate  would run   5.0 s  <- import',
    '3  select     would run   2.0 s  <- calibrate',
    '4  compile    may run     1.0 s  <- select',
    '5  verify     may run     4.0 s  <- compile',
  ])
})

test('layers are longest paths', () => {
  expect(layersOf([[], [0], [0, 1], [0], [2, 3]])).toEqual([0, 1, 2, 1, 3])
  expect(layersOf([])).toEqual([])
})

/** A graph whose arrows go from lower to higher numbers, the same for the same seed. */
function someGraph(seed: number, size: number): number[][] {
  let state = seed
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  return Array.from({ length: size }, (_, to) =>
    Array.from({ length: to }, (_, from) => from).filter(() => random() < 2 / size),
  )
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'drawing %d: no boxes touch, no arrow runs through one, all lies within',
  (seed) => {
    const before = someGraph(seed, 14)
    const [box, gap] = [100, 20]
    const { nodes, arrows, width, layers } = layOut(before, { box, gap })
    expect(arrows).toHaveLength(before.flat().length)
    expect(layers).toBe(Math.max(...layersOf(before)) + 1)
    for (const [i, a] of nodes.entries()) {
      expect(a.x).toBeGreaterThanOrEqual(box / 2 - 1e-9)
      expect(a.x).toBeLessThanOrEqual(width - box / 2 + 1e-9)
      for (const b of nodes.slice(i + 1))
        if (a.layer === b.layer) expect(Math.abs(a.x - b.x)).toBeGreaterThanOrEqual(box + gap - 1e-6)
    }
    for (const route of arrows) {
      expect(route.map(({ layer }) => layer)).toEqual(
        Array.from({ length: route.length }, (_, step) => route[0]!.layer + step),
      )
      for (const point of route.slice(1, -1))
        for (const node of nodes)
          if (node.layer === point.layer)
            expect(Math.abs(node.x - point.x)).toBeGreaterThanOrEqual(box / 2 + gap - 1e-6)
    }
  },
)

test('a chain hangs straight down', () => {
  const { nodes } = layOut([[], [0], [1], [2]], { box: 100, gap: 20 })
  expect(new Set(nodes.map(({ x }) => x)).size).toBe(1)
})

test('of two arrows that need not cross none does', () => {
  // 0 and 1 at the top; 2 hangs on 1, 3 hangs on 0.
  const { nodes } = layOut([[], [], [1], [0]], { box: 100, gap: 20 })
  expect(Math.sign(nodes[0]!.x - nodes[1]!.x)).toBe(Math.sign(nodes[3]!.x - nodes[2]!.x))
})

/** Enough of an XML reader to know that a document is well formed; gives the text between tags, with entities resolved. */
function xmlTexts(xml: string): string[] {
  const open: string[] = []
  const texts: string[] = []
  let at = 0
  for (const match of xml.matchAll(/<(\/?)([A-Za-z]\w*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g)) {
    const text = xml.slice(at, match.index)
    expect(text.replaceAll(/&(amp|lt|gt|quot);/g, '')).not.toMatch(/[<&]/)
    texts.push(text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&'))
    at = match.index + match[0].length
    if (match[1] === '/') expect(open.pop()).toBe(match[2])
    else if (match[4] !== '/') open.push(match[2]!)
  }
  expect(open).toEqual([])
  expect(xml.slice(at).trim()).toBe('')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 forbids them
  expect(xml).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/)
  expect(xml).not.toMatch(/[\ud800-\udfff]/u)
  return texts
}

test('SVG: every stage with its state, whatever it is called', () => {
  const texts = xmlTexts(graphSvg(graphOf(tuned, placeOf)))
  for (const text of ['import', 'calibrate', 'up to date, 1.2 s', 'would run, 5.0 s', 'may run, 1.0 s', '2 may run'])
    expect(texts).toContain(text)
  const svg = graphSvg(graphOf(hostile, placeOf))
  expect(svg).not.toContain('<script')
  expect(xmlTexts(svg)).toContain('a"\\n<b>&\'')
  expect(svg).not.toMatch(/(href|src)=|@import|url\((?!#)/)
  expect(xmlTexts(graphSvg([])).length).toBeGreaterThan(0)
})

test('the same graph gives the same bytes', () => {
  expect(graphSvg(graphOf(tuned, placeOf))).toBe(graphSvg(graphOf(tuned, placeOf)))
})

test('DOT: a label cannot end its quotes', () => {
  const dot = graphDot(graphOf(hostile, placeOf))
  // Outside of quoted strings nothing is left but the grammar that we write.
  const rest = dot.replaceAll(/"(?:[^"\\]|\\.)*"/g, 'S')
  expect(rest).not.toMatch(/["\\<&`]|evil|script/)
  expect(rest).toMatch(
    /^digraph quant \{\n[\s\S]*n0 \[label=S, tooltip=S, fillcolor=S, color=S\]\n[\s\S]* {2}n0 -> n1\n\}\n$/,
  )
})

const graphviz = 'dot'
test.skipIf(spawnSync(graphviz, ['-V']).error)('Graphviz reads it', () => {
  for (const graph of [tuned, hostile]) {
    const svg = execFileSync(graphviz, ['-Tsvg'], { input: graphDot(graphOf(graph, placeOf)), encoding: 'utf8' })
    expect(svg.match(/class="node"/g)).toHaveLength(graph.length)
  }
})

test('Mermaid: labels hold nothing that it could read as its own', () => {
  const mermaid = graphMermaid(graphOf(hostile, placeOf))
  const nodes = mermaid.split('\n').filter((line) => /^ {2}n\d\(/.test(line))
  expect(nodes).toHaveLength(2)
  for (const line of nodes) {
    const label = /^ {2}n\d\("(.*)"\):::(?:stay|run)$/.exec(line)![1]!
    expect(label.split('<br/>')).toHaveLength(2)
    // Characters by number: #34; is a quote.
    expect(label.replace('<br/>', '').replaceAll(/#\d+;/g, '')).toMatch(/^[\p{L}\p{N} :,._/()-]*$/u)
  }
  expect(mermaid).toContain('a#34;#92;n#60;b#62;#38;#39;')
  expect(mermaid).toContain('  n0 --> n1\n')
})
