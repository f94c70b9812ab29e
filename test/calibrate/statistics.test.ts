import { describe, expect, it } from 'vitest'
import { mergeStatistics, observe, observeBent, type TensorStatistics } from '../../src/calibrate/statistics.js'
import { decodeStatistics, encodeStatistics } from '../../src/calibrate/statistics-bytes.js'
import { QuantError } from '../../src/errors.js'
import { laplace, uniforms } from './random.js'

/** The definition, written out with a map and no care for speed. */
function bySpecification(data: readonly number[]) {
  const finite = data.filter(Number.isFinite)
  const absMax = Math.max(...finite.map(Math.abs))
  let exponent = -200
  while (absMax / 2 ** exponent >= 32768) exponent++
  const bins = new Map<number, number>()
  for (const x of finite) {
    if (x === 0) continue
    let k = Math.trunc(Math.abs(x) / 2 ** exponent)
    if (k * 2 ** exponent === Math.abs(x)) k--
    bins.set(k, (bins.get(k) ?? 0) + 1)
  }
  return { absMax, exponent, bins }
}

const bins = (stats: TensorStatistics): Map<number, number> =>
  new Map([...stats.histogram.entries()].filter(([, hits]) => hits > 0))

/** Counts as plain numbers: those of one tensor and merged ones are kept in different arrays. */
const plain = (stats: TensorStatistics) => ({ ...stats, histogram: [...stats.histogram] })

const sorted = (map: Map<number, number>) => [...map].sort(([a], [b]) => a - b)

describe('statistics of one tensor', () => {
  it('count every value once, in the bin that the definition names', () => {
    const data = [...laplace(5000, 1), 0, -0, 0, 3e-5]
    const stats = observe(Float32Array.from(data))
    const expected = bySpecification([...Float32Array.from(data)])
    expect(stats).toMatchObject({ count: 5004, zeros: 3, nan: 0, infinite: 0, exponent: expected.exponent })
    expect(stats.min).toBe(Math.min(...Float32Array.from(data)))
    expect(stats.max).toBe(Math.max(...Float32Array.from(data)))
    expect(bins(stats)).toEqual(new Map(sorted(expected.bins)))
  })

  it.each([1, 2, 0.75, 3e38, 2 ** -149, 2 ** -126, 1 - 2 ** -24, 16384, 32768, 1e-20])(
    'spread a range of %d over 16384 to 32768 bins',
    (absMax) => {
      const stats = observe(Float32Array.of(-absMax, absMax / 2))
      expect(stats.histogram.length).toBeGreaterThanOrEqual(16384)
      expect(stats.histogram.length).toBeLessThanOrEqual(32768)
      expect(stats.histogram.at(-1)).toBeGreaterThan(0)
      expect((stats.histogram.length - 1) * 2 ** stats.exponent).toBeLessThan(stats.absMax)
      expect(stats.histogram.length * 2 ** stats.exponent).toBeGreaterThanOrEqual(stats.absMax)
    },
  )

  it('keep NaN and infinity apart and still describe the rest', () => {
    const stats = observe(Float32Array.of(NaN, 1, -Infinity, 0, -2, Infinity, NaN, Infinity))
    expect(stats).toMatchObject({ count: 8, zeros: 1, nan: 2, infinite: 3, min: -2, max: 1, absMax: 2 })
    expect([...bins(stats).values()]).toEqual([1, 1])
  })

  it('say nothing of nothing, and of zeros only that', () => {
    expect(observe(new Float32Array(0))).toMatchObject({ count: 0, absMax: 0, min: Infinity, max: -Infinity })
    const zeros = observe(Float32Array.of(-0, 0, -0))
    expect(zeros).toMatchObject({ count: 3, zeros: 3, absMax: 0, exponent: 0 })
    expect([Object.is(zeros.min, 0), Object.is(zeros.max, 0), zeros.histogram.length]).toEqual([true, true, 0])
    expect(observe(Float32Array.of(NaN))).toMatchObject({ count: 1, nan: 1, absMax: 0, min: Infinity })
  })
})

describe('statistics of a LeakyRelu, from what it reads', () => {
  const bent = (data: Float32Array, slope: number) => data.map((x) => (x < 0 ? x * slope : x))

  it.each([0.1, 0.01, 0, 1, 1.5, 3e-42])('are those of its result, with slope %d', (alpha) => {
    const slope = Math.fround(alpha)
    const cases = [
      laplace(9001, 21),
      Float32Array.of(-5, -3, -0, 0),
      Float32Array.of(-2, 1, NaN, -Infinity),
      Float32Array.of(-1e-40, 3e38, -3e38),
      new Float32Array(4),
      new Float32Array(0),
    ]
    for (const data of cases.map((values) => Float32Array.from(values)))
      expect(observeBent(data, slope)).toEqual({ plain: observe(data), bent: observe(bent(data, slope)) })
  })
})

describe('merging', () => {
  const parts = [
    laplace(3000, 2),
    laplace(2000, 3).map((x) => x * 2 ** -9),
    new Float32Array(50),
    laplace(2500, 4).map((x) => Math.max(0, x * 37)),
    Float32Array.of(2 ** -140, -0, NaN, -Infinity),
    new Float32Array(0),
  ]

  it('gives what one look at all values would have given, whatever the order and the grouping', () => {
    const whole = observe(Float32Array.from(parts.flatMap((part) => [...part])))
    expect(whole.histogram.length).toBeGreaterThan(16384)
    const each = parts.map(observe)
    expect(plain(mergeStatistics(each))).toEqual(plain(whole))
    const next = uniforms(5)
    for (let round = 0; round < 10; round++) {
      const pool = [...each]
      while (pool.length > 1) {
        const [a] = pool.splice(Math.floor(next() * pool.length), 1)
        const [b] = pool.splice(Math.floor(next() * pool.length), 1)
        pool.push(mergeStatistics([a!, b!]))
      }
      expect(plain(pool[0]!)).toEqual(plain(whole))
    }
  })

  it('counts beyond 2^32', () => {
    let stats = observe(Float32Array.of(1, 0, NaN))
    for (let i = 0; i < 40; i++) stats = mergeStatistics([stats, stats])
    expect(stats).toMatchObject({ count: 3 * 2 ** 40, zeros: 2 ** 40, nan: 2 ** 40 })
    expect(stats.histogram.at(-1)).toBe(2 ** 40)
    expect(decodeStatistics(encodeStatistics(new Map([['big', stats]]))).get('big')).toEqual(stats)
  })

  it('of nothing is nothing', () => {
    expect(plain(mergeStatistics([]))).toEqual(plain(observe(new Float32Array(0))))
  })
})

describe('stored statistics', () => {
  const tensors = new Map([
    ['model_1/leaky:0', observe(laplace(20_000, 6))],
    ['größe', observe(Float32Array.of(0, -5e-7, 3e38, NaN))],
    ['zeros', observe(new Float32Array(9))],
    ['nothing', observe(new Float32Array(0))],
  ])
  const bytes = encodeStatistics(tensors)

  it('come back as they were, in order, from few bytes', () => {
    const back = decodeStatistics(bytes)
    expect([...back.keys()]).toEqual([...tensors.keys()])
    for (const [name, stats] of tensors) expect(plain(back.get(name)!)).toEqual(plain(stats))
    expect(bytes.length).toBeLessThan(20_000)
    expect(encodeStatistics(back)).toEqual(bytes)
  })

  it('are refused when a byte is missing, flipped or too many', () => {
    const next = uniforms(8)
    const some = (n: number) => Math.floor(next() * n)
    const damages = [
      new Uint8Array(0),
      Uint8Array.of(...bytes, 0),
      ...Array.from({ length: 100 }, () => bytes.subarray(0, some(bytes.length))),
      ...Array.from({ length: 200 }, () => {
        const copy = bytes.slice()
        copy[some(copy.length)]! ^= 1 << some(8)
        return copy
      }),
    ]
    for (const damaged of damages) {
      let error: unknown
      try {
        decodeStatistics(damaged)
      } catch (caught) {
        error = caught
      }
      expect(error).toBeInstanceOf(QuantError)
      expect((error as QuantError).message).toMatch(/^stored statistics are damaged/)
    }
  })
})
