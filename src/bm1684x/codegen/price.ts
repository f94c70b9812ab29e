/**
 * What a group will take if it is cut so: its time, and the bytes of a lane that live at once. The search for groups asks for it
 * thousands of times, so this walks through the steps that `groupSteps` would make (the same loads, buffers and stores, in the same
 * order) without making them.
 */
import type { QNode } from '../../quantize/qgraph.js'
import { roundUp } from '../chip.js'
import { alignedBytes, type Shape4 } from '../layout.js'
import { stored } from './graph.js'
import type { Packed } from './kernel.js'
import { type Items, startMoves } from './moves.js'
import type { Part } from './parts.js'
import type { Rows } from './rows.js'
import type { NodeSlice } from './sliced.js'
import type { Cut, SliceRows, Tiling } from './slices.js'
import type { Context } from './steps.js'

export interface Price {
  /** Estimated. */
  readonly cycles: number
  /** Bytes of a lane that live at the same time, at most. */
  readonly peak: number
  /** Whether all slices were looked at, and not only the first ones. */
  readonly whole: boolean
}

/** Slices that are looked at; later ones are taken to be like the last of these. */
const mostSlices = 3

/** A buffer: the steps from the first to the last in which it is in use, and what rows of a value it holds. */
interface Life {
  readonly bytes: number
  readonly first: number
  last: number
  readonly rows: Rows
}

const noRows: Rows = [0, 0]

/**
 * Prices of a group for numbers of slices.
 * @returns undefined where a node cannot be computed on so many strips; of a price, where the group cannot be cut so
 */
export function startPricing(
  { graph, parts, slicer, transfers }: Context,
  nodes: readonly QNode[],
  tiling: Tiling,
  cut: Cut,
): ((slices: number) => Price | undefined) | undefined {
  const nodeParts: (readonly Part[])[] = []
  for (const node of nodes) {
    const own = parts.of(node, tiling.strips)
    if (own === undefined) return undefined
    nodeParts.push(own)
  }
  const moves = startMoves(graph, transfers, tiling, cut)
  const count = tiling.batch === 'one' ? 1 : cut.batch
  const batches = tiling.batch === 'one' ? cut.batch : 1
  const bytesOf = (name: string, [from, to]: Rows): number => {
    const [, c, , w] = cut.shapeOf(name)
    return alignedBytes([count, c * tiling.strips, to - from, w], stored(graph.nodes.get(name)!.type).prec)
  }
  return price

  function price(slices: number): Price | undefined {
    const lives: Life[] = []
    const live = (bytes: number, rows = noRows): Life => {
      const life = { bytes: roundUp(bytes, 64), first: steps, last: steps, rows }
      lives.push(life)
      return life
    }
    const resident = new Map<Packed, Life>()
    // Both engines' clocks, and how long each works. Loads of the next step and stores of the last one run beside a computation.
    let steps = 0
    let dma = 0
    let tiu = 0
    let before = 0
    let moved = 0
    let computed = 0
    let ready = 0
    let store: number | undefined
    const times: { readonly tiu: number; readonly moved: number; readonly computed: number }[] = []

    for (let item = 0; item < batches; item++) {
      for (let slice = 0; slice < slices && times.length < mostSlices; slice++) {
        const rows = cut.rowsOf(slice, slices)
        if (rows === undefined) return undefined
        const held = new Map<string, Life>()
        for (let i = 0; i < nodes.length; i++) {
          const made = rows.made.get(nodes[i]!)
          if (made !== undefined && !add(nodes[i]!, nodeParts[i]!, made, rows, held, { item, count })) return undefined
        }
        times.push({ tiu, moved, computed })
      }
    }
    endLoads()
    const all = batches * slices
    const last = times.at(-1)!
    const other = times.at(-2) ?? last
    // Of each clock, what the slices that were not looked at would add.
    const more = (of: keyof typeof last): number => (all - times.length) * (last[of] - other[of])
    const cycles = Math.max(Math.max(tiu, dma) + more('tiu'), moved + more('moved'), computed + more('computed'))
    return { cycles, peak: peakOf(lives, steps), whole: times.length === all }

    function add(
      node: QNode,
      own: readonly Part[],
      made: NodeSlice,
      rows: SliceRows,
      held: Map<string, Life>,
      items: Items,
    ): boolean {
      if (own.length > 1 && count > 1) return false
      const used: Life[] = []
      ready = before
      const values = slicer.valuesOf(node)
      for (let i = 0; i < values.length; i++) {
        const name = values[i]!
        let value = held.get(name)
        if (value === undefined) {
          const range = rows.needed.get(name)!
          value = live(bytesOf(name, range), range)
          held.set(name, value)
          load(moves.loadCycles(name, range, items))
        }
        used.push(value)
        const wanted = made.wanted[i]!
        if (wanted[0] !== value.rows[0] || wanted[1] !== value.rows[1]) used.push(live(bytesOf(name, wanted)))
      }
      const result = live(made.bytes, made.rows)
      held.set(node.name, result)
      for (const part of own) {
        if (part !== own[0]) ready = before
        for (const packed of part.packed) {
          let life = resident.get(packed)
          if (life === undefined) {
            life = live(packed.rowBytes)
            if (tiling.resident) resident.set(packed, life)
            const cycles = moves.coefficientCycles(packed)
            // Those of the first step may be loaded while the group in front computes.
            if (steps === 0) moved += cycles
            else load(cycles)
          }
          life.last = steps
        }
        const whole = made.output
        const output: Shape4 = own.length === 1 ? whole : [whole[0], part.to - part.from, whole[2], whole[3]]
        const { cycles, scratch } = part.cost(made, output)
        if (scratch > 0) live(scratch)
        for (const life of used) if (life.last < steps) life.last = steps
        result.last = steps
        endLoads()
        before = tiu
        tiu = Math.max(tiu, ready) + cycles
        computed += cycles
        steps++
      }
      const range = rows.stored.get(node.name)
      if (range !== undefined && range[1] > range[0]) {
        result.last = steps
        store = moves.storeCycles(node.name, range, made.rows, items)
      }
      return true
    }

    function load(cycles: number): void {
      moved += cycles
      dma = Math.max(dma, before) + cycles
      ready = dma
    }

    /** What the step before made is stored behind the loads of this one. */
    function endLoads(): void {
      if (store === undefined) return
      moved += store
      dma = Math.max(dma, tiu) + store
      store = undefined
    }
  }
}

/** The step behind the last one belongs to the last stores. */
function peakOf(lives: readonly Life[], steps: number): number {
  const change = new Float64Array(steps + 2)
  for (const { bytes, first, last } of lives) {
    change[first]! += bytes
    change[last + 1]! -= bytes
  }
  let now = 0
  let most = 0
  for (let step = 0; step <= steps; step++) {
    now += change[step]!
    if (now > most) most = now
  }
  return most
}
