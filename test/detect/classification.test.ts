import { describe, expect, it } from 'vitest'
import { classOfLabel, isAmong, rankClasses, readClassLabels } from '../../src/detect/classification.js'
import { QuantError } from '../../src/errors.js'

const output = (...values: number[]) => ({ shape: [1, values.length], data: Float32Array.from(values) })

describe('the best classes', () => {
  it('of probabilities are these, of equal ones the first', () => {
    expect(rankClasses([output(0.25, 0.5, 0, 0.25)], 4)).toEqual([
      { classId: 1, score: 0.5 },
      { classId: 0, score: 0.25 },
      { classId: 3, score: 0.25 },
      { classId: 2, score: 0 },
    ])
  })

  it('of logits go through softmax', () => {
    // ln 6, ln 3, ln 1: shares of ten.
    const ranking = rankClasses([output(Math.log(3), Math.log(6), 0)], 3)
    expect(ranking.map(({ classId }) => classId)).toEqual([1, 0, 2])
    for (const [i, share] of [0.6, 0.3, 0.1].entries()) expect(ranking[i]!.score).toBeCloseTo(share, 6)
    expect(rankClasses([output(1000, 0)], 2)[0]).toEqual({ classId: 0, score: 1 })
  })

  it('are twenty at most, and of the first of a batch', () => {
    const data = Float32Array.from({ length: 60 }, (_, i) => (i < 30 ? i / 30 : 1 - i / 60))
    const ranking = rankClasses([{ shape: [2, 30, 1, 1], data }], 30)
    expect(ranking).toHaveLength(20)
    expect(ranking[0]!.classId).toBe(29)
    expect(isAmong(ranking, 25, 5)).toBe(true)
    expect(isAmong(ranking, 24, 5)).toBe(false)
  })

  it('of other outputs cannot be told', () => {
    expect(() => rankClasses([output(1, 2, 3)], 4)).toThrow(
      'outputs of [1, 3] are not one number for each of 4 classes',
    )
    expect(() => rankClasses([output(1), output(1)], 1)).toThrow(QuantError)
  })
})

describe('labels', () => {
  const classes = ['cat', 'dog', 'fire engine']

  it('find their pictures by path, name or stem, their classes by name or number', () => {
    const text = '# from here\na/1.jpg cat\nb/1.jpg 1\n\n2.png fire engine\nx y.jpg\tdog\n3 2\n'
    const classOf = readClassLabels(text, 'val.txt', classes)
    expect(classOf('data/a/1.jpg')).toBe(0)
    expect(classOf('data/b/1.jpg')).toBe(1)
    expect(classOf('data/2.png')).toBe(2)
    expect(classOf('data/x y.jpg')).toBe(1)
    expect(classOf('data/3.jpeg')).toBe(2)
    expect(classOf('data/4.jpg')).toBeUndefined()
  })

  it('have numbers of their own by a class map', () => {
    expect(classOfLabel('207', classes, [281, 207, 555])).toBe(1)
    expect(classOfLabel('1', classes, [281, 207, 555])).toBeUndefined()
    expect(classOfLabel('cat', classes, [281, 207, 555])).toBe(0)
  })

  it.each([
    ['1.jpg', 'val.txt:1: not a label'],
    ['1.jpg 0\n2.jpg wolf', 'val.txt:2: `wolf` is none of 3 classes'],
    ['1.jpg 3', 'val.txt:1: `3` is none of 3 classes'],
    ['1.jpg -1', 'val.txt:1: `-1` is none of 3 classes'],
  ])('%j is refused with its line', (text, message) => {
    expect(() => readClassLabels(text, 'val.txt', classes)).toThrow(message)
  })
})
