/** Finds what a program leaves to chance: missing dependencies between the engines, and memory that nothing wrote. */
import { QuantError } from '../../errors.js'
import type { IoData, Program } from '../program.js'
import { type Order, schedule, stepName } from '../schedule.js'
import { run } from './run.js'

/** 123, 61280, 1.3e36. */
const large = 0x7b

/**
 * Runs a program with the DMA engine as far ahead as its dependencies allow over memory full of 0x00, and with the TIU ahead over
 * bytes that are large numbers in every type.
 * @returns the outputs, which agree
 * @throws QuantError 'runtime' naming the first output that does not, and why: memory that was read unwritten, or the commands whose
 *   order is left open though the result depends on it
 */
export function runBothOrders(program: Program, inputs: ReadonlyMap<string, IoData>): Map<string, IoData> {
  const first = run(program, inputs, schedule(program.tiu, program.dma, 'dma'), 0)
  const second = run(program, inputs, schedule(program.tiu, program.dma, 'tiu'), large)
  const difference = differing(first, second)
  if (difference === undefined) return first
  const reordered = run(program, inputs, schedule(program.tiu, program.dma, 'tiu'), 0)
  const cause =
    differing(first, reordered) === undefined ? 'it comes from memory that nothing wrote' : race(program, inputs, first)
  throw new QuantError('runtime', `${program.name}: ${difference}: ${cause}`)
}

/**
 * The commands that race. Orders that go with the DMA ahead for some steps and with the TIU ahead from then on lead from the one
 * result to the other: the step at which the result turns is the one that came too late.
 */
function race(program: Program, inputs: ReadonlyMap<string, IoData>, right: Map<string, IoData>): string {
  const orderOf = (steps: number): Order => schedule(program.tiu, program.dma, (done) => (done < steps ? 'dma' : 'tiu'))
  // Results at `low` differ from `right`, those at `high` do not.
  let low = 0
  let high = program.tiu.length + program.dma.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (differing(right, run(program, inputs, orderOf(middle), 0)) === undefined) high = middle
    else low = middle
  }
  const late = orderOf(high)[low]!
  const other = orderOf(low)[low]!
  return `nothing orders ${stepName(program, late)} and ${stepName(program, other)}`
}

/** Where outputs first differ, in words. */
function differing(a: Map<string, IoData>, b: Map<string, IoData>): string | undefined {
  for (const [name, values] of a) {
    const others = b.get(name)!
    const at = values.findIndex((value, i) => !Object.is(value, others[i]))
    if (at !== -1) return `${name}[${at}] is ${values[at]} or ${others[at]}`
  }
  return undefined
}
