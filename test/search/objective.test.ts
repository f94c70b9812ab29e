/** What a search makes small, against the definitions written out. */
import { describe, expect, it } from 'vitest'
import { meanLoss, sqnr, sqnrLoss } from '../../src/search/loss.js'
import { lossOf, outputLosses, referenceOf, vendorLoss, weightsOf } from '../../src/search/objective.js'

const tensor = (...values: number[]) => ({ shape: [values.length], data: Float32Array.from(values) })
const wave = (count: number, step: number) => Array.from({ length: count }, (_, i) => Math.sin(i * step) + 0.1)

describe('losses of outputs', () => {
  const reference = [tensor(...wave(50, 0.7)), tensor(...wave(200, 0.3))]
  const other = [tensor(...wave(50, 0.7001)), tensor(...wave(200, 0.299))]
  const outputs = outputLosses(reference.map(referenceOf), other)

  it('have the SQNR of the vendor, bit for bit', () => {
    expect(outputs.map((one) => one.sqnr)).toEqual(reference.map(({ data }, i) => sqnr(data, other[i]!.data)))
    const shapes = reference.map(({ shape }, i) => ({ name: `o${i}`, shape }))
    expect(vendorLoss(outputs, weightsOf(shapes, undefined))).toBe(sqnrLoss(reference, other))
  })

  it('have the cosine of the angle between them', () => {
    const [right] = outputLosses([referenceOf(tensor(3, 4))], [tensor(4, 3)])
    expect(right!.cosine).toBeCloseTo(24 / 25, 12)
    const cosineOf = (a: number[], b: number[]) => outputLosses([referenceOf(tensor(...a))], [tensor(...b)])[0]!.cosine
    expect(cosineOf([0, 0], [0, 0])).toBe(1)
    expect(cosineOf([0, 0], [1, 0])).toBe(0)
    expect(cosineOf([1, 2], [0, 0])).toBe(0)
    expect(cosineOf([1, 2], [Number.NaN, 0])).toBeNaN()
  })
})

describe('the loss of a picture', () => {
  const outputs = [
    { sqnr: 10, cosine: 0.9 },
    { sqnr: 30, cosine: 0.98 },
  ]

  it('weighs outputs', () => {
    expect(lossOf({ boxes: 0.3, outputs }, { kind: 'detection', weights: [] })).toBe(0.3)
    expect(lossOf({ boxes: 0.3, outputs }, { kind: 'sqnr', weights: [3, 1] })).toBe(-15)
    expect(lossOf({ boxes: undefined, outputs }, { kind: 'cosine', weights: [1, 1] })).toBeCloseTo(0.06, 12)
  })

  it('counts an output that is equal as 100 dB, so that the others still tell pictures apart; the vendor leaves it out', () => {
    const equal = { sqnr: Infinity, cosine: 1 }
    const sqnr = { kind: 'sqnr', weights: [1, 3] } as const
    const loss = (...sqnrs: number[]) =>
      lossOf({ boxes: undefined, outputs: sqnrs.map((one) => ({ sqnr: one, cosine: 1 })) }, sqnr)
    expect(loss(Infinity, 20)).toBe(-40)
    expect(loss(Infinity, Infinity)).toBe(-100)
    // Better than it was, and no better than equal.
    expect(loss(140, 20)).toBe(-40)
    // A float output that is constant: no signal, so 0 dB, unless it is met exactly.
    expect(loss(-Infinity, 20)).toBe(-15)
    // One perfect picture among ten leaves a loss that a search can go on from.
    const pictures = [loss(Infinity, Infinity), ...Array.from({ length: 9 }, () => loss(20, 20))]
    expect(meanLoss(pictures)).toBe(-28)
    expect(vendorLoss([equal, outputs[1]!], [1, 3])).toBe(-30)
    expect(vendorLoss([equal], [1])).toBe(-Infinity)
  })

  it('is the worst where something is not finite', () => {
    const broken = [{ sqnr: Number.NaN, cosine: Number.NaN }, outputs[1]!]
    for (const kind of ['sqnr', 'cosine'] as const)
      expect(meanLoss([lossOf({ boxes: undefined, outputs: broken }, { kind, weights: [1, 1] }), -3])).toBe(Infinity)
  })
})

describe('weights of outputs', () => {
  const outputs = [
    { name: 'heat_Conv', shape: [1, 4, 2, 2] },
    { name: 'size_Sigmoid', shape: [1, 2] },
  ]

  it('are their sizes, or what the user says by tensor or layer, else 1', () => {
    expect(weightsOf(outputs, undefined)).toEqual([16, 2])
    expect(weightsOf(outputs, { heat: 4 })).toEqual([4, 1])
    expect(weightsOf(outputs, { size_Sigmoid: 0 })).toEqual([1, 0])
  })

  it('must name outputs', () => {
    expect(() => weightsOf(outputs, { heat: 1, haet: 2 })).toThrow('`mix.weights` names haet, which is no output')
  })
})
