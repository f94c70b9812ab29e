import { describe, expect, it } from 'vitest'
import { type Layer, layerOpener, type OpenLayer } from '../../src/calibrate/layer.js'
import { observe } from '../../src/calibrate/statistics.js'
import type { Thresholds } from '../../src/calibrate/threshold.js'
import { tuneThresholds } from '../../src/calibrate/tune.js'
import type { Graph, Node, Tensor, Weight } from '../../src/ir/graph.js'
import { laplace, uniforms } from './random.js'

/** Pictures of 4 channels, SIDE x SIDE: enough values that clipping a few pays. */
const SIDE = 40
const PLANE = SIDE * SIDE
const N = 4 * PLANE
const tensor = (data: Float32Array): Tensor => ({ shape: [1, 4, SIDE, SIDE], data })

/** input -> 1x1 Conv -> LeakyRelu -> MaxPool, and the Conv once more in an Add with the input. */
function network(): Graph {
  const node = (name: string, op: Node['op'], inputs: string[], shape = [1, 4, SIDE, SIDE]): Node => ({
    name,
    op,
    inputs,
    shape,
  })
  const next = uniforms(77)
  const relu = { relu: false, reluLimit: -1 }
  const conv = { kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1, ...relu } as const
  const random = (n: number) => Float32Array.from({ length: n }, () => 2 * next() - 1)
  return {
    name: 'net',
    nodes: [
      node('input', { type: 'Input' }, []),
      node('conv', { type: 'Conv', ...conv }, ['input', 'w', 'b']),
      node('leaky', { type: 'LeakyRelu', alpha: 0.125 }, ['conv']),
      node(
        'pool',
        { type: 'MaxPool', kernel: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] },
        ['leaky'],
        [1, 4, SIDE / 2, SIDE / 2],
      ),
      node('add', { type: 'Add', ...relu }, ['input', 'conv']),
      node('twice', { type: 'Add', ...relu }, ['add', 'add']),
    ],
    weights: new Map([
      ['w', { shape: [4, 4, 1, 1], data: random(16) }],
      ['b', { shape: [4], data: random(4) }],
    ]),
    outputs: ['pool', 'twice'],
  }
}

/** The layers of that network, in plain loops. */
function compute(node: Node, weights: ReadonlyMap<string, Weight>, [x, y]: readonly Tensor[]): Tensor {
  const a = x!.data
  const out = new Float32Array(node.shape.reduce((p, n) => p * n, 1))
  for (let i = 0; i < out.length; i++) {
    const [c, at] = [Math.floor(i / PLANE), i % PLANE]
    if (node.op.type === 'Conv') {
      let sum = weights.get('b')!.data[c]!
      for (let k = 0; k < 4; k++) sum += weights.get('w')!.data[4 * c + k]! * a[PLANE * k + at]!
      out[i] = sum
    } else if (node.op.type === 'LeakyRelu') out[i] = a[i]! < 0 ? 0.125 * a[i]! : a[i]!
    else if (node.op.type === 'Add') out[i] = a[i]! + y!.data[i]!
    else {
      const half = SIDE / 2
      const corner = 2 * SIDE * Math.floor(i / half) + 2 * (i % half)
      out[i] = Math.max(...[0, 1, SIDE, SIDE + 1].map((d) => a[corner + d]!))
    }
  }
  return { shape: node.shape, data: out }
}

/** Half to even, as numpy.round. */
function round(x: number): number {
  const down = Math.floor(x)
  if (x - down !== 0.5) return Math.round(x)
  return down % 2 === 0 ? down : down + 1
}

/** The rule written out: every layer, every operand, every step, every picture. */
function tuneByDefinition(graph: Graph, thresholds: Thresholds, pictures: readonly Tensor[]): Map<string, number> {
  const byName = new Map(graph.nodes.map((node) => [node.name, node]))
  const values = pictures.map((picture) => {
    const all = new Map([['input', picture]])
    for (const node of graph.nodes.slice(1))
      all.set(
        node.name,
        compute(
          node,
          graph.weights,
          node.inputs.filter((i) => byName.has(i)).map((i) => all.get(i)!),
        ),
      )
    return all
  })
  const largest = Math.max(...graph.weights.get('w')!.data.map(Math.abs))
  const rounded = graph.weights.get('w')!.data.map((w) => (Math.round((w * 127) / largest) * largest) / 127)
  const weights = new Map([...graph.weights, ['w', { shape: [4, 4, 1, 1], data: rounded }] as const])
  const tuned = new Map([...thresholds].map(([name, { threshold }]) => [name, threshold]))
  const done = new Set<string>()
  for (const node of graph.nodes.slice(1)) {
    const operands = node.inputs.filter((i) => byName.has(i))
    const open = operands.filter((i) => !done.has(i))
    for (const name of new Set(open.length > 0 ? open : operands.slice(0, 1))) {
      done.add(name)
      const { threshold, min, max } = thresholds.get(name)!
      const room = Math.max(-min, max) - threshold
      if (room <= 0.01) continue
      let best = { distance: Infinity, threshold }
      for (let i = 0; i <= 20; i++) {
        const t = threshold + (room * i) / 20
        let distance = 0
        for (const all of values) {
          const fake = operands.map((operand) =>
            tensor(all.get(operand)!.data.map((x) => (Math.max(-128, Math.min(127, round((x * 127) / t))) * t) / 127)),
          )
          const [want, got] = [all.get(node.name)!.data, compute(node, weights, fake).data]
          const noise = Math.sqrt(want.reduce((sum, x, k) => sum + (x - got[k]!) ** 2, 0))
          distance += noise / want.reduce((sum, x) => sum + Math.abs(x), 0)
        }
        if (distance < best.distance) best = { distance, threshold: t }
      }
      tuned.set(name, Math.max(tuned.get(name)!, best.threshold))
    }
  }
  return tuned
}

describe('tuning', () => {
  const graph = network()
  const pictures = [1, 2, 3].map((seed) => tensor(laplace(N, seed).map((x) => x * x * Math.sign(x))))
  const feeds = pictures.map((picture) => ({ input: picture }))
  const thresholds = new Map(
    graph.nodes.map((node) => {
      const all = pictures.map((picture) => {
        let value = picture
        if (node.name !== 'input') {
          const conv = compute(graph.nodes[1]!, graph.weights, [picture])
          const leaky = compute(graph.nodes[2]!, graph.weights, [conv])
          const add = compute(graph.nodes[4]!, graph.weights, [picture, conv])
          const pool = compute(graph.nodes[3]!, graph.weights, [leaky])
          value = { conv, leaky, pool, add, twice: compute(graph.nodes[5]!, graph.weights, [add, add]) }[node.name]!
        }
        return [...value.data]
      })
      const { min, max, absMax } = observe(Float32Array.from(all.flat()))
      return [node.name, { threshold: absMax / 4, min, max }] as const
    }),
  )
  const expected = tuneByDefinition(graph, thresholds, pictures)
  const found = (tuned: Thresholds) => [...tuned].map(([name, { threshold }]) => [name, threshold.toFixed(5)])

  it('finds the same thresholds as trying everything', async () => {
    let open = 0
    const opener: OpenLayer = async (node, weights) => {
      open++
      const layer: Layer = {
        run: async (operands) => compute(node, weights, operands),
        release: async () => {
          open--
        },
      }
      return layer
    }
    let layers = 0
    const tuned = await tuneThresholds(graph, thresholds, feeds, (n) => (layers += n), opener)
    expect(found(tuned)).toEqual([...expected].map(([name, t]) => [name, t.toFixed(5)]))
    expect([open, layers]).toEqual([0, 5])
    // Something was raised, and not simply to the end; extrema stay; what nobody reads stays.
    const raised = [...tuned].filter(([name, { threshold }]) => threshold > thresholds.get(name)!.threshold)
    expect(raised.map(([name]) => name)).toEqual(['input', 'conv', 'leaky', 'add'])
    const factors = raised.map(([name, { threshold }]) => threshold / thresholds.get(name)!.threshold)
    expect(new Set(factors).size).toBeGreaterThan(2)
    expect(Math.max(...factors)).toBeLessThan(3.9)
    for (const [name, { min, max }] of tuned) expect(thresholds.get(name)).toMatchObject({ min, max })
    expect(tuned.get('pool')).toBe(thresholds.get('pool'))
  })

  it('does so with layers run by onnxruntime', async () => {
    expect(found(await tuneThresholds(graph, thresholds, feeds))).toEqual(
      [...expected].map(([name, t]) => [name, t.toFixed(5)]),
    )
  })

  it('runs single layers as the graph has them', async () => {
    const open = layerOpener(graph)
    for (const node of graph.nodes.slice(1)) {
      const operands = node.inputs.filter((name) => !graph.weights.has(name))
      const given = operands.map((name, i) => (name === 'add' ? pictures[0]! : pictures[i]!))
      const layer = await open(node, graph.weights)
      const { shape, data } = await layer.run(given)
      const want = compute(node, graph.weights, given)
      expect(shape).toEqual(want.shape)
      expect(Math.max(...data.map((x, i) => Math.abs(x - want.data[i]!)))).toBeLessThan(1e-5)
      await layer.release()
    }
  })

  it('leaves thresholds alone that have no room, and everything without pictures', async () => {
    const full = new Map(
      [...thresholds].map(([name, one]) => [name, { ...one, threshold: Math.max(-one.min, one.max) }]),
    )
    expect(await tuneThresholds(graph, full, feeds)).toEqual(full)
    expect(await tuneThresholds(graph, thresholds, [])).toBe(thresholds)
    const zeros = [{ input: tensor(new Float32Array(N)) }]
    const quiet: Graph = {
      ...graph,
      weights: new Map([...graph.weights, ['b', { shape: [4], data: new Float32Array(4) }]]),
    }
    expect(await tuneThresholds(quiet, thresholds, zeros)).toEqual(thresholds)
  })

  it('looks at the values that an ArgMax reads, not at where they are largest', async () => {
    const place: Node = {
      name: 'place',
      op: { type: 'ArgMax', axis: 1, keepDims: true },
      inputs: ['input'],
      shape: [1, 1, SIDE, SIDE],
    }
    const net: Graph = { name: 'net', nodes: [graph.nodes[0]!, place], weights: new Map(), outputs: ['place'] }
    const tuned = await tuneThresholds(net, thresholds, feeds)
    const { threshold, min, max } = thresholds.get('input')!
    const steps = Array.from({ length: 21 }, (_, i) => threshold + ((Math.max(-min, max) - threshold) * i) / 20)
    const errors = steps.map((t) => {
      const stored = (x: number): number => (Math.max(-128, Math.min(127, round((x * 127) / t))) * t) / 127
      return pictures.reduce((sum, { data }) => {
        const noise = Math.sqrt(data.reduce((all, x) => all + (x - stored(x)) ** 2, 0))
        return sum + noise / data.reduce((all, x) => all + Math.abs(x), 0)
      }, 0)
    })
    const best = steps[errors.indexOf(Math.min(...errors))]!
    expect(tuned.get('input')!.threshold.toFixed(5)).toBe(best.toFixed(5))
    expect(best).toBeGreaterThan(threshold)
    expect(best).toBeLessThan(steps.at(-1)!)
  })

  it('says which input a picture lacks', async () => {
    await expect(tuneThresholds(graph, thresholds, [{ image: pictures[0]! }])).rejects.toThrow(
      'a picture for tuning has no value for input "input"',
    )
  })
})
