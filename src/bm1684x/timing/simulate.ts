/** How long a program takes: both command streams walked in time, each in order, waiting for each other as their ids say. */
import { typeBytes } from '../bmodel/format.js'
import { clockHz } from '../chip.js'
import type { Engine, Instruction } from '../isa/forms.js'
import type { Program, ProgramSpan } from '../program.js'
import { bytesPerCycle, cyclesOf, macsOf, trafficOf } from './cycles.js'

/**
 * What a stretch of time is spent on. `dependency`: TIU and DMA take turns, so that neither would help much by being faster alone.
 */
export type Bound = 'compute' | 'memory' | 'dependency'

export interface LayerEstimate {
  readonly layer: string
  /** What it adds to the whole: its part of the critical path. Parts of all layers (and of commands of none) sum up to the total. */
  readonly cycles: number
  /** How long its commands keep the engines busy, hidden or not. */
  readonly tiu: number
  readonly dma: number
  readonly macs: number
  /** Share of the cube's peak rate while the TIU works for it: 0..1. */
  readonly macUtilisation: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** By its part of the critical path; by what its engines are busy with where it has none. */
  readonly boundBy: Bound
}

/** What commands of a kind (conv, ar, load, store ...) take together. */
export interface ClassEstimate {
  readonly kind: string
  readonly commands: number
  readonly cycles: number
}

export interface Estimate {
  readonly cycles: number
  readonly seconds: number
  /** Cycles in which each engine works. */
  readonly tiu: number
  readonly dma: number
  readonly macs: number
  /** Share of the cube's peak rate, by the precision of each command: 0..1. */
  readonly macUtilisation: number
  /** Read from and written to global memory. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly boundBy: Bound
  /** In the order of the program's spans; a layer with several spans stands once. */
  readonly layers: readonly LayerEstimate[]
  /** Longest first. */
  readonly classes: readonly ClassEstimate[]
}

interface Timed {
  readonly engine: Engine
  readonly position: number
  readonly instruction: Instruction
  readonly cycles: number
  readonly end: number
  /** The command whose end it waited for; undefined at the very beginning. */
  readonly after: Timed | undefined
}

export type Streams = Pick<Program, 'tiu' | 'dma'>

/** How long the streams take together, and no more of what `estimate` says. */
export function totalCycles(program: Streams): number {
  const { tiu, dma } = simulate(program)
  return Math.max(tiu.at(-1)?.end ?? 0, dma.at(-1)?.end ?? 0)
}

/** @throws Error where the streams wait for each other for ever: such a program is never made by the planner. */
export function estimate(program: Streams & { readonly spans?: readonly ProgramSpan[] }): Estimate {
  const timed = simulate(program)
  const all = [...timed.tiu, ...timed.dma]
  const last = all.reduce<Timed | undefined>(
    (late, one) => (late === undefined || one.end > late.end ? one : late),
    undefined,
  )
  const total = last?.end ?? 0
  const critical = new Map<Timed, number>()
  for (let at = last; at !== undefined; at = at.after) critical.set(at, at.cycles)

  const work = all.map(({ instruction }) => ({ ...macsOf(instruction), ...trafficOf(instruction) }))
  const sum = (pick: (one: (typeof work)[number]) => number): number => work.reduce((so, one) => so + pick(one), 0)
  const busy = (engine: Engine): number => timed[engine].reduce((so, one) => so + one.cycles, 0)
  const onPath = (engine: Engine): number => timed[engine].reduce((so, one) => so + (critical.get(one) ?? 0), 0)
  return {
    cycles: total,
    seconds: total / clockHz,
    tiu: busy('tiu'),
    dma: busy('dma'),
    macs: sum(({ macs }) => macs),
    macUtilisation: total === 0 ? 0 : sum(({ cycles }) => cycles) / total,
    bytesIn: sum(({ read }) => read),
    bytesOut: sum(({ written }) => written),
    boundBy: boundOf(onPath('tiu'), onPath('dma')),
    layers: layersOf(program.spans ?? [], timed, critical),
    classes: classesOf(all),
  }
}

/** Below a quarter, the other engine's part of the critical path does not count. */
const boundOf = (tiu: number, dma: number): Bound =>
  dma * 3 < tiu ? 'compute' : tiu * 3 < dma ? 'memory' : 'dependency'

function simulate({ tiu, dma }: Streams): Record<Engine, Timed[]> {
  const streams = { tiu, dma }
  const done: Record<Engine, Timed[]> = { tiu: [], dma: [] }
  const next = (engine: Engine): boolean => {
    const other = engine === 'tiu' ? 'dma' : 'tiu'
    const position = done[engine].length
    const instruction = streams[engine][position]
    if (instruction === undefined) return false
    const dep = instruction.fields.cmd_id_dep ?? 0
    if (dep > done[other].length) return false
    const own = done[engine].at(-1)
    const needed = dep === 0 ? undefined : done[other][dep - 1]
    const after = (needed?.end ?? 0) > (own?.end ?? 0) ? needed : own
    const cycles = cyclesOf(instruction)
    done[engine].push({ engine, position, instruction, cycles, end: (after?.end ?? 0) + cycles, after })
    return true
  }
  while (next('tiu') || next('dma')) {}
  for (const engine of ['tiu', 'dma'] as const)
    if (done[engine].length < streams[engine].length)
      throw new Error(`${engine} command ${done[engine].length + 1} waits for ever`)
  return done
}

function layersOf(
  spans: readonly ProgramSpan[],
  timed: Record<Engine, readonly Timed[]>,
  critical: ReadonlyMap<Timed, number>,
): LayerEstimate[] {
  const layers = new Map<string, Timed[]>()
  for (const { layer, tiu, dma } of spans) {
    const commands = [...timed.tiu.slice(...tiu), ...timed.dma.slice(...dma)]
    layers.set(layer, [...(layers.get(layer) ?? []), ...commands])
  }
  return [...layers].map(([layer, commands]) => {
    const sum = (pick: (one: Timed) => number): number => commands.reduce((so, one) => so + pick(one), 0)
    const of = (engine: Engine, pick: (one: Timed) => number): number =>
      sum((one) => (one.engine === engine ? pick(one) : 0))
    const onPath = (one: Timed): number => critical.get(one) ?? 0
    const [tiu, dma] = [of('tiu', ({ cycles }) => cycles), of('dma', ({ cycles }) => cycles)]
    const cycles = sum(onPath)
    return {
      layer,
      cycles,
      tiu,
      dma,
      macs: sum(({ instruction }) => macsOf(instruction).macs),
      macUtilisation: tiu === 0 ? 0 : sum(({ instruction }) => macsOf(instruction).cycles) / tiu,
      bytesIn: sum(({ instruction }) => trafficOf(instruction).read),
      bytesOut: sum(({ instruction }) => trafficOf(instruction).written),
      boundBy: cycles === 0 ? boundOf(tiu, dma) : boundOf(of('tiu', onPath), of('dma', onPath)),
    }
  })
}

function classesOf(all: readonly Timed[]): ClassEstimate[] {
  const classes = new Map<string, { kind: string; commands: number; cycles: number }>()
  for (const { instruction, cycles } of all) {
    const kind = kindOf(instruction)
    if (kind === undefined) continue
    const sum = classes.get(kind) ?? { kind, commands: 0, cycles: 0 }
    sum.commands++
    sum.cycles += cycles
    classes.set(kind, sum)
  }
  return [...classes.values()].sort((a, b) => b.cycles - a.cycles)
}

function kindOf(instruction: Instruction): string | undefined {
  if (instruction.form === 'sys' || instruction.form === 'dmaSys') return undefined
  if (instruction.form !== 'dma') return instruction.form
  const { read, written } = trafficOf(instruction)
  return read > 0 ? (written > 0 ? 'move' : 'load') : written > 0 ? 'store' : 'fill'
}

/**
 * Cycles that no schedule on this chip can go below: all multiply-accumulates at the cube's peak, or every coefficient and input
 * loaded and every output stored once, whichever is more. The two engines work at the same time, so they do not add up.
 */
export function lowerBound(program: Streams & Pick<Program, 'coefficients' | 'inputs' | 'outputs'>): number {
  const cube = program.tiu.reduce((sum, instruction) => sum + macsOf(instruction).cycles, 0)
  const loaded = program.coefficients.length + bytesOf(program.inputs)
  return Math.ceil(Math.max(cube, loaded / bytesPerCycle.load + bytesOf(program.outputs) / bytesPerCycle.store))
}

const bytesOf = (tensors: Program['inputs']): number =>
  tensors.reduce((sum, { type, shape }) => sum + shape.reduce((size, n) => size * n, typeBytes[type]), 0)
