/** The machine: runs a program's commands on modelled memory, with the chip's arithmetic. */
import { QuantError, unreachable } from '../../errors.js'
import { globalBase } from '../chip.js'
import { checkInstruction } from '../isa/check.js'
import type { Engine, Instruction } from '../isa/forms.js'
import { type IoData, type Program, type ProgramTensor, storedArray } from '../program.js'
import { type Order, schedule, stepName } from '../schedule.js'
import { arith } from './arith.js'
import { conv } from './conv.js'
import { dma } from './dma.js'
import { gather } from './gather.js'
import { matrixProduct } from './matrix.js'
import { createMemory, type Memory, refill } from './memory.js'
import { move } from './move.js'
import { pool } from './pool.js'
import { requant } from './requant.js'
import { compareSelect, linear, specialFunction } from './special.js'

/** Executes one command on a memory. @throws QuantError 'runtime' for what the chip would not do or is not modelled */
export function execute(memory: Memory, instruction: Instruction): void {
  switch (instruction.form) {
    case 'conv':
      conv(memory, instruction)
      break
    case 'pord':
      pool(memory, instruction)
      break
    case 'mm2':
      matrixProduct(memory, instruction)
      break
    case 'ar':
      arith(memory, instruction)
      break
    case 'rqdq':
      requant(memory, instruction)
      break
    case 'trans':
      move(memory, instruction)
      break
    case 'sg':
      gather(memory, instruction)
      break
    case 'sfu':
      specialFunction(memory, instruction)
      break
    case 'lin':
      linear(memory, instruction)
      break
    case 'cmp':
      compareSelect(memory, instruction)
      break
    case 'dma':
      dma(memory, instruction)
      break
    case 'sys':
    case 'dmaSys':
      break
    default:
      unreachable(instruction)
  }
}

/**
 * Runs a program once.
 * @param inputs stored values of each input, C order, by name
 * @param options.ahead the engine that runs as far as its dependencies let it (default dma); a correct program does not care
 * @param options.fill the byte that memory is full of at the start (default 0); a correct program does not care
 * @returns stored values of each output
 * @throws QuantError 'runtime' for inputs that do not fit, deadlock, and commands that the chip would not accept, by their ids
 */
export const runProgram = (
  program: Program,
  inputs: ReadonlyMap<string, IoData>,
  { ahead = 'dma', fill = 0 }: { readonly ahead?: Engine; readonly fill?: number } = {},
): Map<string, IoData> => run(program, inputs, schedule(program.tiu, program.dma, ahead), fill)

/** Runs commands in a given order over memory in which every byte is `fill`. */
export function run(
  program: Program,
  inputs: ReadonlyMap<string, IoData>,
  order: Order,
  fill: number,
): Map<string, IoData> {
  const memory = freshMemory(program.coefficients.length + program.neuronBytes, fill)
  memory.global.u8.set(program.coefficients)
  for (const input of program.inputs) feed(memory, input, inputs.get(input.name), program.name)
  for (const step of order) {
    const instruction = program[step.engine][step.position]!
    if (!legal.has(instruction)) {
      const [finding] = checkInstruction(instruction)
      if (finding !== undefined) throw new QuantError('runtime', `${stepName(program, step)}: ${finding}`)
      legal.add(instruction)
    }
    try {
      execute(memory, instruction)
    } catch (error) {
      if (!(error instanceof QuantError)) throw error
      throw new QuantError('runtime', `${stepName(program, step)}: ${error.message}`)
    }
  }
  return new Map(program.outputs.map((output) => [output.name, fetch(memory, output)]))
}

/** Commands that were looked at in an earlier run; they do not change. */
const legal = new WeakSet<Instruction>()

/** The memory of the last run, full of `fill` again: new pages cost more than the same ones. */
function freshMemory(globalBytes: number, fill: number): Memory {
  if (kept?.global.u8.length !== globalBytes) kept = createMemory(globalBytes, fill)
  else refill(kept, fill)
  return kept
}
let kept: Memory | undefined

function feed(memory: Memory, input: ProgramTensor, data: IoData | undefined, program: string): void {
  const size = input.shape.reduce((product, side) => product * side, 1)
  if (!data) throw new QuantError('runtime', `${program} was run without a value for ${input.name}`)
  if (data.length !== size || !(data instanceof storedArray[input.type]))
    throw new QuantError('runtime', `${input.name} is ${size} elements of ${input.type}, not what was given`)
  memory.global.u8.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), input.address - globalBase)
}

function fetch(memory: Memory, { type, shape, address }: ProgramTensor): IoData {
  const size = shape.reduce((product, side) => product * side, 1)
  const from = address - globalBase
  const array = storedArray[type]
  const bytes = memory.global.u8.slice(from, from + size * array.BYTES_PER_ELEMENT)
  return new array(bytes.buffer)
}
