/** What a GitHub workflow reads: commands, one per line, and a summary. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { QuantError } from '../../src/errors.js'
import type { Event } from '../../src/events.js'
import { githubReporter } from '../../src/show/github.js'
import { reporterName } from '../../src/show/index.js'
import { temporaryFolder } from '../engine/rig.js'
import { build } from './events.js'

function rig() {
  const workspace = temporaryFolder()
  mkdirSync(join(workspace, 'street/calibration'), { recursive: true })
  writeFileSync(join(workspace, 'street/quant.yaml'), '')
  writeFileSync(join(workspace, 'street/calibration/cal_007.jpg'), '')
  let text = ''
  const env = { GITHUB_WORKSPACE: workspace, GITHUB_STEP_SUMMARY: join(workspace, 'summary.md') }
  const reporter = githubReporter(
    (piece) => {
      text += piece
    },
    { folders: [workspace, join(workspace, 'street')], env },
  )
  return {
    reporter,
    workspace,
    lines: () => text.trimEnd().split('\n'),
    summary: () => readFileSync(env.GITHUB_STEP_SUMMARY, 'utf8'),
  }
}

test('a build: a group per stage that ran, annotations, plain lines for the rest', () => {
  const { reporter, lines } = rig()
  for (const event of build) reporter(event)
  expect(lines()).toEqual([
    '6 stages: import, calibrate, compile:int8, search:mix, compile:mix, verify',
    '::warning title=import::Resize__7: the roi is ignored',
    'calibrate: runs: calibration/cal_101.jpg is new; calibration.input_num 100 -> 101',
    '::warning title=calibrate::conv3: 3 %25 of its values are cut',
    '::group::calibrate, 12.3 s: 37 thresholds, same as before',
    'calibrate: runs: calibration/cal_101.jpg is new; calibration.input_num 100 -> 101',
    'calibrate: warning: conv3: 3 % of its values are cut',
    '::endgroup::',
    'compile:int8: restored from the store, 1.2 MB: build/street_int8.bmodel was edited',
    'search:mix: runs',
    'search:mix: failed',
    'calibration/cal_007.jpg: the picture is cut off',
    '  replace it, or take it out of the folder',
    '::error file=street/calibration/cal_007.jpg,title=search%3Amix::the picture is cut off%0Areplace it, or take it out of the folder',
    'compile:mix: not run, because search:mix failed',
    'verify: not run, because search:mix failed',
    'failed after 14.0 s: 1 failed, 2 not run, 1 ran, 1 restored, 1 up to date',
  ])
})

test('the summary: what was done, what went wrong; figures behind it', () => {
  const { reporter, summary } = rig()
  for (const event of build) reporter(event)
  reporter.figures?.('\nint8  0.81\n')
  const text = summary()
  expect(text).toContain('### quant build: failed after 14.0 s')
  expect(text).toContain('| calibrate | ran | 12.3 s | 37 thresholds, same as before |')
  expect(text).toContain('| search:mix | failed |')
  expect(text).not.toContain('| import | up to date')
  expect(text).toContain('**search:mix**: calibration/cal&#95;007.jpg: the picture is cut off')
  expect(text.endsWith('```text\nint8  0.81\n```\n\n')).toBe(true)
})

test('every mistake in quant.yaml is an annotation at its place', () => {
  const { reporter, lines } = rig()
  const place = { file: 'street/quant.yaml', line: 23, column: 11, length: 9, text: '  method: percentil' }
  const more = [new QuantError('config', 'b', { place: { ...place, line: 30 } })]
  reporter.fail?.(new QuantError('config', '`a`, 100 %', { place, hint: 'do\r\nthat', more }))
  expect(lines()).toEqual([
    '::error file=street/quant.yaml,line=23,col=11,endColumn=20,title=quant::`a`, 100 %25%0Ado%0D%0Athat',
    '::error file=street/quant.yaml,line=30,col=11,endColumn=20,title=quant::b',
  ])
})

test('a file outside the repository is named in words only', () => {
  const { reporter, lines } = rig()
  reporter.fail?.(new QuantError('input', 'it is cut off', { place: { file: '/elsewhere/p,1.jpg', line: 3 } }))
  expect(lines()).toEqual(['::error title=quant::/elsewhere/p,1.jpg: it is cut off'])
})

test('properties are escaped, and nothing from files or names becomes a command', () => {
  const { reporter, lines, workspace } = rig()
  const hostile = 'a,b:c%\n::error::gotcha'
  writeFileSync(join(workspace, 'x,y:%.jpg'), '')
  const events: Event[] = [
    { type: 'started', stage: hostile, because: [] },
    {
      type: 'failed',
      stage: 's',
      error: {
        code: 'input',
        message: '::set-output name=x::y',
        hint: '##[error]no\n ::add-mask::z',
        place: { file: 'x,y:%.jpg' },
      },
    },
    { type: 'finished', stage: hostile, ms: 1, sameAsBefore: false, note: '' },
  ]
  for (const event of events) reporter(event)
  const commands = lines().filter((line) => /^\s*::|##\[/.test(line))
  expect(commands.map((line) => /^::(\w+)/.exec(line)?.[1])).toEqual(['error', 'group', 'endgroup'])
  expect(commands[0]).toMatch(/^::error file=x%2Cy%3A%25\.jpg,title=s::/)
  expect(commands[1]).toBe('::group::a,b:c%25%0A::error::gotcha, 1 ms')
})

test('which view: what was asked for, a terminal, a workflow, a pipe', () => {
  const tty = { write: () => {}, isTTY: true }
  const pipe = { write: () => {}, isTTY: false }
  const name = (stream: typeof tty, env: Record<string, string>, wanted?: 'live' | 'github', json = false) =>
    reporterName({ json, stream, env, wanted })
  expect(name(tty, {})).toBe('live')
  expect(name(tty, { CI: 'true' })).toBe('plain')
  expect(name(tty, { TERM: 'dumb' })).toBe('plain')
  expect(name(pipe, {})).toBe('plain')
  expect(name(pipe, { GITHUB_ACTIONS: 'true', CI: 'true' })).toBe('github')
  expect(name(pipe, { GITHUB_ACTIONS: 'true' }, 'live')).toBe('live')
  expect(name(tty, {}, 'github')).toBe('github')
  expect(name(tty, {}, 'github', true)).toBe('json')
})
