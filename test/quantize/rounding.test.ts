import { describe, expect, it } from 'vitest'
import { roundBf16, roundF16, roundHalfAway, roundTo, rsr } from '../../src/quantize/rounding.js'
import { brains, halves, int, overflowAt, random, requant, toBrain, toHalf } from './reference.js'

describe('float16 and bfloat16', () => {
  const next = random(1)
  const anyFloat = (): number => new Float32Array(Uint32Array.of(Math.floor(next() * 2 ** 32)).buffer)[0]!
  const steps = (numbers: readonly number[], last: number): number[] =>
    numbers.flatMap((low, code) => {
      const high = numbers[code + 1] ?? last
      const tie = Math.fround((low + high) / 2)
      // float32 neighbours of the tie
      const bits = new Uint32Array(Float32Array.of(tie).buffer)[0]!
      const near = (d: number): number => new Float32Array(Uint32Array.of(Math.max(0, bits + d)).buffer)[0]!
      return [low, tie, near(1), near(-1)]
    })

  it('rounds every number, every tie and its neighbours to the nearest float16', () => {
    const values = steps(halves, 65536)
    expect(values.length).toBe(4 * 31744)
    let wrong = 0
    for (const value of values) for (const x of [value, -value]) if (!Object.is(roundF16(x), toHalf(x))) wrong++
    expect(wrong).toBe(0)
  })

  it('rounds every number, every tie and its neighbours to the nearest bfloat16', () => {
    const values = steps(brains, 2 ** 128).filter(Number.isFinite)
    let wrong = 0
    for (const value of values) for (const x of [value, -value]) if (!Object.is(roundBf16(x), toBrain(x))) wrong++
    expect(values.length).toBeGreaterThan(100_000)
    expect(wrong).toBe(0)
  })

  it('rounds any float32', () => {
    for (let i = 0; i < 50_000; i++) {
      const x = anyFloat()
      if (!Number.isFinite(x)) continue
      expect(roundF16(x)).toBe(toHalf(x))
      expect(roundBf16(x)).toBe(toBrain(x))
    }
  })

  it('goes to infinity half a step above the largest number', () => {
    expect(roundF16(65519.996)).toBe(65504)
    expect(roundF16(65520)).toBe(Infinity)
    expect(roundF16(-65520)).toBe(-Infinity)
    expect(roundBf16(Math.fround(overflowAt.bf16))).toBe(Infinity)
    for (const f of [roundF16, roundBf16]) {
      expect(f(Infinity)).toBe(Infinity)
      expect(f(NaN)).toBeNaN()
      expect(Object.is(f(-0), -0)).toBe(true)
    }
  })

  it('narrows doubles to float32 first', () => {
    // Just above a float16 tie as a double, on it as a float32: to even, that is down.
    const value = 1 + 2 ** -11 + 2 ** -40
    expect(roundTo('f16', value)).toBe(1)
    expect(roundTo('f32', value)).toBe(1 + 2 ** -11)
  })
})

describe('whole numbers', () => {
  it('rounds halves away from zero, and nothing else', () => {
    const cases: [number, number][] = [
      [0.5, 1],
      [-0.5, -1],
      [2.5, 3],
      [-2.5, -3],
      [0.49999999999999994, 0],
      [-0.49999999999999994, -0],
      [4503599627370495.5, 4503599627370496],
      [-1.4999, -1],
    ]
    for (const [value, rounded] of cases) expect(roundHalfAway(value)).toBe(rounded)
  })

  it('shifts with ties going up', () => {
    const next = random(2)
    for (let i = 0; i < 20_000; i++) {
      const shift = int(next, -10, 40)
      const value = int(next, -(2 ** 40), 2 ** 40)
      const tie = shift > 0 ? (2 * (value % 1000) + 1) * 2 ** (shift - 1) : value
      for (const v of [value, tie]) expect(rsr(v, shift)).toBe(requant(BigInt(v), 1, shift, [-(2 ** 53), 2 ** 53]))
    }
    expect(rsr(-3, 1)).toBe(-1)
    expect(rsr(3, 1)).toBe(2)
    expect(rsr(3, -2)).toBe(12)
  })
})
