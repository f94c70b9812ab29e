/**
 * The search for groups looks at prices, not at steps. Here the steps are made, in full, and looked at: the bytes that live at each of
 * them and the time that both engines take are what the price said.
 */
import { expect, test } from 'vitest'
import { planGraph } from '../../src/bm1684x/codegen/graph.js'
import { startParts } from '../../src/bm1684x/codegen/parts.js'
import { startPricing } from '../../src/bm1684x/codegen/price.js'
import { startSlicer } from '../../src/bm1684x/codegen/sliced.js'
import { bordersOf, cutGroup, type Tiling } from '../../src/bm1684x/codegen/slices.js'
import { type Context, type Group, groupSteps } from '../../src/bm1684x/codegen/steps.js'
import type { QGraph } from '../../src/quantize/qgraph.js'
import { net, quantized } from './net.js'

const plain: Tiling = { batch: 'all', strips: 1, flat: false, resident: true }
const tilings: readonly Tiling[] = [
  plain,
  { ...plain, resident: false },
  { ...plain, flat: true },
  { ...plain, strips: 2 },
  { ...plain, strips: 4 },
  { ...plain, batch: 'one' },
  { ...plain, batch: 'one', resident: false },
]

const noRelu = { relu: false, reluLimit: -1 } as const

const block = (batch: number): QGraph => {
  const n = net([batch, 3, 33, 20])
  const a = n.leaky(n.conv('x', 12))
  const b = n.pool(n.leaky(n.conv(a, 12)), 3, 1, 1)
  const c = n.add({ type: 'Add', ...noRelu }, [a, b], n.shapeOf(a))
  return quantized(n.graph([n.conv(n.leaky(c), 20, { strides: [2, 2] }), b]))
}

const nets: Record<string, () => QGraph> = {
  'a residual block of which a value is read outside': () => block(1),
  'the same for a batch of three': () => block(3),
  'coefficients in parts, in several precisions': () => {
    const n = net([1, 3, 13, 13])
    const a = n.conv('x', 200)
    const b = n.leaky(n.conv(a, 300))
    const kinds = new Map([[b, 'F16' as const]])
    return quantized(n.graph([n.conv(b, 100)]), (layer) => kinds.get(layer) ?? 'INT8')
  },
}

const contextOf = (q: QGraph): Context => {
  const graph = planGraph(q)
  return {
    graph,
    parts: startParts(graph),
    slicer: startSlicer(graph),
    transfers: new Map(),
    joins: new Map(),
  }
}

/** Both engines walked through the steps: loads of a step beside the computation in front of it, stores beside the one behind. */
function walked({ steps, buffers }: Group) {
  const live = steps.map((_, at) =>
    buffers.filter(({ first, last }) => first <= at && at <= last).reduce((sum, { bytes }) => sum + bytes, 0),
  )
  let [dma, tiu, before] = [0, 0, 0]
  for (const { loads, stores, cycles } of steps) {
    // Coefficients of the first step may have been loaded before.
    const waits = loads.filter(({ root, buffer }) => typeof root === 'string' || buffer.first > 0)
    for (const load of waits) dma = Math.max(dma, before) + load.cycles
    const ready = waits.length > 0 ? dma : before
    for (const store of stores) dma = Math.max(dma, tiu) + store.cycles
    before = tiu
    tiu = Math.max(tiu, ready) + cycles
  }
  const transfers = steps.flatMap(({ loads, stores }) => [...loads, ...stores])
  const busy = [transfers, steps].map((list) => list.reduce((sum, { cycles }) => sum + cycles, 0))
  return { peak: Math.max(...live), cycles: Math.max(dma, tiu, ...busy) }
}

test.each(Object.entries(nets))('%s', (_, make) => {
  const q = make()
  const [priced, stepped] = [contextOf(q), contextOf(q)]
  const nodesOf = ({ graph }: Context) =>
    graph.items.flatMap((item) => (item.kind === 'compute' ? [graph.nodes.get(item.node.name)!] : []))
  const count = nodesOf(priced).length
  const seen = new Set<string>()
  for (let end = 1; end <= count; end++)
    for (let from = end - 1; from >= 0; from--)
      for (const tiling of tilings) {
        const [nodes, same] = [nodesOf(priced).slice(from, end), nodesOf(stepped).slice(from, end)]
        const cut = cutGroup(priced.graph, priced.slicer, bordersOf(priced.graph, priced.slicer, nodes), tiling)
        const cutAgain = cutGroup(stepped.graph, stepped.slicer, bordersOf(stepped.graph, stepped.slicer, same), tiling)
        expect(cut === undefined).toBe(cutAgain === undefined)
        if (cut === undefined || cutAgain === undefined) continue
        const pricing = startPricing(priced, nodes, tiling, cut)
        for (const slices of new Set([1, 2, 3].map(cut.countOf))) {
          const group = groupSteps(stepped, same, tiling, cutAgain, slices)
          const price = pricing?.(slices)
          expect(price === undefined).toBe(group === undefined)
          if (price?.whole !== true || group === undefined) continue
          expect(price).toEqual({ ...walked(group), whole: true })
          seen.add(`${JSON.stringify(tiling)} ${slices}`)
        }
      }
  // Not by looking at nothing.
  expect(seen.size).toBeGreaterThan(6)
})
