/** Commands built from meanings have the fields that the vendor's compiler gave them in its int8 YOLOv5s. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  binary,
  cast,
  conv,
  depthwise,
  inLane,
  laneBroadcast,
  laneCopy,
  lookup,
  maxPool,
  type Place,
  requant,
  scaled,
} from '../../src/bm1684x/codegen/commands.js'
import type { Instruction, Prec } from '../../src/bm1684x/isa/forms.js'
import { shared } from '../shared.js'

const at = (address: number, prec: Prec = 'int8', signed = true): Place => ({ address, prec, signed })
const window = (kernel: [number, number], strides: [number, number], pads: [number, number, number, number]) =>
  ({ kernel, strides, dilations: [1, 1], pads }) as const

const built: Record<string, Instruction> = {
  'conv.normal': conv(
    [1, 32, 64, 320],
    at(131072, 'int32'),
    { ...at(212992, 'int8', false), shape: [1, 18, 64, 640] },
    { address: 90944, signed: true },
    undefined,
    window([1, 6], [1, 2], [0, 2, 0, 2]),
  ),
  'arith.adds': binary(
    'adds',
    [1, 32, 64, 320],
    at(131072, 'int32'),
    { ...at(90892, 'int32'), strides: { n: 0, c: 1, h: 0, w: 0 } },
    at(131072, 'int32'),
  ),
  'quant.rq1': requant([1, 32, 64, 320], at(98304), at(131072, 'int32'), { table: 90880 }),
  'arith.muls': scaled([1, 32, 160, 160], at(81920, 'int16'), at(0), { constant: 67, prec: 'int8', signed: false }, 8),
  'arith.cast': cast([1, 6, 1, 1], at(253952), at(253952, 'int32'), 'halfEven'),
  'pord.maxpooling': maxPool(
    [1, 256, 20, 20],
    at(65536),
    { ...at(40704), shape: [1, 256, 20, 20] },
    -128,
    window([5, 5], [1, 1], [2, 2, 2, 2]),
  ),
  'pord.depthwise': depthwise(
    [1, 18, 64, 640],
    at(212992),
    { ...at(0, 'int8', false), shape: [1, 18, 130, 640] },
    { address: 254080, signed: false },
    undefined,
    window([6, 1], [2, 1], [2, 0, 0, 0]),
  ),
  'tsbc.l_copy': laneCopy([1, 6, 1, 6], 'int8', inLane(6, 254080), 254080),
  'tsbc.l_bc': laneBroadcast([1, 64, 1, 256], 'int8', 91328, 91328),
  'sg.pe_s_gather_d1coor': lookup([1, 32, 1, 20480], 131072, 91328, 98304, true),
}

interface Example {
  readonly operation: string
  readonly nonzero_fields: Readonly<Record<string, number>>
}

const file = shared('bm1684x', 'isa.json')

/** What the place in the stream decides, and what the form implies. */
const elsewhere = new Set(['cmd_short', 'cmd_id', 'cmd_id_dep', 'cmd_id_en', 'tsk_typ'])

const meant = (fields: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(fields).filter(([name, value]) => value !== 0 && !elsewhere.has(name)))

describe.skipIf(file === undefined)('official commands', () => {
  const { instructions } = JSON.parse(file === undefined ? '{}' : readFileSync(file, 'utf8')) as {
    instructions: { examples?: Example[] }[]
  }
  const examples = new Map(
    (instructions ?? []).flatMap(({ examples = [] }) => examples.map((one) => [one.operation, one])),
  )
  for (const [operation, { fields }] of Object.entries(built))
    test(operation, () => {
      const example = examples.get(operation)
      expect(example, 'an example of it').toBeDefined()
      expect(meant(fields)).toEqual(meant(example!.nonzero_fields))
    })
})
