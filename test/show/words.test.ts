import { describe, expect, test } from 'vitest'
import type { Reason } from '../../src/engine/reason.js'
import { QuantError } from '../../src/errors.js'
import { formatError } from '../../src/show/error.js'
import { reasonsText, reasonText } from '../../src/show/reason.js'
import { table } from '../../src/show/table.js'
import { byteSize, duration } from '../../src/show/words.js'

const was = '3f2a9c0e51b2'.padEnd(64, '0')
const now = '77ab01fe90aa'.padEnd(64, '1')

test.each<[Reason, string]>([
  [{ why: 'never-built' }, 'never built'],
  [{ why: 'input-changed', path: 'model.onnx', was, now }, 'model.onnx changed (3f2a9c... -> 77ab01...)'],
  [{ why: 'input-changed', path: 'calibration/cal_101.jpg', was: undefined, now }, 'calibration/cal_101.jpg is new'],
  [{ why: 'input-changed', path: 'calibration/cal_101.jpg', was, now: undefined }, 'calibration/cal_101.jpg is gone'],
  [{ why: 'input-dropped', path: 'calibration/cal_101.jpg' }, 'calibration/cal_101.jpg is not read any more'],
  [{ why: 'param-changed', at: 'verify.detector.score', was: 0.5, now: 0.4 }, 'verify.detector.score 0.5 -> 0.4'],
  [{ why: 'param-changed', at: 'calibration.method', was: 'kl', now: 'max' }, 'calibration.method kl -> max'],
  [{ why: 'param-changed', at: 'model.outputs', was: undefined, now: ['a', 'b'] }, 'model.outputs unset -> ["a","b"]'],
  [{ why: 'param-changed', at: 'model.name', was: '', now: 'a b' }, 'model.name "" -> "a b"'],
  [{ why: 'tool-changed', was, now }, 'the program changed (3f2a9c... -> 77ab01...)'],
  [{ why: 'tool-changed', was: '0.1.0', now: '0.2.0' }, 'the program changed (0.1.0 -> 0.2.0)'],
  [{ why: 'output-missing', path: 'build/m.bmodel' }, 'build/m.bmodel is missing'],
  [{ why: 'output-edited', path: 'build/m.bmodel' }, 'build/m.bmodel was edited'],
  [
    { why: 'upstream-changed', stage: 'calibrate', output: 'm_cali_table', was, now },
    'm_cali_table of calibrate changed (3f2a9c... -> 77ab01...)',
  ],
  [{ why: 'upstream-stale', stage: 'calibrate' }, 'calibrate runs first'],
])('%j', (reason, text) => {
  expect(reasonText(reason)).toBe(text)
})

test('of many reasons the first are told, the others counted', () => {
  const many = Array.from({ length: 7 }, (_, i): Reason => ({ why: 'output-missing', path: `${i}` }))
  expect(reasonsText(many)).toBe('0 is missing; 1 is missing; 2 is missing; and 4 more')
  expect(reasonsText(many.slice(0, 3))).toBe('0 is missing; 1 is missing; 2 is missing')
})

test.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [999.7, '1.0 s'],
  [59_949, '59.9 s'],
  [59_950, '1 min 00 s'],
  [125_000, '2 min 05 s'],
  [3_599_600, '1 h 00 min'],
  [7_500_000, '2 h 05 min'],
])('%d ms', (ms, text) => expect(duration(ms)).toBe(text))

test.each([
  [999, '999 B'],
  [1000, '1.0 kB'],
  [999_949, '999.9 kB'],
  [999_950, '1.0 MB'],
  [35_511_756, '35.5 MB'],
  [2e15, '2000.0 TB'],
])('%d bytes', (bytes, text) => expect(byteSize(bytes)).toBe(text))

test('a table is aligned and has no trailing blanks', () => {
  const rows = [['variant', 'map50', 'size'], ['onnx', '0.8193'], ['int8', '0.81', '35.5 MB'], []]
  expect(table(rows, { align: 'lrr' })).toBe(
    ['variant   map50     size', 'onnx     0.8193', 'int8       0.81  35.5 MB', ''].join('\n'),
  )
  expect(table([])).toBe('')
})

describe('errors', () => {
  test('without a place', () => {
    expect(formatError(new QuantError('disk', 'the disk is full', { hint: 'quant gc\nfrees some' }))).toBe(
      'error: the disk is full\n  quant gc\n  frees some',
    )
  })

  test('in a file that has no lines', () => {
    const named = new QuantError('input', 'cut.bmodel: the file is cut off', { place: { file: 'cut.bmodel' } })
    expect(formatError(named)).toBe('cut.bmodel: the file is cut off')
    expect(formatError(new QuantError('model', 'not an ONNX file', { place: { file: 'm.onnx' } }))).toBe(
      'm.onnx: not an ONNX file',
    )
  })

  test('far out in a long line: a window around the place', () => {
    const text = `${'x'.repeat(300)}WRONG${'y'.repeat(300)}`
    const place = { file: 'f', line: 1, column: 301, length: 5, text }
    const [, source, squiggle] = formatError(new QuantError('config', 'm', { place })).split('\n')
    expect(source).toHaveLength('  1 | '.length + 100)
    const at = source!.indexOf('WRONG')
    expect(squiggle).toBe(`    | ${' '.repeat(at - 6)}~~~~~`)
  })

  test('control characters of a file do not reach the terminal', () => {
    const place = { file: 'f\u001b[2J', line: 1, column: 2, text: '\tb\u001b]0;x\u0007\u009b' }
    const text = formatError(new QuantError('config', 'm\u0000', { place, hint: '\u001b[31m' }))
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must be absent
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
    expect(text).toContain('  1 |  b ]0;x  \n    |  ~')
  })

  test('one of ours is told apart', () => {
    expect(formatError(new TypeError('x is not a function'))).toBe(
      'error: TypeError: x is not a function\n  this is a mistake in quant itself; --trace shows where',
    )
  })

  test('colour only when asked, and the same text below it', () => {
    const place = { file: 'f', line: 3, column: 1, length: 2, text: 'ab' }
    const error = new QuantError('config', 'm', { place, more: [new QuantError('config', 'n')] })
    const plain = formatError(error)
    const coloured = formatError(error, { color: true })
    expect(plain).not.toContain('\u001b')
    expect(coloured).toContain('\u001b[31m~~\u001b[39m')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes themselves
    expect(coloured.replace(/\u001b\[\d+m/g, '')).toBe(plain)
  })
})
