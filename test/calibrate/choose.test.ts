import { describe, expect, it } from 'vitest'
import { chooseThreshold, type Method, thresholdsOf } from '../../src/calibrate/choose.js'
import { coarseHistogram } from '../../src/calibrate/kl.js'
import { inspectStatistics } from '../../src/calibrate/sanity.js'
import { mergeStatistics, observe } from '../../src/calibrate/statistics.js'
import { QuantError } from '../../src/errors.js'
import { laplace, uniforms } from './random.js'

const relu = (data: Float32Array): Float32Array => data.map((x) => Math.max(0, x))

/** The vendor's rule on the values themselves, in double, P and Q as whole arrays. */
function klByDefinition(data: Float32Array): { threshold: number; margin: number } {
  const sizes = [...data].map(Math.abs).filter((x) => x > 0)
  const absMax = Math.max(...sizes)
  const width = absMax / 2047
  const histogram = Array<number>(2048).fill(0)
  for (const x of sizes) histogram[Math.floor(x / width + 0.5)]!++
  const total = sizes.length
  const divergences: number[] = []
  for (let bins = 128; bins <= 2048; bins += 128) {
    const inside = histogram.slice(0, bins)
    const p = inside.map((hits) => hits / total)
    p[bins - 1]! += histogram.slice(bins).reduce((a, b) => a + b, 0) / total
    const sum = inside.reduce((a, b) => a + b, 0)
    const size = bins / 128
    const q = inside.map((hits, j) => {
      const start = j - (j % size)
      const group = inside.slice(start, start + size)
      return hits === 0 ? 0 : group.reduce((a, b) => a + b, 0) / group.filter((h) => h > 0).length / sum
    })
    divergences.push(p.reduce((kl, pj, j) => kl + pj * (Math.log10(pj + 1e-30) - Math.log10(q[j]! + 1e-30)), 0))
  }
  const [least, second] = [...divergences].sort((a, b) => a - b)
  return {
    threshold: Math.min(width * (divergences.indexOf(least!) + 1) * 128, absMax),
    margin: (second! - least!) / least!,
  }
}

describe('the KL threshold', () => {
  it('is that of the values themselves, on many distributions', () => {
    const next = uniforms(11)
    const shapes: ((x: number) => number)[] = [
      (x) => x,
      (x) => Math.max(0, x),
      (x) => (x > 0 ? x : 0.1 * x),
      (x) => Math.sign(x) * x * x,
      (x) => 1 / (1 + Math.exp(-x)),
      (x) => (Math.abs(x) < 1 ? x : Math.sign(x)),
    ]
    const shares: number[] = []
    let compared = 0
    for (let round = 0; round < 60; round++) {
      const shape = shapes[round % shapes.length]!
      const scale = 10 ** (6 * next() - 3)
      const data = laplace(20_000, 100 + round).map((x) => shape(x) * scale)
      const stats = observe(data)
      const { threshold, margin } = klByDefinition(data)
      // Two candidates within half a percent may change places when the values are binned twice.
      if (margin < 0.005) continue
      compared++
      shares.push(threshold / stats.absMax)
      expect(chooseThreshold(stats, { method: 'kl' }) / threshold).toBeCloseTo(1, 6)
    }
    expect(compared).toBeGreaterThan(40)
    expect(new Set(shares.map((share) => Math.round(share * 16))).size).toBeGreaterThan(4)
  })

  it('sees each value in the right one of 2048 bins, give or take one fine bin', () => {
    const data = laplace(50_000, 21)
    const stats = observe(data)
    const width = stats.absMax / 2047
    const exact = new Float64Array(2048)
    for (const x of data) if (x !== 0) exact[Math.floor(Math.abs(x) / width + 0.5)]!++
    const coarse = coarseHistogram(stats)
    const sum = (counts: Float64Array, to: number): number => counts.subarray(0, to).reduce((a, b) => a + b, 0)
    expect(sum(coarse, 2048)).toBe(sum(exact, 2048))
    for (let to = 1; to < 2048; to += 7) {
      const edge = ((to - 0.5) * width) / 2 ** stats.exponent
      const near = stats.histogram[Math.floor(edge)] ?? 0
      expect(Math.abs(sum(coarse, to) - sum(exact, to))).toBeLessThanOrEqual(near)
    }
  })

  it('does not depend on how pictures were grouped', () => {
    const parts = [1, 2, 3, 4].map((seed) => laplace(5000, seed).map((x) => x * seed))
    const all = observe(Float32Array.from(parts.flatMap((part) => [...part])))
    const methods: Method[] = ['kl', 'max', 'percentile', 'mse']
    for (const method of methods)
      expect(chooseThreshold(mergeStatistics(parts.map(observe)), { method })).toBe(chooseThreshold(all, { method }))
  })
})

describe('other thresholds agree with NumPy on the values themselves', () => {
  // numpy.percentile of the non-zero |x|; squares of the rounding error summed over all x for each of 128 clips; KL with
  // numpy.histogram. 200000 values each.
  const signed = observe(laplace(200_000, 7))
  const unsigned = observe(relu(laplace(200_000, 7)))

  it.each([
    ['kl', 9.827939419730093, 11.77929973602295, 1e-6],
    ['mse', 10.027789384126663, 10.49093882739544, 1e-6],
    ['percentile', 9.125495210552154, 9.128851142310767, 2e-4],
  ] as const)('%s', (method, ofSigned, ofUnsigned, tolerance) => {
    expect(Math.abs(chooseThreshold(signed, { method }) / ofSigned - 1)).toBeLessThan(tolerance)
    expect(Math.abs(chooseThreshold(unsigned, { method }) / ofUnsigned - 1)).toBeLessThan(tolerance)
  })

  it('percentile, of another percentage', () => {
    const clip = chooseThreshold(signed, { method: 'percentile', percentile: 99 })
    expect(Math.abs(clip / 4.599163346290591 - 1)).toBeLessThan(2e-4)
    expect(chooseThreshold(signed, { method: 'percentile', percentile: 100 })).toBe(signed.absMax)
  })

  it('max is the largest magnitude, on either side', () => {
    expect(chooseThreshold(observe(Float32Array.of(1, -3, 2)), { method: 'max' })).toBe(3)
  })

  it('nothing is clipped beyond what was seen, be there only one value', () => {
    const methods: Method[] = ['kl', 'max', 'percentile', 'mse']
    for (const method of methods) {
      const threshold = chooseThreshold(observe(Float32Array.of(-0.3)), { method })
      expect(threshold).toBeCloseTo(0.3, 4)
      expect(threshold).toBeLessThanOrEqual(Math.fround(0.3))
    }
  })
})

describe('thresholds of all layers', () => {
  it('stand in graph order, with untouched extrema, and a made-up range for zeros', () => {
    const layers = new Map([
      ['b', observe(Float32Array.of(-1, 4))],
      ['a', observe(new Float32Array(10))],
    ])
    const thresholds = thresholdsOf(layers, { method: 'max' })
    expect([...thresholds]).toEqual([
      ['b', { threshold: 4, min: -1, max: 4 }],
      ['a', { threshold: 1e-5, min: -1e-5, max: 1e-5 }],
    ])
  })

  it('name the layer that never has a finite value', () => {
    const layers = new Map([['head_Conv', observe(Float32Array.of(NaN, Infinity))]])
    expect(() => thresholdsOf(layers, { method: 'kl' })).toThrow(QuantError)
    expect(() => thresholdsOf(layers, { method: 'kl' })).toThrow('layer "head_Conv" has no finite value')
  })
})

describe('warnings', () => {
  const about = (data: Float32Array, threshold: number) =>
    inspectStatistics('x', observe(data), threshold).map(({ message }) => message)

  it('are silent for a healthy layer', () => {
    const data = laplace(10_000, 9)
    expect(about(data, observe(data).absMax)).toEqual([])
    expect(about(data, 8)).toEqual([])
  })

  it('count what the threshold cuts off', () => {
    const data = Float32Array.from({ length: 1000 }, (_, i) => (i + 1) / 1000)
    expect(about(data, 0.9805)).toEqual(['2.0 % of the elements are beyond the threshold 0.9805 (largest 1)'])
    expect(about(data, 0.9905)).toEqual([])
  })

  it('name NaN, infinity, zeros, constants and a threshold that is none', () => {
    expect(about(Float32Array.of(NaN, 1, 2, Infinity), 2)).toEqual([
      '1 of 4 elements are NaN',
      '1 of 4 elements are infinite',
    ])
    expect(about(new Float32Array(3), 1e-5)).toEqual(['zero in every calibration picture: its threshold is arbitrary'])
    expect(about(Float32Array.of(0.5, 0.5), 0.5)).toEqual(['always 0.5: a constant'])
    expect(about(Float32Array.of(1, 2), Infinity)).toEqual(['the threshold is Infinity'])
  })
})
