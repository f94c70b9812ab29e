/** All WebAssembly loops, over a memory that begins with local memory. */
import { dotRoutines } from './dots.js'
import { planeRoutines } from './planes.js'
import { repeated, rowRoutines, workBase } from './rows.js'
import { type LoopMemory, linker } from './wasm.js'

const routines = { ...rowRoutines, ...planeRoutines, ...dotRoutines } as const

/** The name of a loop. */
export type LoopName = keyof typeof routines

export interface Loops {
  readonly memory: LoopMemory
  /** Words of the room for values that stand for whole rows: 16 for each input. */
  readonly room: Uint32Array
  readonly functions: Readonly<Record<LoopName, (...values: number[]) => void>>
}

const link = linker(routines)

/** The loops over a new memory full of zeros. */
export function createLoops(): Loops {
  const { memory, functions } = link(workBase)
  return { memory, functions, room: new Uint32Array(memory.buffer, repeated[0], 32) }
}
