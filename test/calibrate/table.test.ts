import { describe, expect, it } from 'vitest'
import {
  checkTable,
  fixed7,
  readCalibrationTable,
  tableContent,
  writeCalibrationTable,
} from '../../src/calibrate/table.js'
import type { Threshold } from '../../src/calibrate/threshold.js'
import { QuantError } from '../../src/errors.js'
import type { Graph } from '../../src/ir/graph.js'

const graphOf = (...names: string[]): Graph => ({
  name: 'net',
  nodes: names.map((name) => ({ name, op: { type: 'Relu', limit: -1 }, inputs: [], shape: [1] })),
  weights: new Map(),
  outputs: [],
})

function failure(fn: () => unknown): QuantError {
  try {
    fn()
  } catch (error) {
    if (error instanceof QuantError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('a calibration table', () => {
  const thresholds = new Map([
    ['input_1', { threshold: 0.99690592, min: 0, max: 1.000008 }],
    ['conv/a:0_Conv', { threshold: 55.630390123, min: -124.7, max: 43 }],
  ])

  it('is written in the vendor tool’s format', () => {
    expect(writeCalibrationTable({ thresholds, method: 'kl', samples: 100, tuned: 5 })).toBe(
      `# histogram number: 2048
# sample number: 100
# tune number: 5
###
# op_name    threshold    min    max
input_1 0.9969059 0.0000000 1.0000080
conv/a:0_Conv 55.6303901 -124.7000000 43.0000000
`,
    )
  })

  it('says the method when it is another, and comes back as it was', () => {
    const text = writeCalibrationTable({ thresholds, method: 'mse', samples: 10, tuned: 0, note: 'generated time: x' })
    expect(text.split('\n').slice(0, 5)).toEqual([
      '# generated time: x',
      '# quantization threshold calculation method: mse',
      '# histogram number: 2048',
      '# sample number: 10',
      '###',
    ])
    const table = readCalibrationTable(text, 't')
    expect(table).toMatchObject({ method: 'mse', samples: 10, tuned: 0 })
    expect(writeCalibrationTable(table)).toBe(text)
  })

  it('may have Windows lines, comments, empty lines and blocks of other kinds behind it', () => {
    const text = `# mlir version: V\r\n#comment\r\n\r\na 1.0 -1.0 1.0\r\n# b is next\r\nb 2e-3 0 0.002\r\n\r\n#int4_th\r\na 0.5 -0.57 0.5\r\n#asym_op\r\nb\r\n`
    const { thresholds } = readCalibrationTable(text, 't')
    expect([...thresholds]).toEqual([
      ['a', { threshold: 1, min: -1, max: 1 }],
      ['b', { threshold: 0.002, min: 0, max: 0.002, asymmetric: true }],
    ])
  })

  it('names the layers with zero points in a block at its end, as the vendor’s newer tools do', () => {
    const shifted = new Map<string, Threshold>(thresholds).set('conv/a:0_Conv', {
      ...thresholds.get('conv/a:0_Conv')!,
      biasCorrection: [1],
      asymmetric: true,
    })
    const plain = writeCalibrationTable({ thresholds, method: 'kl', samples: 100, tuned: 5 })
    const text = writeCalibrationTable({ thresholds: shifted, method: 'kl', samples: 100, tuned: 5 })
    expect(text).toBe(`${plain}# bias_correction conv/a:0_Conv 1\n\n#asym_op\nconv/a:0_Conv\n`)
    const known = readCalibrationTable(text, 't').thresholds.get('conv/a:0_Conv')
    expect(known).toMatchObject({ asymmetric: true, biasCorrection: [1] })
    const without = text.replace('\n#asym_op\nconv/a:0_Conv\n', '')
    expect(tableContent(text)).not.toBe(tableContent(without))
    const wrong = failure(() => readCalibrationTable(text.replace('#asym_op\nconv', '#asym_op\nconf'), 'cali'))
    expect(wrong.message).toContain('conf/a:0_Conv')
    expect(wrong.place).toMatchObject({ file: 'cali', line: 11 })
    expect(wrong.hint).toContain('did you mean "conv/a:0_Conv"?')
  })

  it('carries corrected biases behind the layers, as comments to tools that do not know them, to the last bit', () => {
    const biasCorrection = [Math.fround(0.1), 0, -1e-30]
    const corrected = new Map<string, Threshold>(thresholds).set('conv/a:0_Conv', {
      ...thresholds.get('conv/a:0_Conv')!,
      biasCorrection,
    })
    const plain = writeCalibrationTable({ thresholds, method: 'kl', samples: 100, tuned: 5 })
    const text = writeCalibrationTable({ thresholds: corrected, method: 'kl', samples: 100, tuned: 5 })
    expect(text).toBe(`${plain}# bias_correction conv/a:0_Conv 0.10000000149011612 0 -1e-30\n`)
    expect(readCalibrationTable(text, 't').thresholds.get('conv/a:0_Conv')).toMatchObject({ biasCorrection })
    // Two tables that differ in them make other networks; two that differ in the header do not.
    expect(tableContent(text)).not.toBe(tableContent(plain))
    expect(tableContent(plain)).toBe(tableContent(plain.replace('100', '101')))
    const wrong = text.replace(' 0.10000000149011612 0 -1e-30', ' 0.1 x')
    expect(failure(() => readCalibrationTable(wrong, 't')).message).toContain('bias correction')
  })

  it('keeps the sign of -0, which makes a tensor unsigned', () => {
    const { thresholds } = readCalibrationTable('a 1.0000000 -0.0000000 1.0000000\n', 't')
    expect(thresholds.get('a')!.min < 0).toBe(false)
    expect(writeCalibrationTable({ thresholds, method: 'kl', samples: 1, tuned: 0 })).toContain(
      'a 1.0000000 -0.0000000 1.0000000\n',
    )
  })
})

describe('numbers in a table', () => {
  it('are those of printf("%.7f")', () => {
    // Made with printf: ties are decided to even, on the exact value.
    expect([1 / 256, 3 / 256, -5 / 256, 7 / 256, 1e-8, -3e-8, 0.12345675, -0].map(fixed7)).toEqual([
      '0.0039062',
      '0.0117188',
      '-0.0195312',
      '0.0273438',
      '0.0000000',
      '-0.0000000',
      '0.1234568',
      '-0.0000000',
    ])
    expect([123456789 + 1 / 256, 55.6303901, 255].map(fixed7)).toEqual([
      '123456789.0039062',
      '55.6303901',
      '255.0000000',
    ])
  })
})

describe('a wrong table', () => {
  it.each([
    ['a 1 0', 'a line of a calibration table has 4 columns, this one 3', 1],
    ['a_weight 3 1 2 3', 'a line of a calibration table has 4 columns, this one 5', 1],
    ['a  1.0 zero 1', 'min "zero" is not a finite number', 8],
    ['a inf -1 1', 'threshold "inf" is not a finite number', 3],
    ['a . -1 1', 'threshold "." is not a finite number', 3],
    ['a 0.0 -1 1', 'threshold 0.0 is not above 0', 3],
    ['a 1 2 1', 'min 2 is above max 1', 5],
    ['good 1 0 1', 'layer "good" stands twice in the calibration table', 1],
  ])('%s', (line, message, column) => {
    const error = failure(() => readCalibrationTable(`# head\ngood 1 0 1\n${line}\n`, 'my_table'))
    expect(error.message).toBe(message)
    expect(error.code).toBe('input')
    expect(error.place).toMatchObject({ file: 'my_table', line: 3, column, text: line })
    expect(error.hint).toBeTruthy()
  })

  it('without a layer, or no table at all', () => {
    expect(failure(() => readCalibrationTable('# nothing\n', 't')).message).toBe('the calibration table has no layer')
    expect(failure(() => readCalibrationTable('\u0000\u0001PK not text', 't'))).toBeInstanceOf(QuantError)
  })

  it('is one that does not fit the graph', () => {
    const table = readCalibrationTable('input 1 0 1\nc0nv1_Conv 1 0 1\n', 't')
    checkTable(graphOf('input', 'c0nv1_Conv'), table, 't')
    const error = failure(() => checkTable(graphOf('input', 'conv1_Conv', 'conv2_Conv'), table, 't'))
    expect(error.message).toBe('the calibration table names a layer that the model has not: c0nv1_Conv')
    expect(error.hint).toBe('did you mean "conv1_Conv"?')
    expect(error.place).toMatchObject({ file: 't', line: 2, column: 1, length: 10 })
    expect(error.more.map(({ message }) => message)).toEqual([
      'layer "conv1_Conv" is missing in the calibration table',
      'layer "conv2_Conv" is missing in the calibration table',
    ])
  })
})
