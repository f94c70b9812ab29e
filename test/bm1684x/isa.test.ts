import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { disassemble } from '../../src/bm1684x/isa/asm.js'
import { decode, decodeStream } from '../../src/bm1684x/isa/decode.js'
import { encode, encodeStream } from '../../src/bm1684x/isa/encode.js'
import { type Engine, engineOf, type FormName, forms, type Instruction, taskType } from '../../src/bm1684x/isa/forms.js'
import { QuantError } from '../../src/errors.js'
import { shared } from '../shared.js'
import { random } from './random.js'

const formNames = Object.keys(forms) as FormName[]
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const instruction = (form: FormName, fields: Record<string, number>) => ({ form, fields }) as Instruction

/** Bits of the vendor's YOLOv5s, as its register listing shows them. */
const official = {
  'conv.normal':
    '13008000000088000801442402004000000000000100200040004001120040008002010006000000004003004063010000000000000000000000000000000000',
  'quant.rq1': '1700800000288c002c0000030000200001002000400040010063010000000000',
  'dma.tensor':
    '2608000000000000000000000000000000380000c0010000c001000001000000c0010000c0010000c001000001000000010020000100c0010000000000000000000000000100000000630108000000000000000000000000ffffffffffffffff',
  'sys.end': '5c03000000fe03000000000000000000',
  'dma.sys': '281c0100060000000000000000000000',
}

/** Random values for every field that a command of this form may choose. */
function anyFields(form: FormName, next: () => number): Record<string, number> {
  const implied: Record<string, number> = form.startsWith('dma')
    ? { cmd_short: form === 'dmaSys' ? 1 : 0, cmd_type: form === 'dmaSys' ? 6 : [0, 1, 3, 4][Math.floor(next() * 4)]! }
    : { cmd_short: 1, tsk_typ: taskType[form as keyof typeof taskType], ...(form === 'mm2' ? { tsk_eu_typ: 4 } : {}) }
  const fields = Object.entries(forms[form])
    .filter(([name]) => !name.startsWith('_'))
    .map(([name, width]) => {
      const most = 2 ** (width as number) - 1
      // Now and then the ends of the range, where bits go astray.
      const value = next() < 0.2 ? (next() < 0.5 ? 0 : most) : Math.floor(next() * (most + 1))
      return [name, implied[name] ?? (name === 'tsk_eu_typ' ? value % 16 : value)]
    })
  return Object.fromEntries(fields)
}

/** The same command as one large number: an encoder that shares nothing with ours. */
function asNumber(form: FormName, fields: Record<string, number>): bigint {
  let [number, at] = [0n, 0n]
  for (const [name, width] of Object.entries(forms[form])) {
    number |= BigInt(fields[name] ?? 0) << at
    at += BigInt(width as number)
  }
  return number
}
const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${hex(Uint8Array.from(bytes).reverse())}`)

describe('one command', () => {
  it.each(formNames)('%s: its bytes are its fields, and come back', (form) => {
    const next = random(formNames.indexOf(form) + 1)
    for (let i = 0; i < 100; i++) {
      const fields = anyFields(form, next)
      const bytes = encode(instruction(form, fields))
      expect(toNumber(bytes)).toBe(asNumber(form, fields))
      const { bytes: size, ...back } = decode(bytes, engineOf(form), 0)
      expect(back).toEqual({ form, fields })
      expect(size).toBe(bytes.length)
    }
  })

  it.each(Object.entries(official))('%s of the vendor comes back as the same bytes', (name, text) => {
    const engine = name.startsWith('dma') ? 'dma' : 'tiu'
    expect(hex(encode(decode(fromHex(text), engine, 0)))).toBe(text)
  })

  it('what follows from the form may be left out', () => {
    const {
      cmd_short: _,
      tsk_typ: __,
      ...fields
    } = decode(fromHex(official['quant.rq1']), 'tiu', 0).fields as Record<string, number>
    expect(hex(encode(instruction('rqdq', fields)))).toBe(official['quant.rq1'])
  })

  it.each([
    ['too large', { res0_n: 65536 }, 'ar.res0_n = 65536: the field takes 0 to 65535'],
    ['negative', { opd0_addr: -1 }, 'ar.opd0_addr = -1: the field takes 0 to 4294967295'],
    ['not whole', { res0_h: 1.5 }, 'ar.res0_h = 1.5'],
    ['no number', { res0_h: Number.NaN }, 'ar.res0_h = NaN'],
    ['another task', { tsk_typ: 0 }, 'ar.tsk_typ = 0: the field is 3'],
    ['a reserved field', { _90: 1 }, 'ar._90 = 1: the field is reserved'],
  ])('a value that is %s is our mistake and is told', (_, fields, message) => {
    const failure = (): unknown => encode(instruction('ar', fields as never))
    expect(failure).toThrow(message)
    expect(failure).not.toThrow(QuantError)
  })
})

describe('the examples of the reference', () => {
  const path = shared('bm1684x', 'isa.json')
  it.skipIf(!path)('all encode to their bytes, and decode from them', () => {
    interface Example {
      operation: string
      bytes_hex: string
      nonzero_fields: Record<string, number>
    }
    const reference = JSON.parse(readFileSync(path!, 'utf8')) as {
      instructions: { name: string; engine: Engine; examples?: Example[] }[]
    }
    let count = 0
    for (const { engine, examples = [] } of reference.instructions) {
      for (const { bytes_hex, nonzero_fields } of examples) {
        const found = decode(fromHex(bytes_hex), engine, 0)
        expect(Object.fromEntries(Object.entries(found.fields).filter(([, value]) => value !== 0))).toEqual(
          nonzero_fields,
        )
        expect(hex(encode(instruction(found.form, nonzero_fields)))).toBe(bytes_hex)
        count++
      }
    }
    expect(count).toBe(17)
  })
})

describe('a stream', () => {
  const conv = decode(fromHex(official['conv.normal']), 'tiu', 0)
  const end = decode(fromHex(official['sys.end']), 'tiu', 0)
  const plain = ({ form, fields }: Instruction) => ({ form, fields })

  it('is commands back to back, the end, and zeros to 128 bytes', () => {
    const bytes = encodeStream([conv, conv, end])
    expect(hex(bytes)).toBe((official['conv.normal'].repeat(2) + official['sys.end']).padEnd(512, '0'))
    expect(decodeStream(bytes, 'tiu', 3)).toEqual([conv, conv, end].map(plain))
  })

  it('cannot be written without its end, or with something behind it', () => {
    expect(() => encodeStream([conv])).toThrow('a stream ends with its end command')
    expect(() => encodeStream([conv, end, conv])).toThrow('a stream ends with its end command')
    expect(() => encodeStream([])).toThrow('a stream ends with its end command')
  })

  const good = encodeStream([conv, conv, end])
  const changed = (change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = good.slice()
    change(bytes)
    return bytes
  }
  const dma = fromHex(official['dma.tensor'])
  it.each<[string, Uint8Array, Engine, number, string]>([
    ['fewer commands than said', good, 'tiu', 4, 'command 3 of 4 ends it'],
    ['more commands than said', good, 'tiu', 2, 'command 2 of 2 is no end'],
    ['an end too early', encodeStream([end]), 'tiu', 2, 'command 1 of 2 ends it'],
    ['no commands', good, 'tiu', 0, '0 commands cannot stand'],
    ['an impossible count', good, 'tiu', 4_000_000_000, 'cannot stand in 256 bytes'],
    [
      'something behind the end',
      changed((bytes) => bytes.fill(1, 200, 201)),
      'tiu',
      3,
      'something follows the end command at byte 144',
    ],
    ['a cut', good.subarray(0, 100), 'tiu', 3, 'byte 64: a conv command of 64 bytes is cut off'],
    ['a long form', changed((bytes) => bytes.fill(0x12, 0, 1)), 'tiu', 3, 'byte 0: task 0 in its long form'],
    [
      'an unknown task',
      changed((bytes) => bytes.fill(0x16, 5, 6)),
      'tiu',
      3,
      'byte 0: task 11, unit 0 is not supported',
    ],
    ['a short DMA form', dma.map((byte, i) => (i === 0 ? byte | 8 : byte)), 'dma', 1, 'type 0 in its short form'],
    ['a DMA gather', dma.map((byte, i) => (i === 4 ? 7 : byte)), 'dma', 1, 'type 7 is not supported'],
    ['reserved bits', dma.map((byte, i) => (i === 70 ? 1 : byte)), 'dma', 1, 'reserved bits 552..575 of dma are set'],
  ])('with %s is refused', (_, bytes, engine, count, message) => {
    const failure = (): unknown => decodeStream(bytes, engine, count)
    expect(failure).toThrow(QuantError)
    expect(failure).toThrow(message)
  })
})

describe('as text', () => {
  const part = (name: keyof typeof official, fields: Record<string, number>): Instruction => {
    const found = decode(fromHex(official[name]), name.startsWith('dma') ? 'dma' : 'tiu', 0)
    return instruction(found.form, { ...found.fields, ...fields })
  }

  it('reads like the work that is done, in an order that the engines may take', () => {
    const tiu = [
      part('conv.normal', { cmd_id: 1, cmd_id_dep: 1 }),
      part('quant.rq1', { cmd_id: 2, cmd_id_dep: 1 }),
      part('sys.end', { cmd_id: 3 }),
    ]
    const dma = [part('dma.tensor', { cmd_id: 1 }), part('dma.sys', { cmd_id: 2 })]
    expect(disassemble({ tiu, dma }).split('\n')).toEqual([
      'dma 1 dep 0  dma.tensor.copy  u8[1,32,1,448]@0x16300{448,448,448,1} = u8[1,32,1,448]@global+0x0{14336,448,448,1}',
      'tiu 1 dep 1  conv.normal  i32[1,32,64,320]@0x20000 = u8[1,18,64,640]@0x34000, i8[32,18,1,6]@0x16340  pad 0,0,2,2 stride 1,2 fill #0x0',
      'tiu 2 dep 1  rqdq.rq1  i8[1,32,64,320]@0x18000 = i32[1,32,64,320]@0x20000, records [32]@0x16300  round 5',
      'tiu 3 dep 0  sys.end',
      'dma 2 dep 0  sys.end',
    ])
  })

  it('has a line for whatever the fields hold', () => {
    const next = random(7)
    for (const form of formNames) {
      for (let i = 0; i < 50; i++) {
        const fields = { ...anyFields(form, next), cmd_id: 5, cmd_id_dep: 0 }
        const [one, other] = [[instruction(form, fields)], []]
        const text = disassemble(engineOf(form) === 'tiu' ? { tiu: one, dma: other } : { tiu: other, dma: one })
        expect(text).toMatch(/^(tiu|dma) 5 dep 0 {2}\S+/)
        expect(text).not.toMatch(/undefined|NaN/)
      }
    }
  })

  it('tells when each engine waits for the other', () => {
    const tiu = [part('sys.end', { cmd_id: 1, cmd_id_dep: 1, cmd_id_en: 1 })]
    const dma = [part('dma.sys', { cmd_id: 1, cmd_id_dep: 1 })]
    expect(() => disassemble({ tiu, dma })).toThrow('deadlock')
  })
})
