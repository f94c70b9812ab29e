/** Every pass by itself: the graph stays legal and computes the same, and becomes what it should. */
import { describe, expect, it } from 'vitest'
import { checkGraph } from '../../src/ir/check.js'
import { type Graph, inputsOf, type Node, type Op, sizeOf, type Weight } from '../../src/ir/graph.js'
import { dropDead } from '../../src/ir/passes/drop-dead.js'
import { dropIdentities } from '../../src/ir/passes/drop-identities.js'
import { foldScale } from '../../src/ir/passes/fold-scale.js'
import { fusePad } from '../../src/ir/passes/fuse-pad.js'
import { fuseRelu } from '../../src/ir/passes/fuse-relu.js'
import { fuseSilu } from '../../src/ir/passes/fuse-silu.js'
import { resultShape } from '../../src/ir/shapes.js'
import { names, numbers, opTypes, relativeError, runGraph, tensor } from './helper.js'

const none = { relu: false, reluLimit: -1 } as const
const op = {
  conv: { type: 'Conv', kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1], group: 1, ...none },
  scale: { type: 'Scale', ...none },
  relu: { type: 'Relu', limit: -1 },
  relu6: { type: 'Relu', limit: 0.25 },
  sigmoid: { type: 'Sigmoid' },
  mul: { type: 'Mul', ...none },
  add: { type: 'Add', ...none },
  maxPool: { type: 'MaxPool', kernel: [3, 3], strides: [2, 2], pads: [0, 0, 0, 0] },
  avgPool: {
    type: 'AvgPool',
    kernel: [3, 3],
    strides: [2, 2],
    pads: [0, 0, 0, 0],
    countIncludePad: false,
    keepDims: true,
  },
  pad: { type: 'Pad', paddings: [0, 0, 1, 0, 0, 0, 2, 1], value: 0 },
} as const satisfies Record<string, Op>

type Line = readonly [name: string, op: Op, inputs: readonly string[], shape?: readonly number[]]

/** A graph of four channels, 6x6; operands whose names begin with a capital are weights. */
function graphOf(lines: readonly Line[], outputs: readonly string[] = [lines.at(-1)![0]]): Graph {
  const weights = new Map<string, Weight>()
  const nodes: Node[] = [{ name: 'x', op: { type: 'Input' }, inputs: [], shape: [1, 4, 6, 6] }]
  for (const [name, op, inputs, shape = []] of lines) {
    for (const input of inputs) {
      const shape = input.startsWith('W') ? [4, 4, 3, 3] : [4]
      if (/^[A-Z]/.test(input)) weights.set(input, { shape, data: numbers(sizeOf(shape), input.charCodeAt(1)) })
    }
    const shapes = inputs.map((input) => (weights.get(input) ?? nodes.find((node) => node.name === input))!.shape)
    nodes.push({ name, op, inputs, shape: resultShape({ name, op, shape }, shapes) })
  }
  const graph = { name: 'g', nodes, weights, outputs }
  checkGraph(graph)
  return graph
}

/** Runs a pass and holds it to the numbers of the graph before; the given graph is not touched. */
async function apply(pass: (graph: Graph) => Graph, graph: Graph): Promise<Graph> {
  const before = JSON.stringify(graph.nodes)
  const after = pass(graph)
  expect(JSON.stringify(graph.nodes)).toBe(before)
  checkGraph(after)
  const feeds = Object.fromEntries(inputsOf(graph).map((input) => [input.name, tensor(input.shape)]))
  const [want, got] = [await runGraph(graph, feeds), await runGraph(after, feeds)]
  const values = [...got.values()]
  for (const [i, value] of [...want.values()].entries()) expect(relativeError(values[i]!, value)).toBeLessThan(1e-5)
  return after
}

describe('normalisation into convolution', () => {
  it('makes new weights; the convolution keeps its name and its readers', async () => {
    const graph = graphOf([
      ['c', op.conv, ['x', 'Wc', 'Bc']],
      ['n', op.scale, ['c', 'S', 'BN_B_t']],
      ['r', op.sigmoid, ['n']],
    ])
    const after = dropDead(await apply(foldScale, graph))
    expect(names(after)).toEqual(['x', 'c', 'r'])
    expect([...after.weights.keys()]).toEqual(['ConvBnFusion_W_Wc', 'ConvBnFusion_BN_B_t'])
  })

  it('twice in a row, without a bias, as the output', async () => {
    const after = await apply(
      foldScale,
      graphOf([
        ['c', op.conv, ['x', 'Wc']],
        ['n', op.scale, ['c', 'S', 'T']],
        ['m', op.scale, ['n', 'U', 'V']],
      ]),
    )
    expect([names(after), after.outputs]).toEqual([['x', 'c'], ['c']])
  })

  it('two convolutions that share weights get weights of their own', async () => {
    const after = await apply(
      foldScale,
      graphOf(
        [
          ['c', op.conv, ['x', 'W']],
          ['d', op.conv, ['c', 'W']],
          ['n', op.scale, ['d', 'S', 'T']],
          ['m', op.conv, ['n', 'W']],
          ['o', op.scale, ['m', 'S', 'T']],
        ],
        ['o'],
      ),
    )
    expect(names(after)).toEqual(['x', 'c', 'd', 'm'])
    expect(after.nodes.map(({ inputs }) => inputs[1])).toEqual([
      undefined,
      'W',
      'ConvBnFusion_W_W',
      'ConvBnFusion_W_W_2',
    ])
  })

  it('not when the convolution is read elsewhere, is an output or has a relu', async () => {
    const scaled: Line = ['n', op.scale, ['c', 'S', 'T']]
    const conv: Line = ['c', op.conv, ['x', 'Wc']]
    for (const graph of [
      graphOf([conv, scaled, ['s', op.add, ['c', 'n']]]),
      graphOf([conv, scaled], ['n', 'c']),
      graphOf([['c', { ...op.conv, relu: true }, ['x', 'Wc']], scaled]),
    ])
      expect(opTypes(await apply(foldScale, graph))).toContain('Scale')
  })
})

describe('relu into its producer', () => {
  it('which takes its name and stands where it stood', async () => {
    const after = await apply(
      fuseRelu,
      graphOf([
        ['c', op.conv, ['x', 'Wc']],
        ['s', op.sigmoid, ['x']],
        ['r', op.relu, ['c']],
        ['a', op.add, ['r', 's']],
        ['r6', op.relu6, ['a']],
      ]),
    )
    expect(names(after)).toEqual(['x', 'r', 's', 'r6'])
    expect(after.nodes.map(({ op }) => 'relu' in op && [op.relu, op.reluLimit])).toEqual([
      false,
      [true, -1],
      false,
      [true, 0.25],
    ])
  })

  it('the smaller of two limits holds', async () => {
    const chain = (...limits: number[]) =>
      graphOf([
        ['c', op.conv, ['x', 'Wc']],
        ...limits.map((limit, i): Line => [`r${i}`, { type: 'Relu', limit }, [i === 0 ? 'c' : `r${i - 1}`]]),
      ])
    for (const [limits, limit] of [
      [[-1, 0.5], 0.5],
      [[0.25, -1], 0.25],
      [[0.5, 0.25, -1], 0.25],
    ] as const) {
      const after = await apply(fuseRelu, chain(...limits))
      expect(names(after)).toEqual(['x', `r${limits.length - 1}`])
      expect(after.nodes[1]!.op).toMatchObject({ relu: true, reluLimit: limit })
    }
  })

  it('not into what is read elsewhere, is an output, or cannot hold one', async () => {
    for (const graph of [
      graphOf([
        ['c', op.conv, ['x', 'Wc']],
        ['r', op.relu, ['c']],
        ['a', op.add, ['r', 'c']],
      ]),
      graphOf(
        [
          ['c', op.conv, ['x', 'Wc']],
          ['r', op.relu, ['c']],
        ],
        ['c', 'r'],
      ),
      graphOf([
        ['m', op.maxPool, ['x']],
        ['r', op.relu, ['m']],
      ]),
      graphOf([['r', op.relu, ['x']]]),
    ])
      expect(opTypes(await apply(fuseRelu, graph))).toContain('Relu')
  })
})

describe('x * sigmoid(x)', () => {
  it('is SiLU, in either order, with the name of the product', async () => {
    for (const inputs of [
      ['c', 's'],
      ['s', 'c'],
    ]) {
      const after = await apply(
        fuseSilu,
        graphOf([
          ['c', op.conv, ['x', 'Wc']],
          ['s', op.sigmoid, ['c']],
          ['p', op.mul, inputs],
        ]),
      )
      expect([names(after), opTypes(after)]).toEqual([
        ['x', 'c', 'p'],
        ['Conv', 'SiLU'],
      ])
    }
  })

  it('keeps a sigmoid that is read elsewhere, and one of something else', async () => {
    const shared: Line[] = [
      ['s', op.sigmoid, ['x']],
      ['p', op.mul, ['x', 's']],
      ['a', op.add, ['p', 's']],
    ]
    expect(opTypes(await apply(fuseSilu, graphOf(shared)))).toEqual(['Sigmoid', 'SiLU', 'Add'])
    const gate: Line[] = [
      ['c', op.conv, ['x', 'Wc']],
      ['s', op.sigmoid, ['c']],
      ['p', op.mul, ['x', 's']],
    ]
    expect(opTypes(await apply(fuseSilu, graphOf(gate)))).toEqual(['Conv', 'Sigmoid', 'Mul'])
  })
})

describe('padding into what follows', () => {
  const padded = (next: Op, inputs: readonly string[] = [], pad: Op = op.pad, source: Op = op.relu): Graph =>
    graphOf([
      ['s', source, ['x']],
      ['p', pad, ['s']],
      ['y', next, ['p', ...inputs]],
    ])
  const passed = async (graph: Graph): Promise<string[]> => opTypes(dropDead(await apply(fusePad, graph)))

  it('convolutions take zeros', async () => {
    expect(await passed(padded(op.conv, ['Wc']))).toEqual(['Relu', 'Conv'])
    const after = fusePad(padded(op.conv, ['Wc']))
    expect(after.nodes.at(-1)!.op).toMatchObject({ pads: [2, 1, 3, 2] })
    expect(await passed(padded(op.conv, ['Wc'], { ...op.pad, value: 1 }))).toContain('Pad')
  })

  it('average pools count them', async () => {
    expect(await passed(padded(op.avgPool))).toEqual(['Relu', 'AvgPool'])
    expect(
      await passed(
        padded({ ...op.avgPool, pads: [1, 1, 1, 1] }, [], { ...op.pad, paddings: [0, 0, 1, 0, 0, 0, 1, 1] }),
      ),
    ).toContain('Pad')
  })

  it('max pools take zeros only where nothing is negative', async () => {
    expect(await passed(padded(op.maxPool))).toEqual(['Relu', 'MaxPool'])
    expect(await passed(padded(op.maxPool, [], op.pad, { type: 'LeakyRelu', alpha: 2 }))).toContain('Pad')
  })

  it('padded channels stay, and so does a pad that a window could lie in', async () => {
    expect(await passed(padded(op.avgPool, [], { ...op.pad, paddings: [0, 1, 0, 0, 0, 0, 1, 1] }))).toContain('Pad')
    // Not run: onnxruntime itself fuses such a pad and then refuses the model.
    const high = padded(op.avgPool, [], { ...op.pad, paddings: [0, 0, 3, 0, 0, 0, 0, 0] })
    expect(opTypes(fusePad(high))).toContain('Pad')
  })
})

describe('what does nothing and what nobody needs', () => {
  const shape = [1, 4, 6, 6]
  it('identities go, one that is an output stays', async () => {
    const lines: Line[] = [
      ['a', { type: 'Reshape' }, ['x'], shape],
      ['b', { type: 'Permute', order: [0, 1, 2, 3] }, ['a']],
      ['c', { type: 'Slice', offsets: [0, 0, 0, 0], ends: shape, steps: [1, 1, 1, 1] }, ['b']],
      ['d', { type: 'Upsample', scaleH: 1, scaleW: 1 }, ['c']],
      ['e', { type: 'Concat', axis: 1, ...none }, ['d']],
      ['f', op.sigmoid, ['e']],
      ['g', { type: 'Reshape' }, ['f'], shape],
    ]
    expect(names(await apply(dropIdentities, graphOf(lines)))).toEqual(['x', 'f', 'g'])
    // A permutation may keep the shape and still move everything.
    const turned: Line[] = [
      ['t', { type: 'Permute', order: [0, 1, 3, 2] }, ['x']],
      ['y', op.sigmoid, ['t']],
    ]
    expect(names(await apply(dropIdentities, graphOf(turned)))).toEqual(['x', 't', 'y'])
  })

  it('dead nodes and weights go', async () => {
    const after = await apply(
      dropDead,
      graphOf([
        ['c', op.conv, ['x', 'Wc']],
        ['d', op.conv, ['c', 'Wd']],
        ['y', op.sigmoid, ['c']],
      ]),
    )
    expect([names(after), [...after.weights.keys()]]).toEqual([['x', 'c', 'y'], ['Wc']])
  })
})

describe('the spec of a legal graph', () => {
  const good = graphOf([
    ['c', op.conv, ['x', 'Wc', 'Bc']],
    ['y', op.add, ['c', 'x']],
  ])
  const node = (i: number, change: Partial<Node>): Graph => ({
    ...good,
    nodes: good.nodes.map((node, at) => (at === i ? { ...node, ...change } : node)),
  })
  const weight = (name: string, weight: Weight): Graph => ({
    ...good,
    weights: new Map([...good.weights, [name, weight]]),
  })

  it.each([
    ['layer `y` reads `z`, which is not made before it', node(2, { inputs: ['c', 'z'] })],
    ['layer `c` reads `y`, which is not made before it', node(1, { inputs: ['y', 'Wc'] })],
    ['the name `x` stands twice', node(1, { name: 'x' })],
    ['layer `c` has shape 1x4x6x5, its op gives 1x4x6x6', node(1, { shape: [1, 4, 6, 5] })],
    ['layer `c`: operand 1 must be a weight', node(1, { inputs: ['x', 'x'] })],
    ['layer `c`: operand 0 must not be a weight', node(1, { inputs: ['Wc', 'Wc'] })],
    ['layer `c` (Conv): bias is 4x4x3x3, not 4', node(1, { inputs: ['x', 'Wc', 'Wc'] })],
    ['layer `c` (Conv): 4 filters do not divide into 3 groups', node(1, { op: { ...op.conv, group: 3 } })],
    ['layer `c` (Conv): has 1 operands', node(1, { inputs: ['x'] })],
    ['layer `y` reads weights only', node(2, { inputs: ['Bc', 'Bc'] })],
    ['weight `Bc` has 3 numbers for shape 4', weight('Bc', { shape: [4], data: new Float32Array(3) })],
    ['weight `Bc` has a number that is not finite', weight('Bc', { shape: [1], data: Float32Array.of(Infinity) })],
    ['output `z` is not a layer', { ...good, outputs: ['z'] }],
    ['output `y` stands twice', { ...good, outputs: ['y', 'y'] }],
    ['graph `g` has no output', { ...good, outputs: [] }],
  ])('%s', (message, graph) => {
    expect(() => checkGraph(good)).not.toThrow()
    expect(() => checkGraph(graph)).toThrow(message)
  })
})
