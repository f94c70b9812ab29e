import { describe, expect, it } from 'vitest'
import { QuantError } from '../../src/errors.js'
import type { Graph } from '../../src/ir/graph.js'
import type { SearchHeader } from '../../src/search/header.js'
import { historicalChoice } from '../../src/search/historical.js'
import { rankLosses, readLossTable, writeLossTable } from '../../src/search/losstable.js'
import { checkQtable, readQtable, writeQtable } from '../../src/search/qtable.js'
import { parseRepr, repr } from '../../src/search/repr.js'

const header: SearchHeader = { samples: 10, int8Loss: -17.25, chip: 'bm1684x', mixMode: 'F32' }

function failure(fn: () => unknown): QuantError {
  try {
    fn()
  } catch (error) {
    if (error instanceof QuantError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('doubles as Python prints them', () => {
  // Left: what repr() of Python 3 says.
  it.each([
    ['-26.59388675689697', -26.59388675689697],
    ['5.0', 5],
    ['-0.0', -0],
    ['0.0', 0],
    ['1e-05', 1e-5],
    ['0.0001', 1e-4],
    ['1.5e-07', 1.5e-7],
    ['1e+16', 1e16],
    ['9999999999999998.0', 9999999999999998],
    ['1.7976931348623157e+308', Number.MAX_VALUE],
    ['5e-324', Number.MIN_VALUE],
    ['0.1', 0.1],
    ['inf', Infinity],
    ['-inf', -Infinity],
    ['nan', NaN],
  ])('%s', (text, value) => {
    expect(repr(value)).toBe(text)
    expect(parseRepr(text)).toBe(value)
  })

  it('and nothing else', () => {
    for (const text of ['', '-', '1.', '.5', '0x10', '1e5', 'Infinity', '1,5']) expect(parseRepr(text)).toBeUndefined()
  })
})

describe('the loss table', () => {
  const losses = [
    { layer: 'a_Conv', loss: -17 },
    { layer: 'b_Conv', loss: -18.5 },
    { layer: 'c_Conv', loss: -18.5 },
    { layer: 'd_Conv', loss: NaN },
    { layer: 'e_Conv', loss: -Infinity },
  ]

  it('lists the layer that helps most first, equals in graph order', () => {
    expect(writeLossTable(header, losses)).toBe(
      [
        '# sample number: 10',
        '# all int8 loss: -17.25',
        '# chip: bm1684x  mix_mode: F32',
        '###',
        `No.0   : Layer: ${'e_Conv'.padEnd(50)}\t\tLoss: -inf`,
        `No.1   : Layer: ${'b_Conv'.padEnd(50)}\t\tLoss: -18.5`,
        `No.2   : Layer: ${'c_Conv'.padEnd(50)}\t\tLoss: -18.5`,
        `No.3   : Layer: ${'a_Conv'.padEnd(50)}\t\tLoss: -17.0`,
        `No.4   : Layer: ${'d_Conv'.padEnd(50)}\t\tLoss: nan`,
        '',
      ].join('\n'),
    )
    const names = rankLosses(losses, 'historical').map(({ layer }) => layer[0])
    expect(names.join('')).toBe('dabce')
  })

  it('names the line that is no row', () => {
    const error = failure(() => readLossTable('###\nNo.0   : Layer: a \t\t\tCos: 0.999\n', 'loss.txt'))
    expect(error.place).toMatchObject({ file: 'loss.txt', line: 2, column: 1 })
    expect(error.message).toBe('this is no row of a loss table')
    expect(failure(() => readLossTable('No.0 : Layer: a Loss: minus one', 'x')).place?.line).toBe(1)
  })
})

it('the historical rule keeps what made the loss at least 5 % worse, a quarter of the layers at most', () => {
  const table = (...losses: number[]) => losses.map((loss, i) => ({ layer: `l${i}`, loss }))
  // Worst first: -15 and -18 are at most 95 % of -20, -19.5 is not.
  expect(historicalChoice(table(-21, -18, -15, -19.5, -20, -20, -20, -20), -20)).toEqual(['l2', 'l1'])
  expect(historicalChoice(table(-10, -11, -12, -20), -20)).toEqual(['l0'])
  expect(historicalChoice(table(-21, -20, -22, -23), -20)).toEqual([])
  // Its tool gave up where no row was above: so do we.
  expect(historicalChoice(table(-1, -1, -1, -1), -20)).toEqual([])
})

describe('the quantize table', () => {
  it('is written in the vendor’s format', () => {
    expect(writeQtable(header, new Map([['a_Conv', 'F32']]))).toBe(
      '# sample number: 10\n# all int8 loss: -17.25\n# chip: bm1684x  mix_mode: F32\n###\n# op_name   quantize_mode\na_Conv F32\n',
    )
  })

  it('takes any white space and case, Windows lines, and the later of two lines', () => {
    const { modes } = readQtable('# c\r\n\r\n a:0\t f16 \r\nb BF16\r\na:0 INT8\r\n', 'q')
    expect([...modes]).toEqual([
      ['a:0', 'INT8'],
      ['b', 'BF16'],
    ])
    expect(readQtable('', 'q').modes.size).toBe(0)
  })

  it.each([
    ['lonely', 'layer "lonely" has no mode', 1, 6],
    ['conv F33', 'unknown quantize mode "F33"', 6, 3],
    ['conv F32 64', 'unexpected "64" behind the mode', 10, 2],
  ])('refuses %j', (line, message, column, length) => {
    const error = failure(() => readQtable(`# head\n${line}\n`, 'q'))
    expect(error.message).toBe(message)
    expect(error.place).toEqual({ file: 'q', line: 2, column, length, text: line })
    expect(error.hint).toBeTruthy()
  })

  it('must name layers of the graph', () => {
    const node = (name: string) => ({ name, op: { type: 'Sigmoid' as const }, inputs: [], shape: [1] })
    const graph: Graph = { name: 'n', nodes: [node('conv_1'), node('pool_1')], weights: new Map(), outputs: [] }
    checkQtable(graph, readQtable('conv_1 F32', 'q'), 'q')
    const error = failure(() => checkQtable(graph, readQtable('conv_1 F32\npol_1 F32\nxyz F16\n', 'q'), 'q'))
    expect(error.message).toBe('the quantize table names a layer that the model has not: pol_1')
    expect(error.hint).toBe('did you mean "pool_1"?')
    expect(error.place).toMatchObject({ line: 2, column: 1 })
    expect(error.more.map(({ message }) => message)).toEqual([
      'the quantize table names a layer that the model has not: xyz',
    ])
  })
})
