import { describe, expect, it } from 'vitest'
import { exactMatMul } from '../../src/quantize/execute.js'
import type { QWeight } from '../../src/quantize/qgraph.js'
import { build, byMatMul } from './build.js'
import { type ConvSpec, convolve, int, integers, random, rangeOf, requant } from './reference.js'

interface Case extends Partial<ConvSpec> {
  readonly x: 'i8' | 'u8'
  readonly filter: 'i8' | 'u8'
  readonly y: 'i8' | 'u8'
  /** [n, ic, h, w] */
  readonly input: [number, number, number, number]
  readonly oc: number
  readonly kernel: [number, number]
  readonly relu?: boolean
  readonly bias?: number
  /** Weights and inputs all at the ends of their ranges. */
  readonly extreme?: boolean
  readonly shift?: [number, number]
}

const base = { strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: 1 } as const

async function check(
  seed: number,
  spec: Case,
): Promise<{ wrong: number; largest: number; values: Set<number>; matMul: boolean }> {
  const next = random(seed)
  const { group, strides, dilations, pads } = { ...base, ...spec }
  const depth = spec.input[1] / group
  const [low, high] = rangeOf[spec.x]
  const [wLow, wHigh] = spec.filter === 'i8' ? [-127, 127] : [0, 255]
  const x = spec.extreme
    ? { shape: spec.input, data: new Float32Array(spec.input.reduce((a, b) => a * b)).fill(high) }
    : integers(next, spec.input, low, high)
  const size = spec.oc * depth * spec.kernel[0] * spec.kernel[1]
  const weights = Array.from({ length: size }, () => (spec.extreme ? wHigh - int(next, 0, 1) : int(next, wLow, wHigh)))
  const filter: QWeight = {
    shape: [spec.oc, depth, ...spec.kernel],
    data: spec.filter === 'i8' ? Int8Array.from(weights) : Uint8Array.from(weights),
    kind: spec.filter,
  }
  const limit = spec.bias ?? 0
  const bias = Int32Array.from({ length: spec.oc }, () => int(next, -limit, limit))
  const sums = convolve(x, filter, limit ? bias : undefined, { group, strides, dilations, pads })
  // Factors that bring the sums into the middle of the result's range, with 31-bit multipliers.
  const largest = Math.max(...sums.data.map(Math.abs), 1)
  const [least, most] = spec.shift ?? [20, 45]
  const shifts = Array.from({ length: spec.oc }, () => int(next, least, most))
  const multipliers = shifts.map((s) =>
    Math.max(1, Math.min(2 ** 31 - 2, Math.round((2 ** s * 200 * (0.2 + next())) / largest))),
  )
  const node = {
    name: 'y',
    op: {
      type: 'ConvInt',
      kernel: spec.kernel,
      strides,
      dilations,
      pads,
      group,
      relu: spec.relu ?? false,
      multipliers,
      shifts,
    },
    inputs: limit ? ['x', 'w', 'b'] : ['x', 'w'],
    shape: sums.shape,
    type: { kind: spec.y, scale: 1 },
  } as const
  const { run, graph } = build({ x: { shape: spec.input, type: { kind: spec.x, scale: 1 } } }, [node], {
    w: filter,
    b: { shape: [1, spec.oc, 1, 1], data: bias, kind: 'i32' },
  })
  const y = await run({ x })
  const plane = sums.shape[2]! * sums.shape[3]!
  let wrong = 0
  for (const [i, sum] of sums.data.entries()) {
    const channel = Math.floor(i / plane) % spec.oc
    const acc = spec.relu ? Math.max(0, sum) : sum
    if (y.data[i] !== requant(BigInt(acc), multipliers[channel]!, shifts[channel]!, rangeOf[spec.y])) wrong++
  }
  expect(y.data.length).toBe(sums.data.length)
  return { wrong, largest, values: new Set(y.data), matMul: await byMatMul(graph) }
}

describe('8-bit convolution', () => {
  const cases: Record<string, Case> = {
    'a 3x3 with bias': { x: 'i8', filter: 'i8', y: 'i8', input: [1, 8, 9, 7], oc: 6, kernel: [3, 3], bias: 9999 },
    'a batch of two': {
      x: 'i8',
      filter: 'i8',
      y: 'i8',
      input: [2, 4, 5, 5],
      oc: 3,
      kernel: [3, 3],
      pads: [1, 1, 1, 1],
    },
    'strides, asymmetric padding': {
      ...{ x: 'u8', filter: 'i8', y: 'i8', input: [1, 3, 11, 10], oc: 8, kernel: [3, 3] },
      ...{ strides: [2, 3], pads: [0, 1, 2, 0], bias: 5000 },
    },
    dilation: {
      x: 'i8',
      filter: 'i8',
      y: 'i8',
      input: [1, 5, 12, 12],
      oc: 4,
      kernel: [3, 2],
      dilations: [2, 3],
      bias: 300,
    },
    'a relu to unsigned': {
      x: 'u8',
      filter: 'i8',
      y: 'u8',
      input: [1, 6, 6, 6],
      oc: 9,
      kernel: [1, 1],
      relu: true,
      bias: 99,
    },
    'a relu that stays signed': {
      x: 'i8',
      filter: 'i8',
      y: 'i8',
      input: [1, 6, 6, 6],
      oc: 9,
      kernel: [1, 1],
      relu: true,
    },
    'unsigned without relu': { x: 'i8', filter: 'i8', y: 'u8', input: [1, 6, 6, 6], oc: 9, kernel: [1, 1] },
    'an unsigned filter': { x: 'u8', filter: 'u8', y: 'u8', input: [1, 7, 8, 8], oc: 5, kernel: [3, 3] },
    depthwise: {
      ...{ x: 'i8', filter: 'i8', y: 'i8', input: [1, 12, 8, 8], oc: 12, kernel: [3, 3] },
      ...{ group: 12, pads: [1, 1, 1, 1], bias: 700 },
    },
    grouped: { x: 'i8', filter: 'i8', y: 'i8', input: [1, 8, 8, 8], oc: 6, kernel: [3, 3], group: 2, bias: 700 },
    'negative shifts': { x: 'i8', filter: 'i8', y: 'i8', input: [1, 1, 9, 9], oc: 4, kernel: [1, 1], shift: [-3, 1] },
    'shifts above 45': {
      x: 'i8',
      filter: 'i8',
      y: 'i8',
      input: [1, 64, 6, 6],
      oc: 64,
      kernel: [3, 3],
      shift: [43, 50],
    },
  }
  it.each(Object.entries(cases))('%s', async (_, spec) => {
    for (const seed of [1, 2, 3]) {
      const { wrong, values } = await check(seed, spec)
      expect(wrong).toBe(0)
      expect(values.size).toBeGreaterThan(spec.shift?.[0] === -3 ? 1 : 20)
    }
  })

  it('any kernel, stride, dilation, padding, grouping and type', async () => {
    const next = random(2024)
    const pick = <T>(...list: T[]): T => list[int(next, 0, list.length - 1)]!
    const seen = new Set<string>()
    let products = 0
    for (let seed = 0; seed < 150; seed++) {
      const kernel: [number, number] = [int(next, 1, 4), int(next, 1, 4)]
      const dilations: [number, number] = [int(next, 1, 3), int(next, 1, 3)]
      const reach = kernel.map((k, axis) => (k - 1) * dilations[axis]! + 1) as [number, number]
      const side = (axis: number): number => int(next, 0, kernel[axis]! - 1)
      const pads: [number, number, number, number] = [side(0), side(1), side(0), side(1)]
      const grouping = pick('one', 'some', 'depthwise')
      const depth = grouping === 'depthwise' ? 1 : int(next, 1, 5)
      const group = grouping === 'one' ? 1 : int(next, 2, 6)
      const spec: Case = {
        x: pick('i8', 'u8'),
        filter: pick('i8', 'u8'),
        y: pick('i8', 'u8'),
        input: [int(next, 1, 2), depth * group, reach[0] + int(next, 0, 6), reach[1] + int(next, 0, 6)],
        oc: group === 1 ? pick(1, 2, 30, 130) : group * int(next, 1, 3),
        kernel,
        strides: [int(next, 1, 3), int(next, 1, 3)],
        dilations,
        pads,
        group,
        relu: pick(true, false),
        bias: pick(0, 1, 1000, 2 ** 24, 2 ** 30),
        extreme: pick(true, false, false),
        shift: pick([-4, 20], [10, 30], [30, 62]),
      }
      seen.add(`${grouping} ${spec.x} ${spec.filter} ${spec.y}`)
      const { wrong, matMul } = await check(seed, spec)
      expect({ spec, wrong }).toEqual({ spec, wrong: 0 })
      if (matMul) products++
    }
    expect(seen.size).toBe(24)
    if (await exactMatMul()) expect(products).toBeGreaterThan(15)
  })

  it('is exact where float32 sums are not: accumulators above 2^24', async () => {
    const deep = { x: 'i8', filter: 'i8', y: 'i8', input: [1, 1200, 4, 4], oc: 6, kernel: [3, 3] } as const
    const long = { x: 'u8', filter: 'i8', y: 'u8', input: [1, 900, 4, 4], oc: 6, kernel: [3, 3] } as const
    const cases: Case[] = [
      { ...deep, input: [1, 1200, 4, 4], kernel: [3, 3], extreme: true, bias: 12345 },
      { ...deep, input: [1, 1200, 4, 4], kernel: [3, 3] },
      { ...long, input: [1, 900, 4, 4], kernel: [3, 3], extreme: true },
      { ...deep, input: [1, 1200, 4, 4], kernel: [3, 3], group: 2, extreme: true },
    ]
    for (const spec of cases) {
      const { wrong, largest } = await check(5, spec)
      expect(wrong).toBe(0)
      if (spec.extreme) expect(largest).toBeGreaterThan(2 ** 25)
    }
  })

  it('takes biases up to the ends of int32', async () => {
    const { wrong, largest } = await check(6, {
      ...{ x: 'i8', filter: 'i8', y: 'i8', input: [1, 4, 4, 4], oc: 200, kernel: [1, 1], bias: 2 ** 31 - 1 },
      shift: [30, 60],
    })
    expect(largest).toBeGreaterThan(2 ** 30)
    expect(wrong).toBe(0)
  })
})

/** x is 0, so that the accumulators are the biases: one channel per case. */
async function requantCases(cases: readonly { acc: number; m: number; s: number }[], kind: 'i8' | 'u8') {
  const n = cases.length
  const op = {
    type: 'ConvInt',
    kernel: [1, 1],
    ...base,
    relu: false,
    multipliers: cases.map(({ m }) => m),
    shifts: cases.map(({ s }) => s),
  } as const
  const node = { name: 'y', op, inputs: ['x', 'w', 'b'], shape: [1, n, 1, 1], type: { kind, scale: 1 } } as const
  const { run } = build({ x: { shape: [1, 1, 1, 1], type: { kind: 'i8', scale: 1 } } }, [node], {
    w: { shape: [n, 1, 1, 1], data: new Int8Array(n).fill(1), kind: 'i8' },
    b: { shape: [1, n, 1, 1], data: Int32Array.from(cases, ({ acc }) => acc), kind: 'i32' },
  })
  return [...(await run({ x: { shape: [1, 1, 1, 1], data: new Float32Array(1) } })).data]
}

describe('the requant of a convolution', () => {
  it('sends every tie up, at every shift', async () => {
    const next = random(7)
    const cases: { acc: number; m: number; s: number }[] = []
    for (let s = 1; s <= 62; s++)
      for (let k = 0; k < 60; k++) {
        // acc * m = (2 * odd... + 1) * 2^(s-1): exactly half, as far as 31 bits allow.
        const low = Math.min(s - 1, int(next, 0, 30))
        const rest = s - 1 - low
        const m = (2 * int(next, 0, 200) + 1) * 2 ** Math.min(rest, 20)
        const acc = (2 * int(next, -150, 150) + 1) * 2 ** low
        for (const d of [-1, 0, 1]) if (Math.abs(acc + d) < 2 ** 31 && m < 2 ** 31) cases.push({ acc: acc + d, m, s })
      }
    const ties = cases.filter(({ acc, m, s }) => {
      const rest = (BigInt(acc) * BigInt(m)) & ((1n << BigInt(s)) - 1n)
      return rest === 1n << BigInt(s - 1)
    })
    expect(ties.length).toBeGreaterThan(1000)
    for (const kind of ['i8', 'u8'] as const)
      expect(await requantCases(cases, kind)).toEqual(
        cases.map(({ acc, m, s }) => requant(BigInt(acc), m, s, rangeOf[kind])),
      )
  })

  it('is exact for any accumulator, multiplier and shift up to their ends', async () => {
    const next = random(8)
    const ends = [-(2 ** 31), -(2 ** 31) + 1, -1, 0, 1, 2 ** 31 - 1]
    const cases: { acc: number; m: number; s: number }[] = []
    for (let s = -32; s <= 62; s++) {
      for (const acc of ends) for (const m of [0, 1, -1, 2 ** 31 - 2, -(2 ** 31) + 2]) cases.push({ acc, m, s })
      for (let k = 0; k < 60; k++) {
        // Half of them with results in the middle of the range, where nothing saturates.
        const m = Math.max(1, Math.floor(2 ** (31 * next())) - 1)
        const fitting = Math.floor(Math.min(2 ** 31 - 1, (2 ** s / m) * 250))
        cases.push({ acc: int(next, -fitting, fitting), m, s })
        cases.push({ acc: int(next, -(2 ** 31), 2 ** 31 - 1), m: int(next, -(2 ** 31) + 2, 2 ** 31 - 2), s })
      }
    }
    // (t - 1) (t + 1) with t^2 on a tie: one below it, and up to 60 bits long, where a double product would be the tie itself.
    let long = 0
    for (let s = 41; s <= 61; s += 2)
      for (let odd = 1; odd <= 15; odd += 2) {
        const t = odd * 2 ** ((s - 1) / 2)
        if (t >= 2 ** 31 - 2) continue
        cases.push({ acc: t - 1, m: t + 1, s })
        if ((t - 1) * (t + 1) > 2 ** 53) long++
      }
    expect(long).toBeGreaterThan(20)
    for (const some of [cases, cases.filter(({ s }) => s <= 45)])
      for (const kind of ['i8', 'u8'] as const) {
        const expected = some.map(({ acc, m, s }) => requant(BigInt(acc), m, s, rangeOf[kind]))
        const inside = expected.filter((y) => y > rangeOf[kind][0] && y < rangeOf[kind][1] && y !== 0)
        expect(inside.length).toBeGreaterThan(1000)
        const ours = await requantCases(some, kind)
        const wrong = some.filter((_, i) => ours[i] !== expected[i])
        expect(wrong).toEqual([])
      }
  })
})

describe('a requant near the middle between two results', () => {
  it.each(['i8', 'u8'] as const)('goes to the right side: %s', async (kind) => {
    const next = random(77)
    const [low, high] = rangeOf[kind]
    for (let round = 0; round < 40; round++) {
      const s = int(next, 8, 30)
      // Sums of up to 2^24 fill the range; small multipliers hit middles exactly.
      const m =
        round % 4 === 0 ? 2 ** int(next, 0, 3) * int(next, 1, 20) : int(next, Math.max(1, 2 ** (s - 17)), 2 ** s)
      const cases: { acc: number; m: number; s: number }[] = []
      for (let result = low; result <= high + 1; result++) {
        const above = Number((BigInt(2 * result - 1) * (1n << BigInt(s - 1))) / BigInt(m))
        for (const acc of [above - 1, above, above + 1]) if (Math.abs(acc) < 2 ** 31) cases.push({ acc, m, s })
      }
      const expected = cases.map(({ acc }) => requant(BigInt(acc), m, s, rangeOf[kind]))
      expect(await requantCases(cases, kind)).toEqual(expected)
    }
  })

  it('also when one unit of 2^-30 is all that is missing', async () => {
    const cases: { acc: number; m: number; s: number }[] = []
    for (let result = -127; result <= 127; result++)
      for (const beside of [-1n, 1n]) {
        const product = BigInt(2 * result - 1) * (1n << 29n) + beside
        for (let acc = 3n; acc < 4000n; acc += 2n)
          if (product % acc === 0n) {
            const m = Number(product / acc)
            if (Math.abs(m) < 2 ** 31 - 1) cases.push({ acc: Number(m < 0 ? -acc : acc), m: Math.abs(m), s: 30 })
          }
      }
    expect(cases.length).toBeGreaterThan(500)
    // One by one in groups: a single channel that is not safe takes the whole layer to the careful form.
    for (const one of cases.slice(0, 60))
      expect(await requantCases([one], 'i8')).toEqual([requant(BigInt(one.acc), one.m, one.s, rangeOf.i8)])
    expect(await requantCases(cases, 'i8')).toEqual(
      cases.map(({ acc, m, s }) => requant(BigInt(acc), m, s, rangeOf.i8)),
    )
  })
})
