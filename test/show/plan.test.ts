import { expect, test } from 'vitest'
import type { Reason } from '../../src/engine/reason.js'
import { paint } from '../../src/show/color.js'
import { causeLines, costText, plannedJson, statusText } from '../../src/show/plan.js'
import { placeOf, planned, tuned } from './planned.js'

const plain = paint(false)

test('a line per stage, settings with their line in quant.yaml', () => {
  expect(statusText(tuned, placeOf, plain).split('\n')).toEqual([
    'import     up to date  35 layers',
    'calibrate  would run   quant.yaml:17: calibration.method kl -> max',
    'select     would run   quant.yaml:24: mix.min_improvement 0.01 -> 0.02',
    'compile    may run     if calibrate or select give other outputs',
    'verify     may run     if compile gives other outputs',
  ])
})

test('colour is of the state alone, and leaves the text as it is', () => {
  const coloured = statusText(tuned, placeOf, paint(true))
  expect(coloured).toContain('\u001b[33mwould run\u001b[39m')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes themselves
  expect(coloured.replaceAll(/\u001b\[\d+m/g, '')).toBe(statusText(tuned, placeOf, plain))
})

test('a stage far behind shows the first causes, each once', () => {
  expect(causeLines(tuned, tuned[4]!, placeOf)).toEqual([
    '  calibrate would run, because',
    '    quant.yaml:17: calibration.method kl -> max',
    '  select would run, because',
    '    quant.yaml:24: mix.min_improvement 0.01 -> 0.02',
  ])
})

test('an edited output that would be restored if nothing else happens', () => {
  const one = planned('b', 'maybe', {
    ms: 1,
    because: [
      { why: 'output-edited', path: 'b.txt' },
      { why: 'upstream-stale', stage: 'a' },
    ],
  })
  expect(statusText([one], placeOf, plain)).toBe(
    'b  may run  b.txt was edited; runs if a gives other outputs, else restored',
  )
})

test('a thousand pictures are not a thousand lines', () => {
  const because = Array.from(
    { length: 1000 },
    (_, n): Reason => ({ why: 'input-changed', path: `${n}.jpg`, was: undefined, now: 'aa' }),
  )
  const lines = causeLines([], planned('calibrate', 'run', { because }), placeOf)
  expect(lines).toHaveLength(13)
  expect(lines.at(-1)).toBe('  and 988 more (--json has all)')
})

test('how long it took last time: what is sure, and all of it', () => {
  expect(costText(tuned)).toBe('2 would run, 2 may run, 1 up to date: 7.0 s by the last runs, at most 12.0 s')
  expect(costText([planned('a', 'run'), planned('b', 'stay', { ms: 5 })])).toBe(
    '1 would run, 1 up to date: 1 never ran here',
  )
  expect(costText([planned('b', 'stay', { ms: 5 })])).toBe('1 up to date')
})

test('for programs: reasons whole, with places; first causes of what is not sure', () => {
  expect(JSON.parse(JSON.stringify(plannedJson(tuned, tuned[4]!, placeOf)))).toEqual({
    stage: 'verify',
    would: 'maybe',
    because: [{ why: 'upstream-stale', stage: 'compile' }],
    firstCauses: [
      {
        stage: 'calibrate',
        because: [
          {
            why: 'param-changed',
            at: 'calibration.method',
            was: 'kl',
            now: 'max',
            place: { file: 'quant.yaml', line: 17 },
          },
        ],
      },
      {
        stage: 'select',
        because: [
          {
            why: 'param-changed',
            at: 'mix.min_improvement',
            was: 0.01,
            now: 0.02,
            place: { file: 'quant.yaml', line: 24 },
          },
        ],
      },
    ],
    lastMs: 4000,
  })
})
