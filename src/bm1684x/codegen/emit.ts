/**
 * Both command streams, written in one order that is right when executed one command after the other. A command waits for the latest
 * earlier command of the other engine that wrote what it reads or overwrites, or that reads what it overwrites; so every
 * interleaving that the chip may choose gives the same result, and how much the engines overlap follows from the order alone.
 */
import { dmaType, type Engine, engineOf, eu, type Instruction, taskType } from '../isa/forms.js'
import type { Program, ProgramSpan } from '../program.js'
import { type Footprint, footprint, type Range } from './footprint.js'

export interface Emitter {
  /** Appends a command; its id and what it waits for are filled in. */
  emit(instruction: Instruction): void
  /** What is appended from here on belongs to this layer. */
  layer(name: string): void
  /** The streams with their end commands. */
  finish(): Pick<Program, 'tiu' | 'dma' | 'spans'>
}

interface Issued {
  readonly id: number
  readonly footprint: Footprint
}

const overlap = (some: readonly Range[], others: readonly Range[]): boolean =>
  some.some(([from, to]) => others.some(([start, end]) => from < end && start < to))

const hazard = (earlier: Footprint, later: Footprint): boolean =>
  overlap(earlier.writes, later.reads) || overlap(earlier.writes, later.writes) || overlap(earlier.reads, later.writes)

export function startEmitter(): Emitter {
  const streams: Record<Engine, Instruction[]> = { tiu: [], dma: [] }
  const issued: Record<Engine, Issued[]> = { tiu: [], dma: [] }
  // Deps never fall along a stream, and what was waited for once needs no look again.
  const waited: Record<Engine, number> = { tiu: 0, dma: 0 }
  const spans: ProgramSpan[] = []
  let current: { layer: string; tiu: number; dma: number } | undefined

  const closeSpan = (): void => {
    if (current === undefined) return
    const { layer, tiu, dma } = current
    if (streams.tiu.length > tiu || streams.dma.length > dma)
      spans.push({ layer, tiu: [tiu, streams.tiu.length], dma: [dma, streams.dma.length] })
  }

  return {
    emit(instruction) {
      const engine = engineOf(instruction.form)
      const other = engine === 'tiu' ? 'dma' : 'tiu'
      const own = footprint(instruction)
      const earlier = issued[other]
      for (let i = earlier.length; i > waited[engine]; i--) {
        if (!hazard(earlier[i - 1]!.footprint, own)) continue
        waited[engine] = i
        break
      }
      const id = streams[engine].length + 1
      issued[engine].push({ id, footprint: own })
      streams[engine].push(withIds(instruction, id, waited[engine]))
    },
    layer(name) {
      if (current?.layer === name) return
      closeSpan()
      current = { layer: name, tiu: streams.tiu.length, dma: streams.dma.length }
    },
    finish() {
      closeSpan()
      // Identity, task and unit, all else 0: bit 0 too, which is cmd_short in other commands.
      const end = { tsk_typ: taskType.sys, tsk_eu_typ: eu.sys.end }
      const tiu: Instruction = { form: 'sys', fields: { ...end, cmd_id: streams.tiu.length + 1 } }
      const dma: Instruction = {
        form: 'dmaSys',
        fields: { cmd_short: 1, cmd_id_en: 1, cmd_id: streams.dma.length + 1, cmd_type: dmaType.sys },
      }
      return { tiu: [...streams.tiu, tiu], dma: [...streams.dma, dma], spans }
    },
  }
}

const withIds = (instruction: Instruction, cmd_id: number, cmd_id_dep: number): Instruction =>
  ({ ...instruction, fields: { ...instruction.fields, cmd_id, cmd_id_dep, cmd_id_en: 1 } }) as Instruction
