import { describe, expect, it } from 'vitest'
import { MOST_BOXES, nms } from '../../src/detect/nms.js'
import { type Box, iou } from '../../src/detect/types.js'
import { random } from './random.js'

const box = (x0: number, y0: number, x1: number, y1: number, score = 0.9, classId = 0): Box => ({
  x0,
  y0,
  x1,
  y1,
  score,
  classId,
})

describe('intersection over union', () => {
  it('is that of areas', () => {
    expect(iou(box(0, 0, 2, 2), box(1, 1, 3, 3))).toBe(1 / 7)
    expect(iou(box(0, 0, 4, 4), box(1, 1, 3, 3))).toBe(1 / 4)
    expect(iou(box(5, 5, 9, 9), box(5, 5, 9, 9))).toBe(1)
  })
  it('is none of boxes that only touch, that are apart, that are lines', () => {
    expect(iou(box(0, 0, 2, 2), box(2, 0, 4, 2))).toBe(0)
    // The vendor's program takes corners for sizes here and sees 0.66.
    expect(iou(box(400, 300, 460, 360), box(470, 300, 530, 360))).toBe(0)
    expect(iou(box(1, 0, 1, 4), box(1, 0, 1, 4))).toBe(0)
  })
})

describe('suppression', () => {
  it('keeps the best of a heap, class by class', () => {
    const heap = [box(0, 0, 10, 10, 0.5), box(1, 0, 11, 10, 0.8), box(1, 1, 11, 11, 0.7, 1), box(40, 0, 50, 10, 0.3)]
    expect(nms(heap, 0.5)).toEqual([heap[1], heap[2], heap[3]])
  })

  it('drops only what overlaps by more than the limit', () => {
    const pair = [box(0, 0, 2, 1, 0.9), box(1, 0, 3, 1, 0.8)]
    expect(nms(pair, 1 / 3)).toHaveLength(2)
    expect(nms(pair, 0.33)).toHaveLength(1)
  })

  it('lets a dropped box drop nothing', () => {
    const row = [box(0, 0, 10, 1, 0.9), box(4, 0, 14, 1, 0.8), box(8, 0, 18, 1, 0.7)]
    expect(nms(row, 0.4)).toEqual([row[0], row[2]])
  })

  it('of equal scores prefers the one that came first', () => {
    const twins = [box(0, 0, 10, 10, 0.5), box(0, 0, 10, 9, 0.5)]
    expect(nms(twins, 0.5)).toEqual([twins[0]])
    expect(nms(twins.toReversed(), 0.5)).toEqual([twins[1]])
  })

  it('keeps the 300 best of many', () => {
    const next = random(3)
    const many = Array.from({ length: 1000 }, (_, i) => box(20 * i, 0, 20 * i + 10, 10, next(), i % 7))
    const kept = nms(many, 0.5)
    expect(kept).toHaveLength(MOST_BOXES)
    const scores = many.map(({ score }) => score).sort((a, b) => b - a)
    expect(kept.map(({ score }) => score)).toEqual(scores.slice(0, MOST_BOXES))
  })
})
