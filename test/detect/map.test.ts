import { describe, expect, it } from 'vitest'
import { type Judged, meanPrecision } from '../../src/detect/map.js'
import { type Box, iou, type Truth } from '../../src/detect/types.js'
import { random } from './random.js'

const truth = (x0: number, classId = 0, crowd = false, width = 10): Truth => ({
  x0,
  y0: 0,
  x1: x0 + width,
  y1: 10,
  classId,
  crowd,
})
const box = (x0: number, score: number, classId = 0): Box => ({ x0, y0: 0, x1: x0 + 10, y1: 10, score, classId })

describe('average precision', () => {
  it('is 1 when all is found and nothing else', () => {
    const all = meanPrecision([{ found: [box(0, 0.9), box(50, 0.8, 1)], truth: [truth(0), truth(50, 1)] }], 3)
    expect(all).toMatchObject({ map50: 1, map75: 1, map: 1, area50: 1 })
    expect(all.classes.map(({ classId }) => classId)).toEqual([0, 1])
  })

  it('counts a false box before the right ones, not after the last one', () => {
    const ap = (found: Box[]) => meanPrecision([{ found, truth: [truth(0), truth(50)] }], 1)
    // Precisions at the hits: 1/2, 2/3; made monotone 2/3, 2/3.
    expect(ap([box(200, 0.9), box(0, 0.8), box(50, 0.7)]).area50).toBeCloseTo(2 / 3, 12)
    expect(ap([box(0, 0.8), box(50, 0.7), box(200, 0.6)]).area50).toBe(1)
    // One of two found: recall 0 to 0.5, which are 51 of the 101 points.
    expect(ap([box(0, 0.8)])).toMatchObject({ map50: 51 / 101, area50: 0.5 })
  })

  it('takes an object once: the second box on it is false', () => {
    const twice = [{ found: [box(0, 0.9), box(1, 0.8), box(50, 0.7)], truth: [truth(0), truth(50)] }]
    expect(meanPrecision(twice, 1).area50).toBeCloseTo((1 + 2 / 3) / 2, 12)
  })

  it('asks for more overlap at higher thresholds', () => {
    // Shifted by 1 of 10: IoU 9/11 = 0.818, which passes 0.5 to 0.8, seven of ten.
    const near = meanPrecision([{ found: [box(1, 0.9)], truth: [truth(0)] }], 1)
    expect(near).toMatchObject({ map50: 1, map75: 1 })
    expect(near.map).toBeCloseTo(0.7, 12)
  })

  it('does not mind what is found in a crowd', () => {
    const crowd = truth(100, 0, true, 100)
    const found = [box(110, 0.95), box(130, 0.9), box(0, 0.8)]
    expect(meanPrecision([{ found, truth: [truth(0), crowd] }], 1).area50).toBe(1)
    expect(meanPrecision([{ found, truth: [truth(0)] }], 1).area50).toBeCloseTo(1 / 3, 12)
  })

  it('looks at classes that occur, and is 0 where none does', () => {
    const pictures = [{ found: [box(0, 0.9), box(0, 0.9, 1)], truth: [truth(0)] }]
    expect(meanPrecision(pictures, 2).map50).toBe(1)
    expect(meanPrecision([{ found: [box(0, 0.9)], truth: [] }], 2)).toMatchObject({ map50: 0, classes: [] })
  })

  it('is what its definition says, on random pictures', () => {
    const next = random(11)
    const pictures: Judged[] = Array.from({ length: 30 }, () => {
      const objects = Array.from({ length: 1 + Math.floor(next() * 5) }, (_, i) => truth(40 * i))
      const hits = objects.filter(() => next() < 0.7).map((t) => box(t.x0 + Math.floor(next() * 6), next()))
      const others = Array.from({ length: Math.floor(next() * 4) }, (_, i) => box(400 + 40 * i, next() * 0.8))
      return { truth: objects, found: [...hits, ...others] }
    })
    // By definition: for each recall, the best precision of all score limits that reach it. No object is hit twice here.
    const objects = pictures.flatMap((p) => p.truth).length
    const judged = pictures.flatMap((p) =>
      p.found.map((b) => ({ score: b.score, right: p.truth.some((t) => iou(t, b) >= 0.5) })),
    )
    const points = judged.map(({ score }) => {
      const above = judged.filter((other) => other.score >= score)
      const right = above.filter((other) => other.right).length
      return { right, precision: right / above.length }
    })
    const best = Array.from({ length: 101 }, (_, k) =>
      Math.max(0, ...points.filter(({ right }) => right * 100 >= k * objects).map(({ precision }) => precision)),
    )
    const expected = best.reduce((sum, precision) => sum + precision, 0) / 101
    expect(expected).toBeGreaterThan(0.2)
    expect(expected).toBeLessThan(0.9)
    expect(meanPrecision(pictures, 1).map50).toBeCloseTo(expected, 12)
  })
})
