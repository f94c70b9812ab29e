import type { Event } from '../../src/events.js'

/** A build with something of everything. */
export const build: readonly Event[] = [
  {
    type: 'planned',
    stages: ['import', 'calibrate', 'compile:int8', 'search:mix', 'compile:mix', 'verify'].map((name) => ({
      name,
      title: name,
    })),
  },
  { type: 'fresh', stage: 'import', warnings: [{ about: 'Resize__7', message: 'the roi is ignored' }] },
  {
    type: 'started',
    stage: 'calibrate',
    because: [
      { why: 'input-changed', path: 'calibration/cal_101.jpg', was: undefined, now: '3f2a9c00112233' },
      { why: 'param-changed', at: 'calibration.input_num', was: 100, now: 101 },
    ],
  },
  { type: 'progress', stage: 'calibrate', done: 20, of: 101, reused: 20, unit: 'pictures' },
  { type: 'progress', stage: 'calibrate', done: 60, of: 101, reused: 60, unit: 'pictures' },
  { type: 'warned', stage: 'calibrate', warning: { about: 'conv3', message: '3 % of its values are cut' } },
  { type: 'progress', stage: 'calibrate', done: 101, of: 101, reused: 100, unit: 'pictures' },
  { type: 'finished', stage: 'calibrate', ms: 12_345, sameAsBefore: true, note: '37 thresholds' },
  {
    type: 'restored',
    stage: 'compile:int8',
    because: [{ why: 'output-edited', path: 'build/street_int8.bmodel' }],
    bytes: 1_234_567,
    warnings: [],
  },
  { type: 'started', stage: 'search:mix', because: [] },
  {
    type: 'failed',
    stage: 'search:mix',
    error: {
      code: 'input',
      message: 'the picture is cut off',
      place: { file: 'calibration/cal_007.jpg' },
      hint: 'replace it, or take it out of the folder',
      stack: 'QuantError: the picture is cut off\n    at decode',
    },
  },
  { type: 'blocked', stage: 'compile:mix', by: 'search:mix' },
  { type: 'blocked', stage: 'verify', by: 'search:mix' },
  { type: 'done', ran: 1, fresh: 1, restored: 1, failed: 1, blocked: 2, ms: 14_000 },
]
