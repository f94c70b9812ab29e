/**
 * Every form of command, against the vendor's C-model: what it did to memory full of seeded numbers was recorded once, as a hash of all
 * words that changed and where. With QUANT_CMODEL the record itself is checked against the library.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { laneBytes, lanes } from '../../src/bm1684x/chip.js'
import { decode } from '../../src/bm1684x/isa/decode.js'
import { type Engine, formBits, forms, type Instruction } from '../../src/bm1684x/isa/forms.js'
import { createMemory } from '../../src/bm1684x/machine/memory.js'
import { execute } from '../../src/bm1684x/machine/run.js'
import { cmodelChip, hasCModel } from './chips.js'
import { changes, fill, type Kind } from './machine-rig.js'

interface Group {
  readonly engine: Engine
  readonly kind: Kind
  /** Tables that the commands need: offset in every lane, bytes. */
  readonly puts: readonly (readonly [number, string])[]
  /** Name, command without its trailing zeros, hash. */
  readonly cases: readonly (readonly [string, string, string])[]
}

const groups: readonly Group[] = JSON.parse(readFileSync(new URL('machine-cases.json', import.meta.url), 'utf8'))

/** Base64 without the zeros at the end. */
function instructionOf(text: string, engine: Engine): Instruction {
  const { bytes, ...instruction } = decode(Buffer.from(text.padEnd(128, 'A'), 'base64'), engine, 0)
  expect(bytes * 8).toBe(formBits(instruction.form))
  return instruction
}

const putsOf = ({ puts }: Group) => puts.map(([offset, text]) => [offset, Buffer.from(text, 'base64')] as const)

it('the record has every form and every way of adding', () => {
  const recorded = groups.flatMap(({ engine, cases }) => cases.map(([, text]) => instructionOf(text, engine)))
  const seen = new Set(recorded.map(({ form }) => form))
  expect([...seen].sort()).toEqual(
    Object.keys(forms)
      .filter((form) => !/sys/i.test(form))
      .sort(),
  )
  expect(recorded.length).toBeGreaterThan(180)
})

describe('the machine does what the C-model did', () => {
  const memory = createMemory(4 << 20, 0)
  const before = { local: new Uint8Array(lanes * laneBytes), global: new Uint8Array(4 << 20) }
  for (const group of groups)
    for (const [name, text, hash] of group.cases)
      it(name, () => {
        fill(before.local, group.kind, putsOf(group))
        fill(before.global, group.kind, [])
        memory.local.u8.set(before.local)
        memory.global.u8.set(before.global)
        execute(memory, instructionOf(text, group.engine))
        expect(changes(before.local, memory.local.u8) + changes(before.global, memory.global.u8)).toBe(hash)
      })
})

it.skipIf(!hasCModel)('the library still does what was recorded', async () => {
  const chip = await cmodelChip()
  const before = new Uint8Array(lanes * laneBytes)
  for (const group of groups.filter(({ engine }) => engine === 'tiu'))
    for (const [name, text, hash] of group.cases) {
      fill(before, group.kind, putsOf(group))
      chip.memory.set(before)
      chip.run(instructionOf(text, 'tiu'))
      expect([name, changes(before, chip.memory)]).toEqual([name, hash])
    }
})
