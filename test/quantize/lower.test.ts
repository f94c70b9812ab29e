import { describe, expect, it } from 'vitest'
import { QuantError } from '../../src/errors.js'
import type { Warning } from '../../src/events.js'
import { describeFallbacks, lower } from '../../src/quantize/lower.js'
import type { Precision, QGraph } from '../../src/quantize/qgraph.js'
import { conv1, graphOf, none, pool, relu, thresholdsOf, weight } from './float-graph.js'

/** `name:type(inputs)` of every node. */
const lines = (graph: QGraph): string[] =>
  graph.nodes.map(({ name, op, inputs, type }) => `${name} ${type.kind} ${op.type}(${inputs.join(' ')})`)

const w = { w: weight([2, 2, 1, 1], 0.5, -1), b: weight([2], 0.25) }
const leaky = { type: 'LeakyRelu', alpha: 0.1 } as const
const int8 = (): Precision => 'INT8'
const mixed =
  (modes: Record<string, Precision>) =>
  (layer: string): Precision =>
    modes[layer] ?? 'INT8'

describe('a conv and its activation', () => {
  const graph = graphOf(
    [
      ['x', { type: 'Input' }],
      ['c', conv1, ['x', 'w', 'b']],
      ['l', leaky, ['c']],
      ['d', conv1, ['l', 'w']],
    ],
    w,
  )
  const thresholds = thresholdsOf({ '+x': 2.55, c: 12.7, l: 12.7, d: 6.35 })

  it('becomes 8 bit between a cast of the input and a cast of the output', () => {
    const quantized = lower(graph, thresholds, int8)
    expect(lines(quantized)).toEqual([
      'x f32 Input()',
      'x_ui8 u8 Cast(x)',
      'c i8 ConvInt(x_ui8 c_filter_i8 c_bias_int32)',
      'l i8 LeakyReluInt(c)',
      'd i8 ConvInt(l d_filter_i8)',
      'd_f32 f32 Cast(d)',
    ])
    expect(quantized.outputs).toEqual(['d_f32'])
    // Channel 0 holds 0.5 and -1: scale 1 / 127 as a float32.
    const scale = Math.fround(1 / 127)
    expect([...quantized.weights.get('c_filter_i8')!.data]).toEqual([64, -127, 64, -127])
    expect([...quantized.weights.get('c_bias_int32')!.data]).toEqual(
      [0, 0].map(() => Math.round(0.25 / (scale * 0.01))),
    )
    expect(quantized.weights.get('c_bias_int32')!.shape).toEqual([1, 2, 1, 1])
    const conv = quantized.nodes[2]!.op
    if (conv.type !== 'ConvInt') throw new Error('no conv')
    expect(conv.multipliers[0]! * 2 ** -conv.shifts[0]!).toBeCloseTo((scale * 0.01) / 0.1, 9)
  })

  it('in float stands between casts at unchanged scales', () => {
    expect(lines(lower(graph, thresholds, mixed({ c: 'F32' })))).toEqual([
      'x f32 Input()',
      'c f32 Conv(x w b)',
      'c_si8 i8 Cast(c)',
      'l i8 LeakyReluInt(c_si8)',
      'd i8 ConvInt(l d_filter_i8)',
      'd_f32 f32 Cast(d)',
    ])
  })

  it('has no casts inside a run of float layers, and rounds weights but not the bias of a conv', () => {
    const quantized = lower(graph, thresholds, mixed({ c: 'F16', l: 'F16' }))
    expect(lines(quantized)).toEqual([
      'x f32 Input()',
      'x_f16 f16 Cast(x)',
      'c f16 Conv(x_f16 w_f16 b)',
      'l f16 LeakyRelu(c)',
      'l_si8 i8 Cast(l)',
      'd i8 ConvInt(l_si8 d_filter_i8)',
      'd_f32 f32 Cast(d)',
    ])
    expect(quantized.weights.get('b')!.kind).toBe('f32')
    expect(quantized.weights.get('w_f16')!.kind).toBe('f16')
  })

  it('needs no thresholds in float', () => {
    expect(lines(lower(graph, undefined, () => 'BF16'))).toEqual([
      'x f32 Input()',
      'x_bf16 bf16 Cast(x)',
      'c bf16 Conv(x_bf16 w_bf16 b)',
      'l bf16 LeakyRelu(c)',
      'd bf16 Conv(l w_bf16)',
      'd_f32 f32 Cast(d)',
    ])
    expect(lower(graph, undefined, () => 'F32').outputs).toEqual(['d'])
  })

  it('without a threshold names the layer, and who reads it', () => {
    const without = (name: string) => new Map([...thresholds].filter(([key]) => key !== name))
    expect(() => lower(graph, without('d'), int8)).toThrow(QuantError)
    expect(() => lower(graph, without('d'), int8)).toThrow(/^d has no threshold in INT8/)
    expect(() => lower(graph, without('x'), int8)).toThrow('x has no threshold, and c reads it in INT8')
    expect(() => lower(graph, undefined, int8)).toThrow(/c has no threshold/)
  })
})

describe('casts', () => {
  it('are shared by all who need the same, and stand behind the value', () => {
    const graph = graphOf(
      [
        ['x', { type: 'Input' }],
        ['c', conv1, ['x', 'w']],
        ['p', pool, ['c'], [1, 2, 2, 2]],
        ['d', conv1, ['c', 'w']],
        ['e', conv1, ['c', 'w']],
      ],
      w,
      ['p', 'd', 'e', 'c'],
    )
    const quantized = lower(graph, thresholdsOf({ x: 1, c: 1, p: 1 }), mixed({ d: 'F32', e: 'F32' }))
    expect(lines(quantized)).toEqual([
      'x f32 Input()',
      'x_si8 i8 Cast(x)',
      'c i8 ConvInt(x_si8 c_filter_i8)',
      'c_f32 f32 Cast(c)',
      'p i8 MaxPool(c)',
      'p_f32 f32 Cast(p)',
      'd f32 Conv(c_f32 w)',
      'e f32 Conv(c_f32 w)',
    ])
    expect(quantized.outputs).toEqual(['p_f32', 'd', 'e', 'c_f32'])
  })

  it('are not made for a Reshape, which keeps the type of what it reads', () => {
    const graph = graphOf(
      [
        ['x', { type: 'Input' }],
        ['r', { type: 'Reshape' }, ['x'], [1, 2, 16, 1]],
        ['c', conv1, ['r', 'w']],
        ['s', { type: 'Reshape' }, ['c'], [1, 32]],
      ],
      w,
    )
    const quantized = lower(graph, thresholdsOf({ x: 1, r: 1, c: 2, s: 2 }), mixed({ s: 'F32' }))
    expect(lines(quantized)).toEqual([
      'x f32 Input()',
      'r f32 Reshape(x)',
      'r_si8 i8 Cast(r)',
      'c i8 ConvInt(r_si8 c_filter_i8)',
      's i8 Reshape(c)',
      's_f32 f32 Cast(s)',
    ])
  })
})

describe('other layers', () => {
  const x = ['x', { type: 'Input' }] as const

  it('a concat rescales operands of other scales, once each', () => {
    const graph = graphOf(
      [
        x,
        ['a', conv1, ['x', 'w']],
        ['e', conv1, ['x', 'w']],
        ['j', { ...none, type: 'Concat', axis: 1 }, ['a', 'e', 'a'], [1, 6, 4, 4]],
        ['k', conv1, ['e', 'w']],
      ],
      w,
      ['j', 'k'],
    )
    const quantized = lower(graph, thresholdsOf({ x: 1, a: 0.5, e: 2, j: 1, k: 1 }), int8)
    expect(lines(quantized).slice(4)).toEqual([
      'a_to_j i8 MulShift(a)',
      'e_to_j i8 MulShift(e)',
      'j i8 Concat(a_to_j e_to_j a_to_j)',
      'j_f32 f32 Cast(j)',
      'k i8 ConvInt(e k_filter_i8)',
      'k_f32 f32 Cast(k)',
    ])
    expect(quantized.nodes[4]!.op).toEqual({ type: 'MulShift', requant: { multiplier: 1, shift: 1 } })
    expect(quantized.nodes[5]!.op).toEqual({ type: 'MulShift', requant: { multiplier: 1, shift: -1 } })
    expect(quantized.nodes[4]!.layer).toBeUndefined()
  })

  it('a filter without negative values and without bias is unsigned', () => {
    const graph = graphOf([x, ['c', conv1, ['x', 'w']]], { w: weight([2, 2, 1, 1], 1, 0.25) })
    const quantized = lower(graph, thresholdsOf({ x: 1, c: 1 }), int8)
    const filter = quantized.weights.get('c_filter_u8')!
    expect(filter.kind).toBe('u8')
    expect([...filter.data]).toEqual([255, 64, 255, 64])
  })

  it('constants of Add stand at the scale of the result, those of Mul at their own', () => {
    const graph = graphOf(
      [x, ['a', { ...relu, type: 'Add' }, ['x', 'k']], ['m', { ...none, type: 'Mul' }, ['a', 'n']]],
      { k: weight([2, 1, 1], 0.5, -0.25), n: weight([2, 1, 1], -10, 1) },
    )
    const quantized = lower(graph, thresholdsOf({ x: 1.27, '+a': 2.55, m: 12.7 }), int8)
    expect([...quantized.weights.get('a_k_i8')!.data]).toEqual([50, -25])
    expect(quantized.nodes[2]!.op).toEqual({
      type: 'AddInt',
      relu: true,
      requants: [
        { multiplier: 1, shift: 0 },
        { multiplier: 1, shift: 0 },
      ],
    })
    // The largest magnitude counts, though it is negative.
    expect([...quantized.weights.get('m_n_i8')!.data]).toEqual([-127, 13])
    const op = quantized.nodes[3]!.op
    if (op.type !== 'MulInt') throw new Error('no mul')
    expect(op.requant.multiplier * 2 ** -op.requant.shift).toBeCloseTo((0.01 * (10 / 127)) / 0.1, 3)
  })

  it('a Scale is a depthwise conv', () => {
    const graph = graphOf([x, ['s', { ...none, type: 'Scale' }, ['x', 'k', 'b']]], {
      k: weight([2], 3, -0.5),
      b: weight([2], 1),
    })
    const quantized = lower(graph, thresholdsOf({ x: 1, s: 4 }), int8)
    expect(quantized.nodes[2]!.op).toMatchObject({ type: 'ConvInt', group: 2, kernel: [1, 1] })
    expect(quantized.weights.get('s_filter_i8')).toMatchObject({ shape: [2, 1, 1, 1], data: Int8Array.of(127, -127) })
  })

  it('Sigmoid and SiLU are tables, read at x & 255', () => {
    const graph = graphOf([x, ['g', { type: 'Sigmoid' }, ['x']], ['u', { type: 'SiLU' }, ['g']]])
    const quantized = lower(graph, thresholdsOf({ x: 6.35, '+g': 1.02, u: 0.635 }), int8)
    const table = quantized.weights.get('g_table')!
    expect(table).toMatchObject({ shape: [1, 1, 1, 256], kind: 'u8' })
    // x = 0, 20 * 0.05 = 1, -20 * 0.05 = -1 in steps of 0.004.
    expect([table.data[0], table.data[20], table.data[256 - 20]]).toEqual([125, 183, 67])
    const silu = quantized.weights.get('u_table')!
    // The operand is unsigned: 250 stands for 1; 1 * sigmoid(1) = 0.731 is above 0.635.
    expect([silu.kind, silu.data[250], silu.data[125]]).toEqual([
      'i8',
      127,
      Math.round(0.5 / (1 + Math.exp(-0.5)) / 0.005),
    ])
  })

  it('an average counts its window into the factor, and padding is stored in 8 bit', () => {
    const average = { type: 'AvgPool', kernel: [4, 4], strides: [1, 1], pads: [0, 0, 0, 0], keepDims: false } as const
    const graph = graphOf([
      x,
      ['p', { type: 'Pad', paddings: [0, 0, 0, 0, 0, 0, 0, 0], value: 0.5 }, ['x']],
      ['a', { ...average, countIncludePad: true }, ['p'], [1, 2]],
    ])
    const quantized = lower(graph, thresholdsOf({ '+x': 2.55, '+p': 2.55, '+a': 1.275 }), int8)
    expect(quantized.nodes[2]!.op).toMatchObject({ type: 'Pad', value: 50 })
    expect(quantized.nodes[3]!.op).toMatchObject({ type: 'AvgPoolInt', requant: { multiplier: 1, shift: 3 } })
  })

  it('a fully connected layer has one scale', () => {
    const graph = graphOf(
      [
        ['x', { type: 'Input' }, [], [1, 2]],
        ['f', { ...relu, type: 'MatMul', rightTranspose: false }, ['x', 'w', 'b'], [1, 3]],
      ],
      {
        w: weight([2, 3], 1, -2, 0.5),
        b: weight([3], 0.1),
      },
    )
    const quantized = lower(graph, thresholdsOf({ x: 1, '+f': 1 }), int8)
    expect([...quantized.weights.get('f_filter_int8')!.data]).toEqual([64, -127, 32, 64, -127, 32])
    expect(quantized.weights.get('f_bias_int32')!.shape).toEqual([3])
    expect(quantized.nodes[2]!.op).toMatchObject({ type: 'MatMulInt', relu: true })
  })

  it('biases that do not fit 32 bits are clamped, with a warning', () => {
    const graph = graphOf([x, ['c', conv1, ['x', 'w', 'b']]], {
      w: weight([2, 2, 1, 1], 1e-6),
      b: weight([2], 3e9, -1),
    })
    const warnings: Warning[] = []
    const quantized = lower(graph, thresholdsOf({ x: 1, c: 1 }), int8, (warning) => warnings.push(warning))
    expect(quantized.weights.get('c_bias_int32')!.data[0]).toBe(2 ** 31 - 1)
    expect(warnings).toMatchObject([{ about: 'c' }])
  })

  it('biases leave room for the largest products: no input can bring the sum out of int32', () => {
    // Weights of +-127 over 2 channels: the products of a signed operand reach 2 * 127 * 128.
    const wide = { w: weight([2, 2, 1, 1], 1, -1), b: weight([2], 3e9, -3e9) }
    for (const [input, largest] of [
      ['x', 128],
      ['+x', 255],
    ] as const) {
      const graph = graphOf([x, ['c', conv1, ['x', 'w', 'b']]], wide)
      const warnings: Warning[] = []
      const quantized = lower(graph, thresholdsOf({ [input]: 1, c: 1 }), int8, (warning) => warnings.push(warning))
      const room = 2 ** 31 - 1 - 2 * 127 * largest
      expect([...quantized.weights.get('c_bias_int32')!.data]).toEqual([room, -room])
      expect(warnings[0]!.message).toBe('2 biases do not fit the 32-bit sums at the scale of the operand: clamped')
    }
  })

  it('a layer whose products alone can leave int32 is refused: the chip would wrap around', () => {
    // 132105 weights of 127 times 128 are just beyond 2^31.
    for (const [n, refused] of [
      [132_103, false],
      [132_105, true],
    ] as const)
      for (const transposed of [false, true]) {
        const graph = graphOf(
          [
            ['x', { type: 'Input' }, [], [1, n]],
            ['f', { ...none, type: 'MatMul', rightTranspose: transposed }, ['x', 'w'], [1, 2]],
          ],
          { w: weight(transposed ? [2, n] : [n, 2], 1) },
        )
        const act = () => lower(graph, thresholdsOf({ x: 1, f: 1 }), int8)
        if (refused) expect(act).toThrow('the sums of f can leave the 32 bits of the chip’s accumulator')
        else expect(act).not.toThrow()
      }
    const deep = { w: weight([1, 132_105, 1, 1], 1, -1), b: weight([1], 0) }
    const graph = graphOf(
      [
        ['x', { type: 'Input' }, [], [1, 132_105, 1, 1]],
        ['c', conv1, ['x', 'w', 'b'], [1, 1, 1, 1]],
      ],
      deep,
    )
    expect(() => lower(graph, thresholdsOf({ x: 1, c: 1 }), int8)).toThrow(QuantError)
    expect(() => lower(graph, undefined, () => 'F16')).not.toThrow()
  })

  it('every entry of a table is the nearest step to the function, for signed and unsigned', () => {
    const exact = {
      Sigmoid: (v: number): number => 0.5 + 0.5 * Math.tanh(v / 2),
      SiLU: (v: number): number => v * (0.5 + 0.5 * Math.tanh(v / 2)),
    }
    for (const type of ['Sigmoid', 'SiLU'] as const)
      for (const from of ['x', '+x'])
        for (const to of ['g', '+g'])
          for (const [wide, high] of [
            [0.5, 0.3],
            [8, 1],
            [60, 59],
          ] as const) {
            const graph = graphOf([x, ['g', { type }, ['x']]])
            const quantized = lower(graph, thresholdsOf({ [from]: wide, [to]: high }), int8)
            const [operand, result] = [quantized.nodes[1]!.type, quantized.nodes[2]!.type]
            if (!('scale' in operand && 'scale' in result)) throw new Error('not in 8 bit')
            const table = quantized.weights.get('g_table')!.data
            const [least, most] = result.kind === 'i8' ? [-128, 127] : [0, 255]
            for (let stored = 0; stored < 256; stored++) {
              const v = (operand.kind === 'i8' && stored > 127 ? stored - 256 : stored) * operand.scale
              const steps = Math.min(most, Math.max(least, exact[type](v) / result.scale))
              expect(Math.abs(table[stored]! - steps)).toBeLessThanOrEqual(0.5 + 1e-9)
            }
          }
  })

  it('weights that are no numbers are named', () => {
    const graph = graphOf([x, ['c', conv1, ['x', 'w']]], { w: weight([2, 2, 1, 1], 1, NaN) })
    expect(() => lower(graph, thresholdsOf({ x: 1, c: 1 }), int8)).toThrow('a weight of c is NaN')
  })
})

describe('fallbacks', () => {
  const average = { type: 'AvgPool', kernel: [2, 2], strides: [1, 1], pads: [1, 1, 0, 0], keepDims: true } as const
  const graph = graphOf(
    [
      ['x', { type: 'Input' }, [], [1, 2, 4, 4]],
      ['a', { ...average, countIncludePad: false }, ['x']],
      ['g', { type: 'Sigmoid' }, ['a']],
      ['m', { ...none, type: 'MatMul', rightTranspose: false }, ['g', 'g']],
      ['s', { type: 'Softmax', axis: 1 }, ['m']],
      ['j', { ...none, type: 'Concat', axis: 1 }, ['s', 'k']],
    ],
    { k: weight([1, 2, 4, 4], 1) },
  )

  it('are F32, and described', () => {
    expect(describeFallbacks(graph, int8).map(({ about }) => about)).toEqual(['a', 's', 'j'])
    expect(describeFallbacks(graph, () => 'F16').map(({ about, message }) => `${about}: ${message}`)).toEqual([
      'g: Sigmoid in float is always F32: F32 instead of F16',
      's: Softmax in float is always F32: F32 instead of F16',
    ])
    expect(describeFallbacks(graph, () => 'F32')).toEqual([])
    const quantized = lower(graph, thresholdsOf({ x: 1, a: 1, '+g': 1, m: 1 }), int8)
    expect(lines(quantized)).toEqual([
      'x f32 Input()',
      'a f32 AvgPool(x)',
      'a_si8 i8 Cast(a)',
      'g u8 Lut(a_si8 g_table)',
      'm_left u8 Reshape(g)',
      'm_right u8 Reshape(g)',
      'm_product i8 MatMulInt(m_left m_right)',
      'm i8 Reshape(m_product)',
      'm_f32 f32 Cast(m)',
      's f32 Softmax(m_f32)',
      'j f32 Concat(s k)',
    ])
  })
})

describe('a product of two computed values', () => {
  const product = { ...none, type: 'MatMul', rightTranspose: true } as const
  const graph = graphOf([
    ['x', { type: 'Input' }, [], [1, 2, 4, 4]],
    ['m', product, ['x', 'x']],
    ['s', { type: 'Softmax', axis: 3 }, ['m']],
    ['p', { type: 'Permute', order: [0, 1, 3, 2] }, ['s']],
    ['r', { type: 'Reshape' }, ['p'], [1, 2, 4, 4]],
    ['y', { ...product, rightTranspose: false }, ['r', 'x']],
  ])

  it('is scaled by both operands over the result', () => {
    const found = lower(graph, thresholdsOf({ x: 2, m: 4, y: 1 }), int8).nodes.find(({ name }) => name === 'm_product')!
    expect(found.inputs).toEqual(['m_left', 'm_turned'])
    const { multiplier, shift } = (found.op as { requant: { multiplier: number; shift: number } }).requant
    expect(multiplier / 2 ** shift).toBeCloseTo(((2 / 127) * (2 / 127)) / (4 / 127), 9)
  })

  it('is no average by 8-bit weights', () => {
    expect(describeFallbacks(graph, int8).map(({ about, message }) => `${about}: ${message}`)).toEqual([
      's: Softmax has no 8-bit form: F32 instead of INT8',
      'p: the weights of a Softmax lose too much in 8 bit: F16 instead of INT8',
      'y: the weights of a Softmax lose too much in 8 bit: F16 instead of INT8',
    ])
    const lowered = lower(graph, thresholdsOf({ x: 1, m: 1, y: 1 }), int8)
    expect(lines(lowered)).toContain('y_product f16 MatMul(y_left y_right)')
  })

  it('of more elements than 32 bits can sum is refused', () => {
    const long = graphOf([
      ['x', { type: 'Input' }, [], [1, 4, 140_000]],
      ['m', product, ['x', 'x'], [1, 4, 4]],
    ])
    expect(() => lower(long, thresholdsOf({ x: 1, m: 1 }), int8)).toThrow('the sums of m can leave the 32 bits')
  })
})

describe('an ArgMax', () => {
  const net = (axis: number, keepDims: boolean, shape: readonly number[]) =>
    graphOf(
      [
        ['x', { type: 'Input' }, [], [2, 2, 4, 4]],
        ['c', conv1, ['x', 'w'], [2, 2, 4, 4]],
        ['i', { type: 'ArgMax', axis, keepDims }, ['c'], shape],
      ],
      w,
    )
  // The ArgMax itself has none.
  const thresholds = thresholdsOf({ x: 1, c: 1 })

  it('reads what is stored, whatever is asked for, and is an output as it is', () => {
    for (const precision of ['INT8', 'F16'] as const) {
      const quantized = lower(net(1, true, [2, 1, 4, 4]), thresholds, mixed({ i: precision }))
      expect(lines(quantized).slice(2)).toEqual(['c i8 ConvInt(x_si8 c_filter_i8)', 'i f32 ArgMax(c)'])
      expect(quantized.outputs).toEqual(['i'])
      expect(describeFallbacks(net(1, true, [2, 1, 4, 4]), mixed({ i: precision }))).toEqual([])
    }
    expect(lines(lower(net(1, true, [2, 1, 4, 4]), thresholds, () => 'F16')).slice(2)).toEqual([
      'c f16 Conv(x_f16 w_f16)',
      'i f32 ArgMax(c)',
    ])
  })

  it('drops its axis by a Reshape', () => {
    const quantized = lower(net(3, false, [2, 2, 4]), thresholds, int8)
    expect(lines(quantized).slice(3)).toEqual(['i_index f32 ArgMax(c)', 'i f32 Reshape(i_index)'])
    expect(quantized.nodes.slice(3).map(({ shape }) => shape)).toEqual([
      [2, 2, 4, 1],
      [2, 2, 4],
    ])
  })

  it('of the batch is one of columns', () => {
    const { nodes } = lower(net(0, true, [1, 2, 4, 4]), thresholds, int8)
    expect(nodes.slice(3)).toMatchObject([
      { name: 'i_turned', op: { type: 'Permute', order: [1, 2, 3, 0] }, shape: [2, 4, 4, 2], type: { kind: 'i8' } },
      { name: 'i_index', op: { type: 'ArgMax', axis: 3, length: 2 }, shape: [2, 4, 4, 1], type: { kind: 'f32' } },
      { name: 'i', op: { type: 'Reshape' }, shape: [1, 2, 4, 4] },
    ])
  })
})
