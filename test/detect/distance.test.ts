import { expect, it } from 'vitest'
import { boxDistance, classDistance } from '../../src/detect/distance.js'
import type { Box } from '../../src/detect/types.js'

const box = (x0: number, width: number, score: number, classId = 0): Box => ({
  x0,
  y0: 0,
  x1: x0 + width,
  y1: 10,
  score,
  classId,
})

it('is nothing between equal boxes, whatever else is found', () => {
  const boxes = [box(0, 10, 0.9), box(30, 10, 0.5)]
  expect(boxDistance(boxes, boxes)).toBe(0)
  expect(boxDistance(boxes, [box(80, 10, 0.99), ...boxes, box(1, 10, 0.9)])).toBe(0)
  expect(boxDistance([], boxes)).toBe(0)
})

it('is all where nothing of the class is found, or nowhere near', () => {
  expect(boxDistance([box(0, 10, 0.9)], [])).toBe(1)
  expect(boxDistance([box(0, 10, 0.9)], [box(0, 10, 0.9, 1)])).toBe(1)
  expect(boxDistance([box(0, 10, 0.9)], [box(50, 10, 0.9)])).toBe(1)
})

it('grows with what is missing to the overlap and to the score, either way', () => {
  // Half of 10 wide is shared with a box of 10 that starts at 5: 5 / 15.
  expect(boxDistance([box(0, 10, 0.8)], [box(5, 10, 0.8)])).toBeCloseTo(1 - 1 / 3, 12)
  expect(boxDistance([box(0, 10, 0.8)], [box(0, 10, 0.4)])).toBeCloseTo(0.5, 12)
  expect(boxDistance([box(0, 10, 0.4)], [box(0, 10, 0.8)])).toBeCloseTo(0.5, 12)
  expect(boxDistance([box(0, 10, 0.8)], [box(5, 10, 0.4)])).toBeCloseTo(1 - 1 / 6, 12)
})

it('weighs boxes by the float score', () => {
  const sure = box(0, 10, 0.9)
  const doubtful = box(30, 10, 0.1)
  expect(boxDistance([sure, doubtful], [sure])).toBeCloseTo(0.1, 12)
  expect(boxDistance([sure, doubtful], [doubtful])).toBeCloseTo(0.9, 12)
})

it('of classes is the probability that went elsewhere, also to classes that were not ranked', () => {
  const ranked = (...scores: number[]) => scores.map((score, classId) => ({ classId, score }))
  expect(classDistance(ranked(0.7, 0.3), ranked(0.7, 0.3))).toBe(0)
  expect(classDistance(ranked(0.7, 0.3), ranked(0.5, 0.5))).toBeCloseTo(0.2, 12)
  expect(classDistance(ranked(0.7, 0.2), [{ classId: 5, score: 1 }])).toBeCloseTo(0.9, 12)
  // A tenth is left for classes that are not ranked; of that nothing went away, and a fifth came.
  expect(classDistance(ranked(0.7, 0.2), ranked(0.6, 0.1))).toBeCloseTo(0.2, 12)
})
