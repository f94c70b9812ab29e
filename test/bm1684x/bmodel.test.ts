import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Builder } from 'flatbuffers'
import { afterAll, describe, expect, it } from 'vitest'
import { CmdGroup, Model, Net, NetParameter, Shape, SubNet, Tensor } from '../../src/bm1684x/bmodel/format.js'
import { programOf, readBmodel } from '../../src/bm1684x/bmodel/read.js'
import { writeBmodel } from '../../src/bm1684x/bmodel/write.js'
import { globalBase, localBase } from '../../src/bm1684x/chip.js'
import { checkInstruction } from '../../src/bm1684x/isa/check.js'
import { encodeStream } from '../../src/bm1684x/isa/encode.js'
import { eu, type Instruction } from '../../src/bm1684x/isa/forms.js'
import { alignedStrides, globalStrides, type Shape4, type Strides } from '../../src/bm1684x/layout.js'
import type { Program } from '../../src/bm1684x/program.js'
import { QuantError } from '../../src/errors.js'
import { readNpz, writeNpz } from '../../src/ir/npz.js'
import { shared } from '../shared.js'
import { random } from './random.js'

const folder = mkdtempSync(join(tmpdir(), 'quant-bmodel-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** [1,70,5,9] int8, more channels than lanes: output = clamp(input + coefficient). */
const shape: Shape4 = [1, 70, 5, 9]
const elements = 70 * 5 * 9
const next = random(11)
const anyByte = (): number => Math.floor(next() * 256) - 128
const addends = Int8Array.from({ length: elements }, anyByte)

const program: Program = (() => {
  const [a, b, sum] = [0, 0x4000, 0x8000]
  const coefficients = new Uint8Array(4096)
  coefficients.set(new Uint8Array(addends.buffer))
  const [input, output] = [globalBase + 4096, globalBase + 8192]
  const move = (
    id: number,
    dep: number,
    from: readonly [number, Strides],
    to: readonly [number, Strides],
  ): Instruction => {
    const side = (name: string, [address, strides]: readonly [number, Strides]) => ({
      [`${name}_start_addr_h8`]: Math.floor(address / 2 ** 32),
      [`${name}_start_addr_l32`]: address % 2 ** 32,
      ...Object.fromEntries(Object.entries(strides).map(([axis, stride]) => [`${name}_${axis}stride`, stride])),
    })
    return {
      form: 'dma',
      fields: {
        ...{ cmd_id: id, cmd_id_dep: dep, cmd_id_en: 1, stride_enable: 1, nchw_copy: 1 },
        ...{ src_nsize: shape[0], src_csize: shape[1], src_hsize: shape[2], src_wsize: shape[3] },
        ...{ ...side('src', from), ...side('dst', to), localmem_mask_l32: 2 ** 32 - 1, localmem_mask_h32: 2 ** 32 - 1 },
      },
    }
  }
  const plain = globalStrides(shape)
  const aligned = alignedStrides(shape, 'int8')
  return {
    name: 'sum',
    tiu: [
      {
        form: 'ar',
        fields: {
          ...{
            cmd_id: 1,
            cmd_id_dep: 2,
            cmd_id_en: 1,
            tsk_eu_typ: eu.ar.adds,
            tsk_opd_num: 2,
            opd0_sign: 1,
            opd1_sign: 1,
          },
          ...{ res0_n: shape[0], res0_c: shape[1], res0_h: shape[2], res0_w: shape[3] },
          ...{ res0_addr: sum, opd0_addr: a, opd1_addr: b },
        },
      },
      { form: 'sys', fields: { cmd_id: 2, tsk_eu_typ: eu.sys.end } },
    ],
    dma: [
      move(1, 0, [globalBase, plain], [localBase + b, aligned]),
      move(2, 0, [input, plain], [localBase + a, aligned]),
      move(3, 1, [localBase + sum, aligned], [output, plain]),
      { form: 'dmaSys', fields: { cmd_id: 4, cmd_id_en: 1 } },
    ],
    coefficients,
    neuronBytes: 8192,
    inputs: [{ name: 'input', type: 'i8', shape, address: input, scale: 0.5 }],
    outputs: [{ name: 'output', type: 'i8', shape, address: output, scale: 0.25 }],
    spans: [{ layer: 'add', tiu: [0, 1], dma: [0, 3] }],
  }
})()
const file = writeBmodel(program)

describe('a written file', () => {
  it('is read as what was written, but for the spans', () => {
    expect([...program.tiu, ...program.dma].flatMap(checkInstruction)).toEqual([])
    const { chip, nets } = readBmodel(file, 'sum.bmodel')
    expect([chip, nets.length]).toEqual(['BM1684X', 1])
    const net = nets[0]!
    expect(net).toMatchObject({
      name: 'sum',
      ctxAddress: globalBase + 4096,
      ctxBytes: 8192,
      counts: { tiu: 2, dma: 4 },
    })
    expect(net.inputs).toEqual(program.inputs)
    expect(net.outputs).toEqual(program.outputs)
    expect(net.coefficients).toEqual(program.coefficients)
    expect(net.tiu).toEqual(encodeStream(program.tiu))
    expect(net.dma).toEqual(encodeStream(program.dma))
    const again = programOf(net)
    expect(again.spans).toEqual([])
    expect(writeBmodel(again)).toEqual(file)
  })

  it('is the same every time, and lies on whole pages', () => {
    expect(writeBmodel(program)).toEqual(file)
    expect(file.length % 4096).toBe(0)
    const header = new DataView(file.buffer)
    expect([header.getUint32(0, true), header.getUint32(4, true)]).toEqual([0xff55aaee, 64])
    expect((64 + header.getUint32(8, true)) % 4096).toBe(0)
    expect(64 + header.getUint32(8, true) + Number(header.getBigUint64(12, true))).toBe(file.length)
  })

  it('takes every type of input and output, and nets without coefficients', () => {
    const [types, size] = [['f32', 'f16', 'bf16', 'i8', 'u8'] as const, 12]
    const tensors = types.map((type, i) => ({
      ...{ name: `a ${type}/é`, type, shape: [size], address: globalBase + i * 4096 },
      scale: type.endsWith('8') ? 2 ** -i : 1,
    }))
    const bare = {
      ...program,
      coefficients: new Uint8Array(),
      inputs: tensors,
      outputs: tensors,
      neuronBytes: 5 * 4096,
    }
    const net = readBmodel(writeBmodel(bare), 'bare.bmodel').nets[0]!
    expect(net.inputs).toEqual(tensors)
    expect(net.outputs).toEqual(tensors)
    expect(net.coefficients).toHaveLength(0)
    expect(programOf(net).tiu).toHaveLength(2)
  })

  it.each<[string, Partial<Program>, string]>([
    ['coefficients that are no whole pages', { coefficients: new Uint8Array(100) }, '100 bytes of coefficients'],
    ['an output behind the memory', { neuronBytes: 4096 }, 'output at 4294975488 outside'],
    [
      'an input between pages',
      { inputs: [{ ...program.inputs[0]!, address: globalBase + 4097 }] },
      'input at 4294971393',
    ],
    ['no outputs', { outputs: [] }, 'no inputs or no outputs'],
    ['a stream without end', { tiu: program.tiu.slice(0, 1) }, 'a stream ends with its end command'],
  ])('is not written for %s', (_, change, message) => {
    expect(() => writeBmodel({ ...program, ...change })).toThrow(message)
  })
})

describe('other readers', () => {
  const python = '/usr/bin/python3'
  const tool = shared('tools', 'cmodel_run.py')
  const usable = tool !== undefined && existsSync(python)
  const path = join(folder, 'sum.bmodel')
  writeFileSync(path, file)
  const run = (...args: string[]): string => execFileSync(python, [tool!, ...args], { encoding: 'utf8' })

  it.skipIf(!usable)('the reference tool finds the tensors, the commands, and nothing to complain of', () => {
    const lines = run(path, '--dump').split('\n')
    expect(lines[0]).toContain('chip BM1684X, version 2.2, net sum, coeff 4096 B @0x100000000, ctx 8192 B @0x100001000')
    expect(lines[1]).toBe('  in  input [1, 70, 5, 9] i1 @0x100001000 scale=2 zp=0') // reals times 2 are stored
    expect(lines[2]).toBe('  out output [1, 70, 5, 9] i1 @0x100002000 scale=0.25 zp=0')
    expect(lines[3]).toBe('lint: clean')
    expect(
      lines
        .slice(4)
        .filter((line) => line !== '')
        .map((line) => line.split(' ')[0]),
    ).toEqual(
      ['DMA', 'DMA', 'TIU', 'DMA', 'DMA', 'TIU'], // the ends last
    )
  })

  const library = process.env.QUANT_CMODEL
  it.skipIf(!usable || !library)("the vendor's C-model computes what the program says", () => {
    const [inputs, outputs] = [join(folder, 'in.npz'), join(folder, 'out.npz')]
    const data = Int8Array.from({ length: elements }, anyByte)
    writeFileSync(inputs, writeNpz([['input', { shape, data }]]))
    run(path, '--lib', library!, '--input', inputs, '--output', outputs, '--raw', '--order', 'both')
    const got = readNpz(readFileSync(outputs), outputs).get('output')!
    expect(got.data).toEqual(data.map((value, i) => Math.max(-128, Math.min(127, value + addends[i]!))))
  })
})

describe("the vendor's files", () => {
  it.skipIf(!shared('golden')).each([
    ['small', 'small_int8', 1, [1, 10]],
    ['small', 'small_mixed', 1, [1, 10]],
    ['street_tiny', 'street_tiny_int8', 2, [1, 8, 8, 30]],
    ['street_tiny', 'street_tiny_mixed', 2, [1, 8, 8, 30]],
  ])('%s/%s: its commands decode and encode to the same bytes', (folder, name, outputs, shape) => {
    const bytes = new Uint8Array(readFileSync(shared('golden', folder, `${name}.bmodel`)!))
    const net = readBmodel(bytes, name).nets[0]!
    expect(net.outputs).toHaveLength(outputs)
    expect(net.outputs[0]!.shape).toEqual(shape)
    const program = programOf(net)
    expect(encodeStream(program.tiu)).toEqual(net.tiu)
    expect(encodeStream(program.dma)).toEqual(net.dma)
    const { coefficients, ...again } = readBmodel(writeBmodel(program), name).nets[0]!
    expect(Buffer.compare(coefficients, net.coefficients)).toBe(0)
    expect({ ...again, coefficients: net.coefficients.subarray(0, 0) }).toEqual({
      ...net,
      coefficients: new Uint8Array(),
    })
  })
})

describe('a damaged file', () => {
  /** What comes of it: a file that is read, or a QuantError. Anything else is a failure of ours. */
  function outcome(bytes: Uint8Array): string | undefined {
    try {
      readBmodel(bytes, 'x.bmodel').nets.map(programOf)
      return undefined
    } catch (error) {
      if (error instanceof QuantError) return error.message
      throw error
    }
  }

  const tablesEnd = 64 + new DataView(file.buffer).getUint32(8, true)
  const edit = (change: (view: DataView) => void): Uint8Array => {
    const bytes = file.slice()
    change(new DataView(bytes.buffer))
    return bytes
  }
  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), '0 bytes are no .bmodel file'],
    ['a text', new TextEncoder().encode('model:\n  name: x\n'.repeat(10)), 'this is no .bmodel file'],
    ['its first half', file.subarray(0, file.length / 2), 'the file is cut off'],
    ['impossible sizes', edit((view) => view.setBigUint64(12, 2n ** 63n, true)), 'the file is cut off'],
    ['a root beyond the end', edit((view) => view.setUint32(64, 0xffff_fff0, true)), 'damaged description'],
    [
      'changed coefficients',
      edit((view) => view.setUint8(file.length - 4096, 1 ^ view.getUint8(file.length - 4096))),
      'checksum',
    ],
    [
      'another chip',
      new Uint8Array(
        Buffer.from(file)
          .toString('latin1')
          .replace('BM1684X', 'BM1688X')
          .split('')
          .map((c) => c.charCodeAt(0)),
      ),
      'made for "BM1688X"',
    ],
  ])('with %s is told so', (_, bytes, message) => {
    expect(outcome(bytes)).toContain(message)
  })

  it('whose nets all stand in one place, each with inputs that do, is not unfolded', () => {
    const b = new Builder()
    const table = (fields: number, fill: () => void): number => {
      b.startObject(fields)
      fill()
      return b.endObject()
    }
    /** The same table many times. */
    const tables = (at: number, count: number): number => {
      b.startVector(4, count, 4)
      for (let i = 0; i < count; i++) b.addOffset(at)
      return b.endVector()
    }
    const [text, chip] = [b.createString('x'), b.createString('BM1684X')]
    b.startVector(8, 1, 8)
    b.addInt64(1n)
    const dim = b.endVector()
    const shape = tables(
      table(Shape.fields, () => b.addFieldOffset(Shape.dim, dim, 0)),
      1,
    )
    const tensor = table(Tensor.fields, () => {
      b.addFieldOffset(Tensor.name, text, 0)
      b.addFieldInt64(Tensor.address, BigInt(globalBase), 0n)
      b.addFieldInt64(Tensor.size, 4n, 0n)
      b.addFieldOffset(Tensor.shape, shape, 0)
    })
    const nets = (count: number): Uint8Array => {
      const [inputs, outputs] = [tables(tensor, count), tables(tensor, 1)]
      const group = tables(
        table(CmdGroup.fields, () => {}),
        1,
      )
      const subNet = tables(
        table(SubNet.fields, () => {}),
        1,
      )
      const parameter = table(NetParameter.fields, () => {
        b.addFieldOffset(NetParameter.inputs, inputs, 0)
        b.addFieldOffset(NetParameter.outputs, outputs, 0)
        b.addFieldInt64(NetParameter.ctxAddress, BigInt(globalBase), 0n)
        b.addFieldInt64(NetParameter.ctxBytes, 4096n, 0n)
        b.addFieldOffset(NetParameter.cmdGroup, group, 0)
        b.addFieldOffset(NetParameter.subNet, subNet, 0)
      })
      const parameters = tables(parameter, 1)
      const net = tables(
        table(Net.fields, () => b.addFieldOffset(Net.parameter, parameters, 0)),
        count,
      )
      b.finish(
        table(Model.fields, () => {
          b.addFieldOffset(Model.chip, chip, 0)
          b.addFieldOffset(Model.net, net, 0)
        }),
      )
      const body = b.asUint8Array()
      const bytes = new Uint8Array(64 + body.length)
      bytes.set(file.subarray(0, 64))
      bytes.set(body, 64)
      const header = new DataView(bytes.buffer)
      header.setUint32(8, body.length, true)
      header.setBigUint64(12, 0n, true)
      return bytes
    }
    expect(readBmodel(nets(1), 'x').nets).toHaveLength(1)
    expect(outcome(nets(20_000))).toContain('damaged description')
  })

  it('in ten thousand ways: read, or refused in words', () => {
    const chance = random(5)
    const count = Number(process.env.FUZZ ?? 10_000)
    const seen = new Set<string>()
    let read = 0
    // Where something stands: header and tables, the two streams. Pages of zeros behind them teach nothing.
    const used = [
      [0, 64 + 2200],
      [tablesEnd, tablesEnd + 256],
      [tablesEnd + 4096, tablesEnd + 4096 + 512],
    ] as const
    const bytes = file.slice()
    for (let i = 0; i < count; i++) {
      const undo: [number, number][] = []
      const [from, to] = used[Math.floor(chance() ** 2 * used.length)]!
      for (let n = 1 + Math.floor(chance() * 3); n > 0; n--) {
        const at = from + Math.floor(chance() * (to - from))
        undo.unshift([at, bytes[at]!])
        const kinds = [bytes[at]! ^ (1 << Math.floor(chance() * 8)), 0, 255, Math.floor(chance() * 256)]
        bytes[at] = kinds[Math.floor(chance() * kinds.length)]!
      }
      const cut = chance() < 0.1 ? Math.floor(chance() * bytes.length) : bytes.length
      const message = outcome(bytes.subarray(0, cut))
      if (message === undefined) read++
      else seen.add(message.replace(/\d+/g, '0').slice(0, 60))
      for (const [at, value] of undo) bytes[at] = value
    }
    expect(bytes).toEqual(file)
    expect(read).toBeGreaterThan(count / 100)
    expect(seen.size).toBeGreaterThan(15)
  })
})
