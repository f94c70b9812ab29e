/**
 * A group of neighbouring nodes as steps: slice by slice, node by node, what is loaded before, what is computed, what is stored after.
 * Between the nodes of a group values stay in local memory. Which bytes a buffer gets is decided later (local.ts); a step only says
 * which buffers it needs and for how long.
 *
 * Slices are along h (and over the batch). Rows that two slices need are loaded or computed twice. With strips, a slice is
 * `strips` parts of the picture at a time, side by side in the lanes; rows outside the picture are then real rows of padding.
 */
import type { QNode } from '../../quantize/qgraph.js'
import { lanes, roundUp } from '../chip.js'
import { type Instruction, precBytes } from '../isa/forms.js'
import { alignedBytes, alignedStrides, type Shape4 } from '../layout.js'
import { type PlanGraph, stored } from './graph.js'
import type { Local, Packed } from './kernel.js'
import { type Buffer, type Held, type Items, startMoves, type Transfer } from './moves.js'
import type { Part, Parts } from './parts.js'
import type { Rows } from './rows.js'
import type { Cut, SliceRows, Tiling } from './slices.js'

/** DMA commands within global memory. */
export interface Move {
  readonly from: string | undefined
  readonly to: string
  readonly cycles: number
  commands(from: number, to: number): Instruction[]
}

export interface Step {
  readonly layer: string
  /** Needed by this step; may be issued earlier. */
  readonly loads: Transfer[]
  /** What it computes is stored afterwards. */
  readonly stores: Transfer[]
  readonly moves: readonly Move[]
  readonly cycles: number
  readonly scratch: Buffer | undefined
  compute(emit: (instruction: Instruction) => void): void
}

export interface Group {
  /** The last one computes nothing: it is where the last results are stored. */
  readonly steps: readonly Step[]
  readonly buffers: readonly Buffer[]
  /** Of each slice the step behind its last one; fewer than `slices` in an estimate. */
  readonly ends: readonly number[]
  readonly slices: number
}

/** What is known of the net whatever the groups. */
export interface Context {
  readonly graph: PlanGraph
  readonly parts: Parts
  /** Cycles of transfers by what they move; they are asked for many times in the search for groups. */
  readonly transfers: Map<string, number>
  /** What a Concat takes that is no part of a group: copies of the parts that do not lie in their places. */
  readonly joins: ReadonlyMap<string, Group>
}

/**
 * @param only makes steps of the first slices only, for estimates
 * @returns undefined where the group cannot be cut so: the ops or the shapes do not allow it
 */
export function groupSteps(
  { graph, parts, transfers }: Context,
  nodes: readonly QNode[],
  tiling: Tiling,
  layout: Cut,
  slices: number,
  only = Infinity,
): Group | undefined {
  const nodeParts = new Map<string, readonly Part[]>()
  for (const node of nodes) {
    const own = parts.of(node, tiling.strips)
    if (own === undefined) return undefined
    nodeParts.set(node.name, own)
  }
  const moves = startMoves(graph, transfers, tiling, layout)
  const batches = tiling.batch === 'one' ? layout.batch : 1
  const steps: Step[] = []
  const buffers: Buffer[] = []
  const resident = new Map<Packed, Buffer>()
  const newBuffer = (bytes: number, at = steps.length): Buffer => {
    const buffer = { bytes: roundUp(bytes, 64), first: at, last: at, address: 0 }
    buffers.push(buffer)
    return buffer
  }
  let pending: Transfer[] = []
  const addStep = (step: Omit<Step, 'stores' | 'moves'>): void => {
    steps.push({ ...step, stores: pending, moves: [] })
    pending = []
  }

  const ends: number[] = []
  for (let item = 0; item < batches; item++) {
    for (let slice = 0; slice < slices && ends.length < only; slice++) {
      const rows = layout.rowsOf(slice, slices)
      if (rows === undefined) return undefined
      const count = tiling.batch === 'one' ? 1 : layout.batch
      const items = { item, count }
      const held = new Map<string, Held>()
      for (const node of nodes) if (rows.needed.has(node.name) && !addNode(node, items, rows, held)) return undefined
      ends.push(steps.length)
    }
  }
  const last = nodes.at(-1)!
  addStep({ layer: last.layer ?? last.name, loads: [], cycles: 0, scratch: undefined, compute: () => {} })
  return { steps, buffers, ends, slices: batches * slices }

  function addNode(node: QNode, items: Items, rows: SliceRows, held: Map<string, Held>): boolean {
    const { strips } = tiling
    const { count } = items
    const own = nodeParts.get(node.name)!
    if (own.length > 1 && count > 1) return false
    const layer = node.layer ?? node.name
    const loads: Transfer[] = []
    const shapeOf = (name: string, [from, to]: Rows): Shape4 => {
      const [, c, , w] = layout.shapeOf(name)
      return [count, c * strips, to - from, w]
    }
    const localOf = (name: string, range: Rows, address: number): Local => {
      const type = stored(graph.nodes.get(name)!.type)
      return { address, shape: shapeOf(name, range), ...type }
    }
    const bytesOf = (name: string, range: Rows): number =>
      alignedBytes(shapeOf(name, range), stored(graph.nodes.get(name)!.type).prec)

    const values = node.inputs.filter((name) => graph.nodes.has(name))
    const operands = values.map((name, i) => {
      let value = held.get(name)
      if (value === undefined) {
        const range = rows.needed.get(name)!
        value = { buffer: newBuffer(bytesOf(name, range)), rows: range }
        held.set(name, value)
        loads.push(moves.load(name, range, value.buffer, items))
      }
      const wanted = rows.wanted(node, i)
      // A kernel reads packed tensors: of a buffer with more rows it gets a copy of those it wants.
      const fits = wanted[0] === value.rows[0] && wanted[1] === value.rows[1]
      return { name, value, wanted, cut: fits ? undefined : newBuffer(bytesOf(name, wanted)) }
    })
    const range = rows.needed.get(node.name)!
    const result = newBuffer(bytesOf(node.name, range))
    held.set(node.name, { buffer: result, rows: range })
    const [padTop, padBottom] = rows.pads(node)

    own.forEach((part, i) => {
      const at = steps.length
      const partLoads = i === 0 ? loads : []
      const coefficients = part.packed.map((packed) => {
        let buffer = resident.get(packed)
        if (buffer === undefined) {
          buffer = newBuffer(packed.rowBytes, at)
          if (tiling.resident) resident.set(packed, buffer)
          partLoads.push(moves.coefficients(packed, buffer))
        }
        buffer.last = at
        return buffer
      })
      for (const { value, cut } of operands) {
        value.buffer.last = Math.max(value.buffer.last, at)
        if (cut !== undefined) cut.last = at
      }
      result.last = at
      const whole = shapeOf(node.name, range)
      const output: Shape4 = own.length === 1 ? whole : [whole[0], part.to - part.from, whole[2], whole[3]]
      const inputs = operands.map(({ name, wanted }) => shapeOf(name, wanted))
      const { cycles, scratch: scratchBytes } = part.cost(inputs, output, padTop, padBottom)
      const scratch = scratchBytes > 0 ? newBuffer(scratchBytes, at) : undefined
      addStep({
        layer,
        loads: partLoads,
        cycles,
        scratch,
        compute(emit) {
          if (i === 0)
            for (const { name, value, wanted, cut } of operands)
              if (cut) moves.cut(emit, name, value, wanted, cut, count)
          const local = localOf(node.name, range, result.address)
          const { prec } = local
          const channelBytes = alignedStrides(local.shape, prec).c * precBytes[prec]
          const address = own.length === 1 ? result.address : result.address + (part.from / lanes) * channelBytes
          let used = 0
          part.kernel.compute(
            part.variant.node,
            {
              inputs: operands.map(({ name, value, wanted, cut }) =>
                localOf(name, wanted, (cut ?? value.buffer).address),
              ),
              output: { ...local, address, shape: output },
              coefficients: coefficients.map((buffer) => buffer.address),
              padTop,
              padBottom,
              inputRows: operands.map(({ wanted }) => wanted[0]),
              outputRow: range[0],
            },
            {
              emit,
              scratch(bytes) {
                const offset = used
                used += roundUp(bytes, 64)
                if (used > scratchBytes)
                  throw new Error(`${node.name} takes ${used} bytes of scratch, ${scratchBytes} were said`)
                return scratch!.address + offset
              },
            },
            part.known,
          )
          if (i === own.length - 1) moves.edges(emit, node.name, { buffer: result, rows: range })
        },
      })
    })
    const stores = rows.stored.get(node.name)
    if (stores !== undefined && stores[1] > stores[0]) {
      result.last = steps.length
      pending.push(moves.store(node.name, stores, { buffer: result, rows: range }, items))
    }
    return true
  }
}
