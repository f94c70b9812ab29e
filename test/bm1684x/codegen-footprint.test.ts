/** What the planner believes that a command reads and writes, against what the machine does. */
import { expect, test } from 'vitest'
import { globalBase, laneBytes, lanes } from '../../src/bm1684x/chip.js'
import { startEmitter } from '../../src/bm1684x/codegen/emit.js'
import { footprint, type Range } from '../../src/bm1684x/codegen/footprint.js'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import { copy } from '../../src/bm1684x/codegen/transfer.js'
import type { Instruction } from '../../src/bm1684x/isa/forms.js'
import { createMemory, type Memory } from '../../src/bm1684x/machine/memory.js'
import { execute } from '../../src/bm1684x/machine/run.js'
import { net, quantized } from './net.js'

/** Commands of every kind that a net of many ops leads to. */
function commands(): { kinds: Map<string, Instruction>; globalBytes: number } {
  const n = net([2, 3, 12, 10])
  const a = n.leaky(n.conv('x', 70))
  const b = n.conv(a, 70, { group: 70 })
  const c = n.add(
    { type: 'Add', relu: false, reluLimit: -1 },
    [a, n.add({ type: 'SiLU' }, [b], n.shapeOf(b))],
    n.shapeOf(b),
  )
  const d = n.add({ type: 'Upsample', scaleH: 2, scaleW: 2 }, [n.pool(c, 2, 2)], n.shapeOf(c))
  const e = n.add({ type: 'Concat', axis: 1, relu: false, reluLimit: -1 }, [d, a], [2, 140, 12, 10])
  const f = n.add({ type: 'Permute', order: [0, 2, 3, 1] }, [n.conv(e, 8)], [2, 12, 10, 8])
  const graph = n.graph([f])
  const kinds = new Map<string, Instruction>()
  let globalBytes = 0
  for (const precision of ['INT8', 'F32', 'F16'] as const) {
    const program = generate(quantized(graph, () => precision))
    globalBytes = Math.max(globalBytes, program.coefficients.length + program.neuronBytes)
    for (const command of [...program.tiu, ...program.dma]) {
      const { form, fields } = command
      const of = fields as Readonly<Record<string, number>>
      const kind = [
        form,
        of.tsk_eu_typ,
        of.cmd_type,
        of.opd0_prec ?? of.src_data_format,
        of.res0_str,
        of.opd0_str,
        of.opd1_const,
      ]
      if (!kinds.has(kind.join())) kinds.set(kind.join(), command)
    }
  }
  return { kinds, globalBytes }
}

/** Memory full of bytes that are small numbers in every type, so that floats stay finite; `flip` changes each of them a little. */
function pattern(globalBytes: number, flip: 0 | 1): Memory {
  const memory = createMemory(globalBytes, 0)
  for (let i = 0; i < memory.local.u8.length; i++) memory.local.u8[i] = ((i * 7) % 61) ^ flip
  for (let i = 0; i < memory.global.u8.length; i++) memory.global.u8[i] = ((i * 11) % 61) ^ flip
  return memory
}

/** Copies the ranges of every lane and of global memory, or, without ranges, everything. */
function restore(from: Memory, into: Memory, ranges?: readonly Range[]): void {
  if (ranges === undefined) {
    into.local.u8.set(from.local.u8)
    into.global.u8.set(from.global.u8)
  }
  for (const [start, end] of ranges ?? []) {
    if (start >= globalBase) {
      into.global.u8.set(from.global.u8.subarray(start - globalBase, end - globalBase), start - globalBase)
      continue
    }
    for (let lane = 0; lane < lanes; lane++) {
      const at = lane * laneBytes
      into.local.u8.set(from.local.u8.subarray(at + start, at + end), at + start)
    }
  }
}

const same = (a: Memory, b: Memory): boolean =>
  Buffer.compare(a.local.u8, b.local.u8) === 0 && Buffer.compare(a.global.u8, b.global.u8) === 0

test('a command changes nothing but what it is said to write, and reads nothing but what it is said to read', () => {
  const { kinds, globalBytes } = commands()
  expect(kinds.size).toBeGreaterThan(25)
  const [plain, flipped] = [pattern(globalBytes, 0), pattern(globalBytes, 1)]
  const [first, second, mixed] = [plain, plain, plain].map(() => createMemory(globalBytes, 0))
  for (const [kind, command] of kinds) {
    const { reads, writes } = footprint(command)
    restore(plain, first!)
    execute(first!, command)
    restore(first!, mixed!)
    restore(plain, mixed!, writes)
    expect(same(mixed!, plain), `${kind} writes where it said`).toBe(true)
    // Again, where all bytes are different that it said not to read.
    restore(flipped, second!)
    restore(plain, second!, [...reads, ...writes])
    execute(second!, command)
    restore(second!, mixed!)
    restore(first!, mixed!, writes)
    expect(same(mixed!, second!), `${kind} reads what it said`).toBe(true)
  }
})

test('a command waits for the latest of the other engine that it must not overtake, and for no other', () => {
  const emitter = startEmitter()
  const strides = [64, 64, 64, 1] as const
  const local = (offset: number) => ({ address: 0x0800_0000 + offset, strides })
  const load = (from: number, offset: number): Instruction =>
    copy([1, 1, 1, 64], 'int8', { address: globalBase + from, strides }, local(offset))
  const max = (to: number, from: number): Instruction => ({
    form: 'ar',
    fields: {
      tsk_eu_typ: 4,
      res0_n: 1,
      res0_c: 1,
      res0_h: 1,
      res0_w: 64,
      res0_addr: to,
      opd0_addr: from,
      opd1_const: 1,
    },
  })
  emitter.emit(load(0, 0)) // dma 1 writes 0..64
  emitter.emit(load(64, 128)) // dma 2 writes 128..192
  emitter.emit(max(256, 0)) // tiu 1 reads what dma 1 wrote
  emitter.emit(load(128, 0)) // dma 3 overwrites what tiu 1 read
  emitter.emit(load(192, 512)) // dma 4 has nothing to do with it, but waits no less than dma 3
  emitter.emit(max(128, 320)) // tiu 2 overwrites what dma 2 wrote
  emitter.emit(copy([1, 1, 1, 64], 'int8', local(128), { address: globalBase, strides })) // dma 5 stores it
  const { tiu, dma } = emitter.finish()
  const waits = (stream: readonly Instruction[]) => stream.map(({ fields }) => fields.cmd_id_dep ?? 0)
  expect(waits(tiu)).toEqual([1, 2, 0])
  expect(waits(dma)).toEqual([0, 0, 1, 1, 2, 0])
})
