import { describe, expect, it } from 'vitest'
import { leastErrors, quantizationError } from '../../src/calibrate/fakequant.js'
import { laplace } from './random.js'

describe('the least error that a threshold can have', () => {
  it.each([1, 0.1, 0])('is below the error and near it, with slope %d', (slope) => {
    for (const scale of [1e-20, 0.02, 300]) {
      const data = Float32Array.from(laplace(100_000, 9), (x) => x * scale)
      const absMax = data.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
      const thresholds = Array.from({ length: 30 }, (_, i) => (absMax * (i + 1)) / 28)
      const least = leastErrors(data, thresholds, slope)
      for (const [i, threshold] of thresholds.entries()) {
        const error = quantizationError(data, threshold, slope)
        expect(least[i]).toBeLessThanOrEqual(error)
        expect(least[i]).toBeGreaterThan(error * 0.95)
      }
    }
  })

  it('is nothing for values of which it cannot tell', () => {
    expect(leastErrors(new Float32Array(100_000), [1, 2], 1)).toEqual([0, 0])
    expect(leastErrors(new Float32Array(100_000).fill(NaN), [1], 1)).toEqual([0])
    expect(leastErrors(Float32Array.of(1, 2, 3), [1, 2], 1)).toEqual([0, 0])
  })
})
