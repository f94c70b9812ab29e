/** In which order the commands of both engines may run. */
import { QuantError } from '../errors.js'
import type { Engine, Instruction } from './isa/forms.js'
import type { Program } from './program.js'

export interface Step {
  readonly engine: Engine
  /** Position in the engine's stream. */
  readonly position: number
}

export type Order = readonly Step[]

const idOf = (instruction: Instruction): number => instruction.fields.cmd_id ?? 0
const waitsFor = ({ fields }: Instruction): number => ((fields.cmd_id_en ?? 0) & 1 ? (fields.cmd_id_dep ?? 0) : 0)

/**
 * All commands of both streams: each engine in its own order, a command when the other engine has completed the id it waits for.
 * @param ahead which engine runs as far as it may, all the time or after so many steps; results must not depend on it
 * @throws QuantError where both engines wait for ever
 */
export function schedule(
  tiu: readonly Instruction[],
  dma: readonly Instruction[],
  ahead: Engine | ((done: number) => Engine),
): Step[] {
  const streams = { tiu, dma }
  const position = { tiu: 0, dma: 0 }
  const completed = { tiu: 0, dma: 0 }
  const other = (engine: Engine): Engine => (engine === 'tiu' ? 'dma' : 'tiu')
  const order: Step[] = []
  const mayRun = (engine: Engine): boolean => {
    const next = streams[engine][position[engine]]
    return next !== undefined && waitsFor(next) <= completed[other(engine)]
  }
  while (order.length < tiu.length + dma.length) {
    const leader = typeof ahead === 'string' ? ahead : ahead(order.length)
    const engine = mayRun(leader) ? leader : other(leader)
    if (!mayRun(engine)) throw deadlock(tiu[position.tiu], dma[position.dma])
    order.push({ engine, position: position[engine] })
    completed[engine] = idOf(streams[engine][position[engine]++]!)
  }
  return order
}

function deadlock(tiu: Instruction | undefined, dma: Instruction | undefined): QuantError {
  const waits = (name: string, other: string, one: Instruction | undefined) =>
    one ? `${name} command ${idOf(one)} waits for ${other} command ${waitsFor(one)}` : `${name} has ended`
  return new QuantError('runtime', `deadlock: ${waits('tiu', 'dma', tiu)}, ${waits('dma', 'tiu', dma)}`)
}

/** What errors call a command: its engine, id and form, and the layer it belongs to. */
export function stepName(program: Program, { engine, position }: Step): string {
  const { form, fields } = program[engine][position]!
  const span = program.spans.find(({ [engine]: [from, to] }) => position >= from && position < to)
  return `${engine} command ${fields.cmd_id ?? 0} (${form}${span ? ` of ${span.layer}` : ''})`
}
