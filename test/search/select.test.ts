/** The greedy search, on networks whose losses are written down. */
import { describe, expect, it } from 'vitest'
import type { Choice, FloatMode } from '../../src/search/choice.js'
import { type Candidate, improvement, type Measured, selectLayers } from '../../src/search/select.js'

const int8: Measured = { sqnr: -20, loss: 1 }

interface Options {
  minImprovement?: number
  maxLayers?: number
  maxCycles?: number
  modes?: [FloatMode, ...FloatMode[]]
  /** Cycles that a layer costs, besides 1000 for the network. */
  costs?: Record<string, number>
  /** What the cheap price says of it, where that is another. */
  cheapCosts?: Record<string, number>
  guarded?: boolean
  enough?: (loss: number) => boolean
  /** What the loss with a candidate alone seems to be, where that is another than it is. */
  rankedLossOf?: (letters: string) => number
  sqnrOf?: (set: Set<string>) => number
  complete?: (layers: readonly string[]) => string[]
  int8?: Measured
}

/**
 * @param lossOf of a set of layers called by one letter each, and what they are computed in
 * @returns the letters that were chosen, each step, every set that was measured, and every set that was priced
 */
async function search(
  candidates: string[],
  lossOf: (set: Set<string>, choice: Choice) => number,
  options: Options = {},
) {
  const measured: string[] = []
  const priced: string[] = []
  const { modes = ['F32'], costs = {}, cheapCosts = costs } = options
  const start = options.int8 ?? int8
  const sorted = (layers: readonly string[]) => [...new Set(layers)].sort()
  const loss = (choice: Choice) => lossOf(new Set(choice.keys()), choice)
  const price = (choice: Choice, of: Record<string, number>) =>
    [...choice].reduce((sum, [layer, mode]) => sum + (of[`${layer}${mode}`] ?? of[layer] ?? 0), 1000)
  const { steps, known } = await selectLayers({
    candidates: candidates.map(
      (letters): Candidate => ({
        layers: [...letters],
        gain: improvement(
          start.loss,
          start.loss,
          options.rankedLossOf?.(letters) ?? loss(new Map([...letters].map((letter) => [letter, modes[0]]))),
        ),
      }),
    ),
    int8: start,
    modes,
    complete: (choice) =>
      new Map((options.complete ?? sorted)([...choice.keys()]).map((layer) => [layer, choice.get(layer) ?? modes[0]])),
    measure: async (choices) =>
      choices.map((choice) => {
        measured.push([...choice.keys()].join(''))
        return { loss: loss(choice), sqnr: options.sqnrOf?.(new Set(choice.keys())) ?? -20 }
      }),
    cheap: (choice) => price(choice, cheapCosts),
    exact: async (choices) =>
      choices.map((choice) => {
        priced.push([...choice.keys()].join(''))
        return price(choice, costs)
      }),
    limits: {
      minImprovement: options.minImprovement ?? 0.05,
      maxLayers: options.maxLayers ?? 8,
      maxCycles: options.maxCycles ?? Infinity,
    },
    guarded: options.guarded ?? true,
    ...(options.enough ? { enough: async (at: Measured) => options.enough!(at.loss) } : {}),
  })
  const chosen = [...(steps.at(-1)?.choice.keys() ?? [])].join('')
  return { chosen, steps, known, measured, priced }
}

/** Every layer takes its share off the loss, whatever else is float. */
const independent = (gains: Record<string, number>) => (set: Set<string>) =>
  [...set].reduce((loss, layer) => loss - (gains[layer] ?? 0), 1)

describe('the search', () => {
  it('takes what pays, best first, and stops where a step is worth less than asked for', async () => {
    const loss = independent({ a: 0.1, b: 0.3, c: 0.04, d: -0.2 })
    const { chosen, steps } = await search(['a', 'b', 'c', 'd'], loss)
    expect(chosen).toBe('ab')
    expect(steps.map(({ added }) => added.join(''))).toEqual(['b', 'a'])
    expect(steps.map(({ improvement: share }) => share.toFixed(3))).toEqual(['0.300', '0.100'])
    expect((await search(['a', 'b', 'c', 'd'], loss, { minImprovement: 0.01 })).chosen).toBe('abc')
    expect((await search(['a', 'b', 'c', 'd'], loss, { minImprovement: 0 })).chosen).toBe('abc')
    expect((await search(['a', 'b', 'c', 'd'], loss, { minImprovement: 0.5 })).chosen).toBe('')
  })

  it('keeps to the number of layers', async () => {
    const loss = independent({ a: 0.1, b: 0.2, c: 0.15 })
    expect((await search(['a', 'b', 'c'], loss, { maxLayers: 2 })).chosen).toBe('bc')
    expect((await search(['abc', 'a'], loss, { maxLayers: 2 })).chosen).toBe('a')
  })

  it('measures sets, not sums: two layers that each pay alone, but not together, are not both taken', async () => {
    const loss = (set: Set<string>) => (set.has('a') ? 0.7 : set.has('b') ? 0.8 : 1)
    const { chosen, steps } = await search(['a', 'b'], loss)
    expect(chosen).toBe('a')
    expect(steps.at(-1)!.loss).toBe(0.7)
  })

  it('takes an island whose layers are worth nothing alone', async () => {
    const loss = (set: Set<string>) => (set.has('a') && set.has('b') ? 0.5 : set.size > 0 ? 1.01 : 1)
    expect((await search(['a', 'b', 'ab'], loss)).chosen).toBe('ab')
    expect((await search(['a', 'b'], loss)).chosen).toBe('')
  })

  it('weighs by the layers that are added: a little more loss for half the layers', async () => {
    const loss = (set: Set<string>) => (set.has('a') ? (set.has('c') ? 0.68 : 0.7) : 1)
    const { steps } = await search(['abc', 'a'], loss, { minImprovement: 0.1 })
    expect(steps.map(({ choice }) => [...choice.keys()].join(''))).toEqual(['a'])
  })

  it('of equals takes the smaller set, then the first', async () => {
    const loss = (set: Set<string>) => (set.has('a') || set.has('b') ? 0.5 : 1)
    expect((await search(['b', 'a'], loss)).chosen).toBe('b')
    const equal = (set: Set<string>) => 1 - 0.25 * Math.min(2, set.size)
    expect((await search(['ab', 'c'], equal, { maxLayers: 2 })).steps[0]!.choice.size).toBe(1)
  })

  it('drops a layer that stopped paying, and goes on with the room', async () => {
    // Alone a is best; with b and c it is of no more use, and d fits only without it.
    const loss = (set: Set<string>) => {
      const both = set.has('b') && set.has('c')
      return 1 - (set.has('a') && !both ? 0.3 : 0) - (both ? 0.6 : 0) - (set.has('d') ? 0.1 : 0)
    }
    const { chosen, steps } = await search(['a', 'bc', 'd'], loss, { maxLayers: 3 })
    expect(steps.map(({ added, dropped }) => [added.join(''), dropped.join('')])).toEqual([
      ['a', ''],
      ['bc', ''],
      ['', 'a'],
      ['d', ''],
    ])
    expect(chosen).toBe('bcd')
  })

  it('takes along what must go float too, and counts it', async () => {
    const loss = independent({ a: 0.3, b: 0.2 })
    const complete = (layers: readonly string[]) => {
      const set = new Set(layers)
      if (set.has('a') && set.has('b')) set.add('m')
      return [...set].sort()
    }
    expect((await search(['a', 'b'], loss, { complete })).chosen).toBe('abm')
    expect((await search(['a', 'b'], loss, { complete, maxLayers: 2 })).chosen).toBe('a')
  })

  it('never gives up SQNR for it', async () => {
    const loss = independent({ a: 0.3, b: 0.2 })
    const sqnrOf = (set: Set<string>) => (set.has('a') ? -19 : -21)
    expect((await search(['a', 'b'], loss, { sqnrOf })).chosen).toBe('b')
    // Better than all INT8, but worse than the step before.
    const falling = (set: Set<string>) => (set.size === 1 ? -25 : -24)
    expect((await search(['a', 'b'], loss, { sqnrOf: falling })).chosen).toBe('a')
    expect((await search(['a', 'b'], loss, { sqnrOf: falling, guarded: false })).chosen).toBe('ab')
  })

  it('is never worse than INT8, and nothing where nothing helps', async () => {
    const { chosen, steps } = await search(['a', 'b', 'ab'], (set) => 1 + set.size, { minImprovement: 0 })
    expect([chosen, steps]).toEqual(['', []])
  })

  it('measures few sets each time, the most promising', async () => {
    const letters = [...'abcdefghijklmnopqrstuvwxyz']
    const loss = independent(Object.fromEntries(letters.map((letter, i) => [letter, i / 100])))
    const { measured } = await search(letters, loss, { maxLayers: 1 })
    expect(measured).toEqual([...'zyxwvutsrqpo'])
  })

  it('goes on to what gains much for much, when none of the many that gain a little for nothing pays', async () => {
    // Twenty layers that each seem to gain something for nothing, but give nothing together; and a stretch that costs most of the time.
    const small = [...'abcdefghijklmnopqrst']
    const lossOf = (set: Set<string>) => (set.has('x') && set.has('y') ? 0.15 : 1) - (set.has('a') ? 0.1 : 0)
    const { steps, measured } = await search([...small, 'xy'], lossOf, {
      maxLayers: Infinity,
      costs: { x: 200, y: 200 },
      maxCycles: 1450,
      rankedLossOf: (letters) => (letters.length === 1 ? 0.8 : 0.1),
    })
    expect(steps.map(({ added }) => added.join(''))).toEqual(['a', 'xy'])
    // A dozen; a dozen with `a`; then the stretch with `a` and without it, and the seven that were left.
    expect(steps.map((step) => step.measured)).toEqual([12, 12 + 2 + 7])
    expect(measured.indexOf('axy')).toBe(24)
  })

  it('takes a stretch instead of the small steps with which it does not fit, and says what it gave up', async () => {
    const gains = { a: 0.2, b: 0.2, x: 0.3, y: 0.3, z: 0.1 }
    const costs = { a: 60, b: 60, x: 200, y: 200, z: 50 }
    const { steps, chosen } = await search(['a', 'b', 'z', 'xy'], independent(gains), {
      maxLayers: Infinity,
      costs,
      maxCycles: 1455,
    })
    expect(steps.map(({ added, dropped }) => [added.join(''), dropped.join('')])).toEqual([
      ['a', ''],
      ['b', ''],
      ['z', ''],
      ['xy', 'abz'],
      ['z', ''],
    ])
    expect(chosen).toBe('xyz')
  })

  it('takes a stretch that fits, though the cheap price says that it is far too dear', async () => {
    const loss = independent({ a: 0.1, x: 0.3, y: 0.3 })
    const options = { maxCycles: 1100, costs: { a: 20, x: 45, y: 45 }, cheapCosts: { a: 20, x: 120, y: 120 } }
    const { steps } = await search(['a', 'xy'], loss, options)
    expect(steps.map(({ added, dropped }) => [added.join(''), dropped.join('')])).toEqual([
      ['a', ''],
      ['xy', 'a'],
    ])
  })

  it('measures nothing further of what seems to gain too little', async () => {
    const letters = [...'abcdefghijklmnopqrstuvwxyz']
    const { measured } = await search(letters, () => 1, {
      rankedLossOf: (letter) => (letter < 'o' ? 0.9 : 0.96),
      minImprovement: 0.05,
    })
    expect(measured.join('')).toBe('abcdefghijklmn')
    // Or of all that seems to gain much, and does not.
    const none = await search([...letters, ...letters.map((letter) => `${letter}1`)], () => 1, {
      rankedLossOf: () => 0.5,
    })
    expect(new Set(none.measured).size).toBe(36)
  })

  it('weighs a gain by the time it costs: a third of the gain for a tenth of the time comes first', async () => {
    const loss = independent({ a: 0.3, b: 0.1 })
    const costs = { a: 400, b: 40 }
    expect((await search(['a', 'b'], loss, { maxLayers: Infinity, costs })).steps.map(({ added }) => added)).toEqual([
      ['b'],
      ['a'],
    ])
    // What costs next to nothing does not win by that alone: a hundredth of the time is the least that counts.
    const free = { a: 12, b: 0 }
    expect((await search(['a', 'b'], loss, { maxLayers: Infinity, costs: free })).steps[0]!.added).toEqual(['a'])
  })

  it('keeps to the time of the programs, whatever the cheap price said', async () => {
    const loss = independent({ a: 0.3, b: 0.2, c: 0.1 })
    const options = { maxCycles: 1100, costs: { a: 300, b: 60, c: 30 }, cheapCosts: { a: 20, b: 60, c: 30 } }
    const { chosen, steps, known } = await search(['a', 'b', 'c'], loss, options)
    expect(chosen).toBe('bc')
    expect(steps.map(({ cycles }) => cycles)).toEqual([1060, 1090])
    // What was priced and refused is known all the same.
    expect(known.map(({ choice, cycles }) => `${[...choice.keys()].join('')} ${cycles}`)).toContain('a 1300')
  })

  it('prices few programs', async () => {
    const letters = [...'abcdefghij']
    const loss = independent(Object.fromEntries(letters.map((letter, i) => [letter, i / 100])))
    const { priced, measured } = await search(letters, loss, { minImprovement: 0.045 })
    expect(priced.slice(0, 3)).toEqual(['', 'j', 'i'])
    expect(2 * new Set(priced).size).toBeLessThan(new Set(measured).size)
  })

  it('takes each layer in the precision that pays, where there are several', async () => {
    // a needs F32, b is as well off with F16, which is cheaper.
    const loss = (_: Set<string>, choice: Choice) =>
      1 - (choice.get('a') === 'F32' ? 0.5 : choice.has('a') ? 0.1 : 0) - (choice.has('b') ? 0.2 : 0)
    const costs = { aF16: 20, aF32: 40, bF16: 20, bF32: 90 }
    const { steps } = await search(['a', 'b'], loss, { modes: ['F16', 'BF16', 'F32'], costs })
    expect([...steps.at(-1)!.choice].map((one) => one.join(' '))).toEqual(['a F32', 'b F16'])
  })

  it('ends where it is good enough, and does nothing where it is from the start', async () => {
    const loss = independent({ a: 0.3, b: 0.2, c: 0.1 })
    expect((await search(['a', 'b', 'c'], loss, { enough: (at) => at <= 0.55 })).chosen).toBe('ab')
    const none = await search(['a', 'b', 'c'], loss, { enough: () => true })
    expect([none.chosen, none.measured]).toEqual(['', []])
  })

  it('copes with a perfect, a useless and a broken network', async () => {
    const half = independent({ a: 0.5 })
    expect((await search(['a'], () => 0, { int8: { sqnr: -Infinity, loss: 0 } })).chosen).toBe('')
    expect((await search(['a'], half, { int8: { sqnr: Infinity, loss: Infinity } })).chosen).toBe('a')
    expect((await search(['a', 'b'], (set) => (set.has('a') ? NaN : half(set)))).chosen).toBe('')
    expect((await search([], half)).chosen).toBe('')
  })
})

describe('of any small problem', () => {
  const problems = Array.from({ length: 400 }, (_, seed) => problem(seed))

  it.each([
    ['without limits', {}],
    ['with little time', { maxCycles: 1150 }],
    ['with few layers', { maxLayers: 3 }],
    ['with both, and any gain', { maxCycles: 1150, maxLayers: 4, minImprovement: 0 }],
  ])('the result is no worse than any candidate that fits, and than adding alone: %s', async (_, limits) => {
    const seen = { replaced: 0, better: 0, found: 0 }
    for (const { candidates, lossOf, costs } of problems) {
      const options = { minImprovement: 0.02, maxLayers: Infinity, maxCycles: Infinity, ...limits }
      const { steps, known } = await search(candidates, lossOf, { ...options, costs })
      const last = steps.at(-1) ?? known[0]!
      const fits = (layers: readonly string[]) =>
        layers.length <= options.maxLayers && cyclesOf(layers, costs) <= options.maxCycles
      const chosen = [...last.choice.keys()]
      expect(fits(chosen)).toBe(true)
      expect([last.loss, last.cycles]).toEqual([lossOf(new Set(chosen)), cyclesOf(chosen, costs)])
      const single = Math.min(1, ...candidates.filter((one) => fits([...one])).map((one) => lossOf(new Set(one))))
      expect(last.loss - single).toBeLessThanOrEqual(Math.max(options.minImprovement, 1e-12))
      const plain = greedy(candidates, lossOf, costs, options)
      expect(last.loss).toBeLessThanOrEqual(plain)
      for (const [i, step] of steps.entries()) expect(step.loss).toBeLessThanOrEqual(i === 0 ? 1 : steps[i - 1]!.loss)
      if (steps.some(({ added, dropped }) => added.length > 0 && dropped.length > 0)) seen.replaced++
      if (last.loss < plain) seen.better++
      if (steps.length > 0) seen.found++
    }
    // Not for want of anything to find.
    expect(seen.found).toBeGreaterThan(300)
    if ('maxCycles' in limits || 'maxLayers' in limits) {
      expect(seen.replaced).toBeGreaterThan(3)
      expect(seen.better).toBeGreaterThan(3)
    }
  })
})

const cyclesOf = (layers: readonly string[], costs: Record<string, number>): number =>
  layers.reduce((sum, layer) => sum + costs[layer]!, 1000)

/** Seven layers of which each alone and five stretches are tried; whole stretches and pairs gain more or less than their layers do. */
function problem(seed: number): {
  candidates: string[]
  lossOf: (set: Set<string>) => number
  costs: Record<string, number>
} {
  let state = seed + 1
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  for (let i = 0; i < 5; i++) random()
  const letters = [...'abcdefg']
  const gains = new Map(letters.map((letter) => [letter, 0.15 * random() - 0.05]))
  const pairs = letters.flatMap((a, i) =>
    letters.slice(i + 1).map((b) => [a, b, 0.2 * random() * random() - 0.05] as const),
  )
  const costs = Object.fromEntries(letters.map((letter) => [letter, Math.floor(150 * random() * random())]))
  const stretches = ['abcdefg', 'abc', 'efg', 'cde', 'bcdef'].map((layers) => [layers, 0.4 * random()] as const)
  return {
    candidates: [...letters, ...stretches.map(([layers]) => layers)],
    lossOf: (set) =>
      [...set].reduce((loss, letter) => loss - gains.get(letter)!, 1) -
      pairs.reduce((sum, [a, b, more]) => sum + (set.has(a) && set.has(b) ? more : 0), 0) -
      stretches.reduce((sum, [layers, more]) => sum + ([...layers].every((layer) => set.has(layer)) ? more : 0), 0),
    costs,
  }
}

/** Adds what gains most for its cost while something pays, and does nothing else. @returns the loss in the end */
function greedy(
  candidates: readonly string[],
  lossOf: (set: Set<string>) => number,
  costs: Record<string, number>,
  limits: { minImprovement: number; maxLayers: number; maxCycles: number },
): number {
  const budget = Math.min(limits.maxCycles, 1500) - 1000
  let chosen = new Set<string>()
  for (;;) {
    const now = lossOf(chosen)
    const cycles = cyclesOf([...chosen], costs)
    const rated = candidates
      .map((one) => new Set([...chosen, ...one].sort()))
      .map((set) => {
        const more = Math.max(10, cyclesOf([...set], costs) - cycles) / budget
        const gained = now - lossOf(set)
        return { set, gained, rate: gained / Math.max(more, (set.size - chosen.size) / limits.maxLayers) }
      })
      .filter(({ set, gained }) => set.size > chosen.size && gained > 0 && gained >= limits.minImprovement)
      .filter(({ set }) => set.size <= limits.maxLayers && cyclesOf([...set], costs) <= limits.maxCycles)
      .sort((a, b) => b.rate - a.rate || a.set.size - b.set.size)
    if (!rated[0]) return now
    chosen = rated[0].set
  }
}

it('an improvement is a share of the all-INT8 loss', () => {
  expect(improvement(-20, -20, -21)).toBe(0.05)
  expect(improvement(0.2, 0.1, 0.09)).toBeCloseTo(0.05, 12)
  expect(improvement(-20, -22, -21)).toBe(-0.05)
  expect(improvement(-20, -20, NaN)).toBe(0)
  expect(improvement(-Infinity, -Infinity, -Infinity)).toBe(0)
  expect(improvement(Infinity, Infinity, -3)).toBe(Infinity)
})
