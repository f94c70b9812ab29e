/** The live view on a terminal of our own: what is checked is what a person would see, not the escapes. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { liveReporter } from '../../src/show/live.js'
import { build } from './events.js'

/** A small terminal: characters, line feeds, and the escapes that move and erase. Anything else fails the test. */
function terminal(columns: number | undefined, rows = 24) {
  const lines: string[] = ['']
  let y = 0
  let x = 0
  let cursor = true
  let writes = 0
  const obey = (parameters: string, command: string) => {
    const n = Number(parameters || 1)
    if (command === 'h' || command === 'l') {
      if (parameters === '?25') cursor = command === 'h'
      else expect(parameters).toBe('?2026')
    } else if (command === 'A') y = Math.max(0, y - n)
    else if (command === 'B') y += n
    else if (command === 'G') x = n - 1
    else if (command === 'K') lines[y] = parameters === '2' ? '' : (lines[y] ?? '').slice(0, x)
    else if (command !== 'm') throw new Error(`escape ${parameters}${command}`)
  }
  return {
    isTTY: true,
    columns,
    rows,
    write(text: string) {
      writes++
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes themselves
      for (const [, parameters, command, character] of text.matchAll(/\u001b\[([?\d]*)([A-Za-z])|([\s\S])/g)) {
        if (command !== undefined) obey(parameters!, command)
        else if (character === '\n') {
          y++
          x = 0
        } else {
          const line = (lines[y] ?? '').padEnd(x)
          lines[y] = line.slice(0, x) + character + line.slice(x + 1)
          x++
        }
        while (lines.length <= y) lines.push('')
      }
    },
    screen: () => lines.join('\n').trimEnd().split('\n'),
    hasCursor: () => cursor,
    writes: () => writes,
  }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('a build from its beginning to its end', () => {
  const screen = terminal(100)
  const emit = liveReporter(screen, { color: false })
  for (const event of build.slice(0, 3)) emit(event)
  expect(screen.hasCursor()).toBe(false)
  vi.advanceTimersByTime(100)
  expect(screen.screen()).toEqual([
    '! import  Resize__7: the roi is ignored',
    '1 up to date',
    '● calibrate  calibration/cal_101.jpg is new; calibration.input_num 100 -> 101',
    '4 to go',
  ])
  for (const event of build.slice(3, 6)) emit(event)
  vi.advanceTimersByTime(100)
  expect(screen.screen()).toEqual([
    '! import  Resize__7: the roi is ignored',
    '! calibrate  conv3: 3 % of its values are cut',
    '1 up to date',
    '● calibrate  ━━━━━━━━━━━━──────── 60/101 pictures, 60 reused',
    '4 to go',
  ])
  for (const event of build.slice(6, 10)) emit(event)
  vi.advanceTimersByTime(1200)
  expect(screen.screen()).toEqual([
    '! import  Resize__7: the roi is ignored',
    '! calibrate  conv3: 3 % of its values are cut',
    '✓ calibrate  12.3 s  37 thresholds, same as before',
    '↺ compile:int8  restored, 1.2 MB  build/street_int8.bmodel was edited',
    '1 up to date',
    '● search:mix  1.2 s',
    '2 to go',
  ])
  for (const event of build.slice(10)) emit(event)
  expect(screen.screen()).toEqual([
    '! import  Resize__7: the roi is ignored',
    '! calibrate  conv3: 3 % of its values are cut',
    '✓ calibrate  12.3 s  37 thresholds, same as before',
    '↺ compile:int8  restored, 1.2 MB  build/street_int8.bmodel was edited',
    '✗ search:mix  failed',
    'calibration/cal_007.jpg: the picture is cut off',
    '  replace it, or take it out of the folder',
    '- compile:mix  not run, because search:mix failed',
    '- verify  not run, because search:mix failed',
    'failed after 14.0 s: 1 failed, 2 not run, 1 ran, 1 restored, 1 up to date',
  ])
  expect(screen.hasCursor()).toBe(true)
})

test('remaining time counts what was computed, not what was reused', () => {
  const screen = terminal(100)
  const emit = liveReporter(screen, { color: false })
  emit({ type: 'started', stage: 'calibrate', because: [] })
  emit({ type: 'progress', stage: 'calibrate', done: 40, of: 100, reused: 40, unit: 'pictures' })
  vi.advanceTimersByTime(2000)
  expect(screen.screen()).toEqual(['● calibrate  ━━━━━━━━──────────── 40/100 pictures, 40 reused'])
  emit({ type: 'progress', stage: 'calibrate', done: 60, of: 100, reused: 40, unit: 'pictures' })
  vi.advanceTimersByTime(1)
  vi.advanceTimersByTime(99)
  // 20 pictures took 2.1 s, 40 are left.
  expect(screen.screen()).toEqual(['● calibrate  ━━━━━━━━━━━━──────── 60/100 pictures, 40 reused, 4 s left'])
  emit.stop()
})

test('remaining time of the whole build, where the last runs tell', () => {
  const screen = terminal(60)
  const emit = liveReporter(screen, { color: false })
  const stage = (name: string, lastMs?: number) => ({ name, title: name, ...(lastMs === undefined ? {} : { lastMs }) })
  emit({ type: 'planned', stages: [stage('import', 5000), stage('calibrate', 20_000), stage('verify', 10_000)] })
  emit({ type: 'started', stage: 'import', because: [{ why: 'never-built' }] })
  vi.advanceTimersByTime(2000)
  // 3 of the 5 seconds of import, and the 30 of the others.
  expect(screen.screen()).toEqual(['● import  2.0 s of about 5.0 s  never built', '2 to go, about 33 s left'])
  emit({ type: 'finished', stage: 'import', ms: 2000, sameAsBefore: false, note: '' })
  emit({ type: 'planned', stages: [stage('calibrate', 20_000), stage('verify')] })
  vi.advanceTimersByTime(100)
  expect(screen.screen().at(-1)).toBe('2 to go')
  emit.stop()
})

test('a stage that counts something else now is judged by that alone', () => {
  const screen = terminal(100)
  const emit = liveReporter(screen, { color: false })
  emit({ type: 'started', stage: 'calibrate', because: [] })
  vi.advanceTimersByTime(60_000)
  emit({ type: 'progress', stage: 'calibrate', done: 100, of: 100, reused: 0, unit: 'pictures' })
  emit({ type: 'progress', stage: 'calibrate', done: 1, of: 11, reused: 0, unit: 'layers tuned' })
  vi.advanceTimersByTime(2000)
  emit({ type: 'progress', stage: 'calibrate', done: 6, of: 11, reused: 0, unit: 'layers tuned' })
  vi.advanceTimersByTime(100)
  // Five layers in 2.1 s, five are left: the minute of the pictures does not count.
  expect(screen.screen()[0]).toMatch(/ 6\/11 layers tuned, 2 s left$/)
  emit.stop()
})

test('a thousand events within a second are ten drawings at most', () => {
  const screen = terminal(80)
  const emit = liveReporter(screen, { color: true })
  emit({ type: 'started', stage: 'search', because: [] })
  const before = screen.writes()
  for (let i = 1; i <= 1000; i++) {
    emit({ type: 'progress', stage: 'search', done: i, of: 1000, reused: 0, unit: 'layers' })
    vi.advanceTimersByTime(1)
  }
  expect(screen.writes() - before).toBeGreaterThan(5)
  expect(screen.writes() - before).toBeLessThanOrEqual(10)
  emit.stop()
})

test.each([0, undefined, 30, 20])('no line is wider than a terminal of %s columns', (columns) => {
  const screen = terminal(columns)
  const emit = liveReporter(screen, { color: false })
  emit({
    type: 'started',
    stage: 'calibrate',
    because: [{ why: 'output-missing', path: 'a/very/long/path/'.repeat(9) }],
  })
  vi.advanceTimersByTime(100)
  expect(screen.screen()).toHaveLength(1)
  expect(screen.screen()[0]!.length).toBeLessThanOrEqual(columns || 80)
  emit({ type: 'progress', stage: 'calibrate', done: 60, of: 100, reused: 40, unit: 'pictures' })
  vi.advanceTimersByTime(100)
  expect(screen.screen()).toHaveLength(1)
  expect(screen.screen()[0]!.length).toBeLessThanOrEqual(columns || 80)
  expect(screen.screen()[0]).toContain('● calibrate')
  emit.stop()
})

test('an error higher than the terminal is shown whole', () => {
  const screen = terminal(80, 10)
  const emit = liveReporter(screen, { color: false })
  const hint = Array.from({ length: 40 }, (_, i) => `line ${i}`).join('\n')
  emit({ type: 'started', stage: 'a', because: [] })
  emit({ type: 'failed', stage: 'a', error: { code: 'input', message: 'much is wrong', hint } })
  emit({ type: 'done', ran: 0, fresh: 0, restored: 0, failed: 1, blocked: 0, ms: 1 })
  expect(screen.screen()).toHaveLength(43)
})

test('stopping half-way leaves the last state and gives the cursor back; a later build starts anew', () => {
  const screen = terminal(80)
  const emit = liveReporter(screen, { color: false })
  emit({ type: 'started', stage: 'a', because: [] })
  const listeners = process.listenerCount('exit')
  emit.stop()
  emit.stop()
  expect(screen.hasCursor()).toBe(true)
  expect(process.listenerCount('exit')).toBe(listeners - 1)
  expect(screen.screen()).toEqual(['● a'])
  emit({ type: 'finished', stage: 'a', ms: 5, sameAsBefore: false, note: '' })
  expect(screen.hasCursor()).toBe(false)
  emit({ type: 'done', ran: 1, fresh: 0, restored: 0, failed: 0, blocked: 0, ms: 5 })
  expect(screen.screen()).toEqual(['● a', '✓ a  5 ms', 'done in 5 ms: 1 ran'])
  expect(vi.getTimerCount()).toBe(0)
})
