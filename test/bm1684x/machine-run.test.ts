/** Whole programs: the vendor's own networks, and small ones that are wrong on purpose. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { programOf, readBmodel } from '../../src/bm1684x/bmodel/read.js'
import { globalBase, localBase } from '../../src/bm1684x/chip.js'
import { dmaType, eu, type Instruction, prec } from '../../src/bm1684x/isa/forms.js'
import { runBothOrders } from '../../src/bm1684x/machine/both.js'
import { runProgram } from '../../src/bm1684x/machine/run.js'
import type { Program } from '../../src/bm1684x/program.js'
import { readNpz } from '../../src/ir/npz.js'
import { shared } from '../shared.js'

const golden = shared('golden')
const path = (net: string, file: string) => shared('golden', net, file)!

describe('the vendor’s files give what the C-model made of them, bit for bit', () => {
  for (const net of ['small', 'street_tiny'])
    for (const kind of ['int8', 'mixed'])
      it.skipIf(golden === undefined)(`${net}, ${kind}`, () => {
        const file = path(net, `${net}_${kind}.bmodel`)
        const program = programOf(readBmodel(readFileSync(file), file).nets[0]!)
        const input = [...readNpz(readFileSync(path(net, 'input_f32.npz')), 'input').values()][0]!
        const expected = readNpz(readFileSync(path(net, 'network_outputs.npz')), 'outputs')
        const outputs = runBothOrders(program, new Map([[program.inputs[0]!.name, input.data as Float32Array]]))
        expect(outputs.size).toBeGreaterThan(0)
        for (const [name, values] of outputs) {
          expect([...values].some((value) => value !== 0)).toBe(true)
          expect(values).toEqual(expected.get(`cmodel_${kind}/${name}`)!.data)
        }
      })
})

const global = (offset: number) => ({ l32: (globalBase + offset) % 2 ** 32, h8: 1 })
const local = (offset: number) => ({ l32: localBase + offset, h8: 0 })

/** 16 floats from one place to another. */
function move(
  id: number,
  dep: number,
  from: { l32: number; h8: number },
  to: { l32: number; h8: number },
): Instruction {
  const fields = {
    ...{ cmd_id: id, cmd_id_dep: dep, cmd_id_en: 1, cmd_type: dmaType.tensor, stride_enable: 1, nchw_copy: 1 },
    ...{ src_data_format: prec.fp32, src_nsize: 1, src_csize: 1, src_hsize: 1, src_wsize: 16 },
    ...{ src_nstride: 16, src_cstride: 16, src_hstride: 16, src_wstride: 1 },
    ...{ dst_nstride: 16, dst_cstride: 16, dst_hstride: 16, dst_wstride: 1 },
    ...{ src_start_addr_l32: from.l32, src_start_addr_h8: from.h8 },
    ...{ dst_start_addr_l32: to.l32, dst_start_addr_h8: to.h8 },
    ...{ localmem_mask_l32: 0xffffffff, localmem_mask_h32: 0xffffffff },
  }
  return { form: 'dma', fields }
}

/** result = a + b, 16 floats in lane 0. */
function sum(id: number, dep: number, a: number, b: number, result: number): Instruction {
  const fields = {
    ...{ cmd_id: id, cmd_id_dep: dep, cmd_id_en: 1, tsk_eu_typ: eu.ar.add, tsk_opd_num: 2 },
    ...{ res0_prec: prec.fp32, opd0_prec: prec.fp32, opd1_prec: prec.fp32 },
    ...{ res0_n: 1, res0_c: 1, res0_h: 1, res0_w: 16, opd0_addr: a, opd1_addr: b, res0_addr: result },
  }
  return { form: 'ar', fields }
}

/** y = x + x by way of local memory, with the waits that are given. */
function doubling({ load = 1, store = 1, second = 0 } = {}): Program {
  const tensor = (name: string, offset: number) =>
    ({ name, type: 'f32', shape: [16], address: globalBase + offset, scale: 1 }) as const
  return {
    name: 'doubling',
    tiu: [sum(1, load, 0, second, 256), { form: 'sys', fields: { cmd_id: 2, tsk_eu_typ: eu.sys.end } }],
    dma: [
      move(1, 0, global(0), local(0)),
      move(2, store, local(256), global(4096)),
      { form: 'dmaSys', fields: { cmd_id: 3, cmd_id_en: 1 } },
    ],
    coefficients: new Uint8Array(0),
    neuronBytes: 8192,
    inputs: [tensor('x', 0)],
    outputs: [tensor('y', 4096)],
    spans: [{ layer: 'twice', tiu: [0, 1], dma: [0, 2] }],
  }
}

const x = new Float32Array(16).map((_, i) => i + 0.5)
const inputs = new Map([['x', x]])

describe('a program that doubles', () => {
  it('doubles, in both orders', () => {
    expect(runBothOrders(doubling(), inputs).get('y')).toEqual(x.map((value) => 2 * value))
  })

  it('names the commands that nothing orders', () => {
    expect(runProgram(doubling({ store: 0 }), inputs).get('y')).toEqual(new Float32Array(16))
    expect(() => runBothOrders(doubling({ store: 0 }), inputs)).toThrow(
      /y\[0\] is 0 or 1: nothing orders dma command 2 \(dma of twice\) and tiu command 1 \(ar of twice\)/,
    )
  })

  it('sees that memory was read which nothing wrote', () => {
    expect(() => runBothOrders(doubling({ second: 4096 }), inputs)).toThrow(/y\[0\] is .*memory that nothing wrote/)
  })

  it('does not wait for ever', () => {
    expect(() => runProgram(doubling({ load: 2 }), inputs)).toThrow(
      'deadlock: tiu command 1 waits for dma command 2, dma command 2 waits for tiu command 1',
    )
  })

  it('refuses what the chip would not take, and says which command it was', () => {
    expect(() => runProgram(doubling({ second: 12 }), inputs)).toThrow(/^tiu command 1 \(ar of twice\): .*64/)
    const lost = { ...doubling(), dma: [move(1, 0, global(8192 - 4), local(0)), ...doubling().dma.slice(1)] }
    expect(() => runProgram(lost, inputs)).toThrow(/^dma command 1 \(dma of twice\): .*leaves its memory/)
  })

  it('refuses inputs that are missing or do not fit', () => {
    expect(() => runProgram(doubling(), new Map())).toThrow('doubling was run without a value for x')
    expect(() => runProgram(doubling(), new Map([['x', new Float32Array(15)]]))).toThrow('x is 16 elements of f32')
    expect(() => runProgram(doubling(), new Map([['x', new Uint8Array(16)]]))).toThrow('x is 16 elements of f32')
  })
})
