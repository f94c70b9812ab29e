import { describe, expect, it } from 'vitest'
import { agree, totalAgreement } from '../../src/detect/agreement.js'
import type { Box } from '../../src/detect/types.js'

const box = (x0: number, score: number, classId = 0): Box => ({ x0, y0: 0, x1: x0 + 10, y1: 10, score, classId })

describe('agreement with the float network', () => {
  it('pairs boxes of a class that overlap', () => {
    const reference = [box(0, 0.9), box(50, 0.8), box(100, 0.7, 1)]
    const other = [box(1, 0.85), box(100, 0.7), box(51, 0.9)]
    expect(agree(reference, other)).toEqual({
      matched: 2,
      missed: 1,
      extra: 1,
      recall: 2 / 3,
      scoreDifference: expect.closeTo((0.05 + 0.1) / 2, 12),
      iou: expect.closeTo(9 / 11, 12),
    })
  })

  it('takes each box once, the best reference first, the nearest for it', () => {
    // The better one takes the box that lies on it; nothing is left for the weaker one at IoU 6/14.
    const { matched, missed, extra, iou } = agree([box(4, 0.5), box(0, 0.9)], [box(0, 0.4)])
    expect([matched, missed, extra, iou]).toEqual([1, 1, 0, 1])
    expect(agree([box(0, 0.9)], [box(2, 0.9), box(1, 0.1)])).toMatchObject({ matched: 1, extra: 1, iou: 9 / 11 })
  })

  it('counts an overlap of one half, and nothing below', () => {
    const wide = (x1: number): Box => ({ ...box(0, 0.5), x1 })
    expect(agree([wide(10)], [wide(20)]).matched).toBe(1)
    expect(agree([wide(10)], [wide(20.5)]).matched).toBe(0)
  })

  it('of nothing with nothing is whole', () => {
    expect(agree([], [])).toEqual({ matched: 0, missed: 0, extra: 0, recall: 1, scoreDifference: 0, iou: 0 })
    expect(agree([box(0, 0.9)], [])).toMatchObject({ missed: 1, recall: 0 })
  })

  it('over pictures is weighed by their boxes', () => {
    const one = agree([box(0, 0.9)], [box(0, 0.8)])
    const two = agree([box(0, 0.9), box(50, 0.9), box(90, 0.9)], [box(0, 0.5), box(50, 0.9), box(200, 0.3)])
    expect(totalAgreement([one, two])).toEqual({
      matched: 3,
      missed: 1,
      extra: 1,
      recall: 0.75,
      scoreDifference: expect.closeTo(0.5 / 3, 12),
      iou: 1,
    })
  })
})
