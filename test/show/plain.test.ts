import { expect, test } from 'vitest'
import type { Event } from '../../src/events.js'
import { chooseReporter } from '../../src/show/index.js'
import { jsonReporter } from '../../src/show/json.js'
import { plainReporter } from '../../src/show/plain.js'
import { build } from './events.js'

function shown(events: readonly Event[], color = false): string[] {
  let text = ''
  const emit = plainReporter(
    (piece) => {
      text += piece
    },
    { color },
  )
  for (const event of events) emit(event)
  expect(text.endsWith('\n')).toBe(true)
  return text.slice(0, -1).split('\n')
}

test('in a pipe a build is lines that say what they are about', () => {
  expect(shown(build)).toEqual([
    '6 stages: import, calibrate, compile:int8, search:mix, compile:mix, verify',
    'import: up to date',
    'import: warning: Resize__7: the roi is ignored',
    'calibrate: runs: calibration/cal_101.jpg is new; calibration.input_num 100 -> 101',
    'calibrate: 60/101 pictures, 60 reused',
    'calibrate: warning: conv3: 3 % of its values are cut',
    'calibrate: 101/101 pictures, 100 reused',
    'calibrate: done in 12.3 s: 37 thresholds, same as before',
    'compile:int8: restored from the store, 1.2 MB: build/street_int8.bmodel was edited',
    'search:mix: runs',
    'search:mix: failed',
    'calibration/cal_007.jpg: the picture is cut off',
    '  replace it, or take it out of the folder',
    'compile:mix: not run, because search:mix failed',
    'verify: not run, because search:mix failed',
    'failed after 14.0 s: 1 failed, 2 not run, 1 ran, 1 restored, 1 up to date',
  ])
})

test('a thousand steps are four lines', () => {
  const steps = Array.from({ length: 1000 }, (_, i): Event => {
    return { type: 'progress', stage: 'search', done: i + 1, of: 1000, reused: 0, unit: 'layers' }
  })
  expect(shown(steps)).toEqual([250, 500, 750, 1000].map((done) => `search: ${done}/1000 layers`))
})

test('with nothing to do the last line says so', () => {
  expect(shown([{ type: 'done', ran: 0, fresh: 7, restored: 0, failed: 0, blocked: 0, ms: 12 }])).toEqual([
    'nothing to do: 7 up to date (12 ms)',
  ])
  expect(shown([{ type: 'done', ran: 3, fresh: 4, restored: 0, failed: 0, blocked: 0, ms: 125_000 }])).toEqual([
    'done in 2 min 05 s: 3 ran, 4 up to date',
  ])
})

test('colour adds escapes and changes no text', () => {
  const coloured = shown(build, true).join('\n')
  expect(coloured).toContain('\u001b[31mfailed\u001b[39m')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes themselves
  expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(shown(build).join('\n'))
})

test('as JSON it is the events, one per line, without stack traces', () => {
  let text = ''
  const emit = jsonReporter((piece) => {
    text += piece
  })
  for (const event of build) emit(event)
  const back = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(back).toHaveLength(build.length)
  expect(back.filter((event) => event.type !== 'failed')).toEqual(build.filter((event) => event.type !== 'failed'))
  expect(text).toContain('the picture is cut off')
  expect(text).not.toContain('at decode')
})

/** What a reporter writes for one event tells which one it is. */
async function chosen(options: { json?: boolean; isTTY?: boolean; env?: Record<string, string> }): Promise<string> {
  let text = ''
  const write = (piece: string) => {
    text += piece
  }
  const stream = { write, isTTY: options.isTTY ?? true, columns: 80, rows: 24 }
  const reporter = await chooseReporter({ json: options.json ?? false, stream, env: options.env ?? {} })
  reporter({ type: 'blocked', stage: 'a', by: 'b' })
  reporter.stop()
  if (text.startsWith('{')) return 'json'
  const view = text.includes('\u001b[?25l') ? 'live' : 'plain'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes themselves
  return /\u001b\[\d+m/.test(text) ? `${view}, colour` : view
}

test.each([
  ['a terminal', {}, 'live, colour'],
  ['a pipe', { isTTY: false }, 'plain'],
  ['a terminal in CI', { env: { CI: 'true' } }, 'plain, colour'],
  ['CI=false is no CI', { env: { CI: 'false' } }, 'live, colour'],
  ['a dumb terminal', { env: { TERM: 'dumb' } }, 'plain'],
  ['NO_COLOR', { env: { NO_COLOR: '1' } }, 'live'],
  ['an empty NO_COLOR is none', { env: { NO_COLOR: '' } }, 'live, colour'],
  ['FORCE_COLOR in a pipe', { isTTY: false, env: { FORCE_COLOR: '1' } }, 'plain, colour'],
  ['FORCE_COLOR=0', { env: { FORCE_COLOR: '0' } }, 'live'],
  ['both', { env: { NO_COLOR: '1', FORCE_COLOR: '1' } }, 'live'],
  ['--json in a terminal', { json: true }, 'json'],
])('%s', async (_, options, expected) => {
  expect(await chosen(options)).toBe(expected)
})
