/** The greedy search, on networks whose losses are written down. */
import { describe, expect, it } from 'vitest'
import { type Candidate, improvement, type Measured, selectLayers } from '../../src/search/select.js'

const int8: Measured = { sqnr: -20, loss: 1 }

/**
 * @param lossOf of a set of layers called by one letter each
 * @returns the letters that were chosen, each step, and every set that was measured
 */
async function search(
  candidates: string[],
  lossOf: (set: Set<string>) => number,
  options: {
    minImprovement?: number
    maxLayers?: number
    sqnrOf?: (set: Set<string>) => number
    complete?: (layers: readonly string[]) => string[]
    int8?: Measured
  } = {},
) {
  const measured: string[] = []
  const start = options.int8 ?? int8
  const sorted = (layers: readonly string[]) => [...new Set(layers)].sort()
  const steps = await selectLayers({
    candidates: candidates.map(
      (letters): Candidate => ({
        layers: [...letters],
        gain: start.loss - lossOf(new Set(letters)),
      }),
    ),
    int8: start,
    complete: options.complete ?? sorted,
    measure: async (sets) =>
      sets.map((layers) => {
        measured.push(layers.join(''))
        const set = new Set(layers)
        return { loss: lossOf(set), sqnr: options.sqnrOf?.(set) ?? -20 }
      }),
    minImprovement: options.minImprovement ?? 0.05,
    maxLayers: options.maxLayers ?? 8,
  })
  const chosen = steps.at(-1)?.layers.join('') ?? ''
  return { chosen, steps, measured }
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
    expect(steps.map(({ layers }) => layers.join(''))).toEqual(['a'])
  })

  it('of equals takes the smaller set, then the first', async () => {
    const loss = (set: Set<string>) => (set.has('a') || set.has('b') ? 0.5 : 1)
    expect((await search(['b', 'a'], loss)).chosen).toBe('b')
    const equal = (set: Set<string>) => 1 - 0.25 * Math.min(2, set.size)
    expect((await search(['ab', 'c'], equal, { maxLayers: 2 })).steps[0]!.layers).toHaveLength(1)
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

  it('copes with a perfect, a useless and a broken network', async () => {
    const half = independent({ a: 0.5 })
    expect((await search(['a'], () => 0, { int8: { sqnr: -Infinity, loss: 0 } })).chosen).toBe('')
    expect((await search(['a'], half, { int8: { sqnr: Infinity, loss: Infinity } })).chosen).toBe('a')
    expect((await search(['a', 'b'], (set) => (set.has('a') ? NaN : half(set)))).chosen).toBe('')
    expect((await search([], half)).chosen).toBe('')
  })
})

it('an improvement is a share of the all-INT8 loss', () => {
  expect(improvement(-20, -20, -21)).toBe(0.05)
  expect(improvement(0.2, 0.1, 0.09)).toBeCloseTo(0.05, 12)
  expect(improvement(-20, -22, -21)).toBe(-0.05)
  expect(improvement(-20, -20, NaN)).toBe(0)
  expect(improvement(-Infinity, -Infinity, -Infinity)).toBe(0)
  expect(improvement(Infinity, Infinity, -3)).toBe(Infinity)
})
