/** What executes single commands: our machine, and the vendor's C-model where QUANT_CMODEL names its library. */
import { laneBytes, lanes } from '../../src/bm1684x/chip.js'
import { encode } from '../../src/bm1684x/isa/encode.js'
import { engineOf } from '../../src/bm1684x/isa/forms.js'
import { createMemory } from '../../src/bm1684x/machine/memory.js'
import { execute } from '../../src/bm1684x/machine/run.js'
import type { Chip } from './kernel-rig.js'

export function machineChip(): Chip {
  const memory = createMemory(64, 0)
  return { memory: memory.local.u8, run: (instruction) => execute(memory, instruction) }
}

/** The library is never part of the project. */
const library = process.env.QUANT_CMODEL

export const hasCModel = library !== undefined

let opened: Chip | undefined

/** One for all tests of a file: the library keeps its memory. */
export async function cmodelChip(): Promise<Chip> {
  opened ??= await open(library!)
  return opened
}
async function open(path: string): Promise<Chip> {
  // Optional: nobody needs it but this.
  const { default: koffi } = await import('koffi')
  const lib = koffi.load(path)
  const status = lib.func('int32_t cmodel_init(int32_t, int64_t)')(0, 1 << 20)
  if (status !== 0) throw new Error(`cmodel_init gave ${status}`)
  lib.func('void load_lookup_tables()')()
  const local = lib.func('void *get_local_mem(int32_t)')(0)
  // The first word of the description points to the memory itself.
  const memory = new Uint8Array(koffi.view(koffi.decode(local, 'void *'), lanes * laneBytes))
  const execute = lib.func('int32_t execute_command(int32_t, void *, uint32_t)')
  return {
    memory,
    run(instruction) {
      const bytes = encode(instruction)
      // It reads a whole slot, whatever the command's length.
      const slot = new Uint8Array(256)
      slot.set(bytes)
      execute(0, slot, engineOf(instruction.form) === 'tiu' ? 0 : 1)
    },
  }
}
