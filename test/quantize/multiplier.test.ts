import { describe, expect, it } from 'vitest'
import { QuantError } from '../../src/errors.js'
import { scaleAndShift, scaleAndShiftPositive } from '../../src/quantize/multiplier.js'
import { random } from './reference.js'

describe('multiplier and shift', () => {
  it('finds the pairs that the vendor’s tables are made of', () => {
    expect(scaleAndShift(0.1, 8)).toEqual({ multiplier: 51, shift: 9 })
    expect(scaleAndShift(1, 8)).toEqual({ multiplier: 1, shift: 0 })
    expect(scaleAndShift(2.5, 8)).toEqual({ multiplier: 5, shift: 1 })
    expect(scaleAndShift(0.63727, 8)).toEqual({ multiplier: 41, shift: 6 })
    expect(scaleAndShift(0.1234, 32)).toEqual({ multiplier: 4140617, shift: 25 })
    expect(scaleAndShift(0.005, 32)).toEqual({ multiplier: 5368709, shift: 30 })
  })

  it('needs a negative shift for large scales, and the positive search stops at the largest multiplier', () => {
    expect(scaleAndShift(1000, 8)).toEqual({ multiplier: 125, shift: -3 })
    expect(scaleAndShiftPositive(1000, 8)).toEqual({ multiplier: 127, shift: 0 })
    expect(scaleAndShiftPositive(100, 8)).toEqual({ multiplier: 100, shift: 0 })
  })

  it('is the nearest of all pairs, and the smallest shift among equals', () => {
    const next = random(3)
    for (let i = 0; i < 200; i++) {
      const scale = Math.fround(2 ** (next() * 14 - 8))
      const { multiplier, shift } = scaleAndShift(scale, 8)
      const error = Math.fround(Math.abs(multiplier * 2 ** -shift - scale))
      let better = 0
      for (let s = -10; s <= 30; s++)
        for (let m = 1; m < 127; m++) {
          const other = Math.fround(Math.abs(m * 2 ** -s - scale))
          if (other < error || (other === error && s < shift)) better++
        }
      expect(better).toBe(0)
    }
  })

  it('is exact for float32 factors that 31 bits can hold', () => {
    const next = random(4)
    for (let i = 0; i < 1000; i++) {
      const scale = Math.fround(2 ** (next() * 6 - 6))
      const { multiplier, shift } = scaleAndShift(scale, 32)
      expect(multiplier * 2 ** -shift).toBe(scale)
    }
  })

  it('refuses what is no number', () => {
    expect(() => scaleAndShift(NaN, 32)).toThrow(QuantError)
    expect(() => scaleAndShiftPositive(Infinity, 8)).toThrow(/rescale/)
  })
})
