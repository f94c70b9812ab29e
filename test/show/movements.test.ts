/** What moved between two builds, from results written by hand. */
import { expect, test } from 'vitest'
import { movements, movementsText } from '../../src/show/movements.js'
import type { Results } from '../../src/stages/results.js'

const figures = { pictures: 3, sqnr: 27, recall: 0.9, extra: 2, score_difference: 0.01, map50: 0.8, map: 0.4 }
const before: Results = {
  model: 'street',
  variants: {
    float: { figures: { pictures: 3, sqnr: null, map50: 0.81 }, microseconds: undefined, bytes: undefined },
    mix: { figures, microseconds: 70, bytes: 1000 },
  },
  thresholds: { a: 1, b: 2, c: 3 },
  chosen: { '': { layers: { conv1: 'F32', conv2: 'F32' }, loss: 0.5 } },
}
const text = (after: Results, color = false): string => movementsText(movements(before, after), { color })

test('nothing moved: one line', () => {
  expect(movements(before, structuredClone(before))).toEqual([])
  expect(text(structuredClone(before))).toBe('nothing moved\n')
})

test('figures with both sides and the signed difference; good is what is good for each', () => {
  const after: Results = {
    ...before,
    variants: {
      ...before.variants,
      mix: {
        figures: { ...figures, map50: 0.8125, extra: 3, score_difference: 0.008, sqnr: 26.5 },
        microseconds: 68.25,
        bytes: 1200,
      },
    },
  }
  const better = movements(before, after).map((one) => one.what === 'figure' && [one.variant, one.figure, one.better])
  expect(better).toEqual([
    ['mix', 'mAP@0.5', true],
    ['mix', 'extra', false],
    ['mix', 'score diff', true],
    ['mix', 'SQNR', false],
    ['mix', 'chip', true],
    ['mix', 'size', false],
  ])
  expect(text(after)).toBe(
    [
      'mix  mAP@0.5      0.8000  ->  0.8125  +0.0125',
      '     extra boxes       2  ->       3       +1',
      '     score diff   0.0100  ->  0.0080  -0.0020',
      '     SQNR dB      27.000  ->  26.500   -0.500',
      '     chip us      70.000  ->  68.250   -1.750',
      '     size B         1000  ->    1200     +200',
      '',
    ].join('\n'),
  )
  const colored = text(after, true).split('\n')
  const [plain] = text(after).split('\n')
  expect(colored[0]).toBe(`\u001b[32m${plain}\u001b[39m`)
  expect(colored[1]).toContain('\u001b[31m')
})

test('thresholds: how many, and the one that moved furthest as a ratio, up or down', () => {
  const after = { ...before, thresholds: { a: 1.5, b: 1, c: 3, d: 4 } }
  expect(movements(before, after)).toEqual([
    { what: 'thresholds', moved: 2, of: 4, most: { layer: 'b', was: 2, now: 1 }, added: 1, dropped: 0 },
  ])
  expect(text(after)).toBe('thresholds  2 of 4 moved, most b 2 -> 1 (x 0.500), 1 new\n')
})

test('layers that came, went and changed their mode', () => {
  const after: Results = { ...before, chosen: { '': { layers: { conv2: 'BF16', conv3: 'F32' }, loss: 0.4 } } }
  expect(text(after).split('\n').slice(0, 2)).toEqual([
    'layers  + conv2 BF16  + conv3 F32  - conv1 F32  - conv2 F32',
    '        search loss  0.500000  ->  0.400000  -0.100000',
  ])
})

test('a variant that is new, one that is gone, and figures that only one side has', () => {
  const { mix, float } = before.variants
  expect(text({ ...before, variants: { float: float!, int8: mix! } })).toBe('mix   gone\nint8  new\n')
  const unlabelled = { ...figures, map50: undefined, map: undefined } as unknown as typeof figures
  const after = { ...before, variants: { float: float!, mix: { ...mix!, figures: unlabelled } } }
  expect(movements(before, after)).toMatchObject([
    { figure: 'mAP@0.5', was: 0.8, now: undefined, better: undefined },
    { figure: 'mAP@0.5:0.95', was: 0.4, now: undefined, better: undefined },
  ])
  expect(text(after)).toContain('mix  mAP@0.5       0.8000  ->  -')
})

test('names cannot reach the terminal as control characters', () => {
  const after: Results = { ...before, chosen: { '': { layers: { 'a\u001b[2J': 'F32' }, loss: 0.5 } } }
  expect(text(after)).not.toContain('\u001b')
})
