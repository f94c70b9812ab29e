/** The table of a search at the end of a build and of `quant inspect`, and the front that it shows. */
import { expect, test } from 'vitest'
import { describeSelection } from '../../src/commands/inspect/selection.js'
import { bestOf, noWorse, paretoFront } from '../../src/search/front.js'
import { frontText } from '../../src/show/front.js'
import type { Selection } from '../../src/stages/selection.js'

const point = (layers: number, loss: number, microseconds: number, picked = false) => ({
  precision: Object.fromEntries(
    Array.from({ length: layers }, (_, i) => [`l${i}`, i % 3 === 2 ? 'F32' : 'F16'] as const),
  ),
  loss,
  sqnr: 20,
  microseconds,
  picked,
})

const selection: Selection = {
  objective: 'detection',
  loss: 'distance of the boxes',
  order: 'best-first',
  modes: ['F16', 'BF16', 'F32'],
  min_improvement: 0.01,
  max_float_layers: null,
  max_microseconds: 150,
  target: { figure: 'loss', value: 0.06, reached: true },
  pictures: 10,
  measured: 30,
  all_int8: { loss: 0.2, sqnr: 19, microseconds: 100 },
  joint: { loss: 0.05, sqnr: 20, microseconds: 130 },
  layers: ['l0', 'l1', 'l2'],
  precision: { l0: 'F16', l1: 'F16', l2: 'F32' },
  steps: [
    {
      added: ['l0', 'l1', 'l2'],
      layers: 3,
      loss: 0.05,
      sqnr: 20,
      microseconds: 130,
      microseconds_cheap: 128,
      measured: 20,
      improvement: 0.75,
    },
  ],
  front: [point(0, 0.2, 100), point(2, 0.1, 110), point(3, 0.05, 130, true)],
  tried: [],
}

test('the front, with the point that is built', () => {
  expect(frontText(selection).split('\n')).toEqual([
    '   float layers                chip us  of INT8    loss  SQNR dB',
    '              0  INT8            100.0    1.00x  0.2000    20.00',
    '              2  F16             110.0    1.10x  0.1000    20.00',
    '>             3  2 F16, 1 F32    130.0    1.30x  0.0500    20.00',
    'loss <= 0.06: reached',
  ])
})

test('figures of a network that gives what the float one gives are infinite', () => {
  const equal = { ...selection, front: [point(0, 0.2, 100), { ...point(3, 0, 130, true), loss: null, sqnr: null }] }
  expect(frontText(equal).split('\n')[2]).toBe('>             3  2 F16, 1 F32    130.0    1.30x       -        -')
})

test('of a long front both ends, some between, and what is built', () => {
  const long = { ...selection, front: Array.from({ length: 50 }, (_, i) => point(i, 1 - i / 100, 100 + i, i === 30)) }
  const rows = frontText(long).split('\n')
  expect(rows.filter((row) => row.startsWith('>'))).toHaveLength(1)
  expect(rows[1]).toContain('100.0')
  expect(rows.some((row) => row.includes('149.0'))).toBe(true)
  expect(rows.length).toBeLessThan(14)
})

test('inspect says the same of the file, and refuses other JSON', () => {
  const { facts, text } = describeSelection(JSON.stringify(selection), 'm_selection.json')
  expect(facts).toMatchObject({ kind: 'selection', pictures: 10 })
  expect(text).toContain('loss: distance of the boxes; steps of 1.0 % and more, at most 150.0 us')
  expect(text).toContain('+l0 +l1 +l2')
  expect(() => describeSelection('{}', 'x.json')).toThrow('x.json: not a kind of JSON that is known')
  expect(() => describeSelection('{', 'x.json')).toThrow('not a kind of JSON')
})

test('a point of the front is nowhere worse than another, and better somewhere', () => {
  const points = [
    { cycles: 10, loss: 5, size: 1 },
    { cycles: 8, loss: 7, size: 0 },
    { cycles: 12, loss: 5, size: 2 },
    { cycles: 10, loss: 6, size: 3 },
    { cycles: 20, loss: 1, size: 9 },
  ]
  const front = paretoFront(points)
  expect(front.map(({ cycles, loss }) => [cycles, loss])).toEqual([
    [8, 7],
    [10, 5],
    [20, 1],
  ])
  expect(bestOf(front, ({ size }) => size <= 2)?.loss).toBe(5)
  expect(bestOf(front, () => false)).toBeUndefined()
  // A search that ended at [12, 6] met [10, 5]; nothing that is slower than its end takes its place.
  expect(noWorse(front, { cycles: 12, loss: 6, size: 1 }, () => true)).toEqual({ cycles: 10, loss: 5, size: 1 })
  expect(noWorse(front, { cycles: 12, loss: 6, size: 1 }, ({ size }) => size < 1)).toMatchObject({ cycles: 12 })
  expect(noWorse(front, { cycles: 9, loss: 6, size: 1 }, () => true)).toMatchObject({ cycles: 9 })
  expect(noWorse(front, front[1]!, () => true)).toBe(front[1])
})
