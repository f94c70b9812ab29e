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
import { type Buffer, type Held, type Items, startMoves, type Transfer, type TransferCycles } from './moves.js'
import type { Part, Parts } from './parts.js'
import type { Rows } from './rows.js'
import type { NodeSlice, Slicer } from './sliced.js'
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
}

/** What a step computes from what. */
interface Computation {
  readonly node: QNode
  readonly part: Part
  readonly made: NodeSlice
  /** Of the part. */
  readonly output: Shape4
  readonly operands: readonly Operand[]
  readonly result: Buffer
  readonly coefficients: readonly Buffer[]
  readonly scratch: Buffer | undefined
}

interface Operand {
  readonly name: string
  readonly value: Held
  readonly wanted: Rows
  /** Where a copy of the rows that are wanted lies, if the value has more. */
  readonly cut: Buffer | undefined
}

/** What is known of the net whatever the groups. */
export interface Context {
  readonly graph: PlanGraph
  readonly parts: Parts
  readonly slicer: Slicer
  readonly transfers: TransferCycles
  /** What a Concat takes that is no part of a group: copies of the parts that do not lie in their places. */
  readonly joins: ReadonlyMap<string, Group>
}

/**
 * All steps of a group; price.ts walks through the same.
 * @returns undefined where the group cannot be cut so: the ops or the shapes do not allow it
 */
export function groupSteps(
  { graph, parts, slicer, transfers }: Context,
  nodes: readonly QNode[],
  tiling: Tiling,
  layout: Cut,
  slices: number,
): Group | undefined {
  const nodeParts: (readonly Part[])[] = []
  for (const node of nodes) {
    const own = parts.of(node, tiling.strips)
    if (own === undefined) return undefined
    nodeParts.push(own)
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
  const addStep = (
    layer: string,
    loads: Transfer[],
    cycles: number,
    scratch: Buffer | undefined,
    compute: Step['compute'],
  ): void => {
    steps.push({ layer, loads, stores: pending, moves: [], cycles, scratch, compute })
    pending = []
  }

  for (let item = 0; item < batches; item++) {
    for (let slice = 0; slice < slices; slice++) {
      const rows = layout.rowsOf(slice, slices)
      if (rows === undefined) return undefined
      const count = tiling.batch === 'one' ? 1 : layout.batch
      const items = { item, count }
      const held = new Map<string, Held>()
      for (let i = 0; i < nodes.length; i++) {
        const made = rows.made.get(nodes[i]!)
        if (made !== undefined && !addNode(nodes[i]!, nodeParts[i]!, made, items, rows, held)) return undefined
      }
    }
  }
  const last = nodes.at(-1)!
  addStep(last.layer ?? last.name, [], 0, undefined, () => {})
  return { steps, buffers }

  function addNode(
    node: QNode,
    own: readonly Part[],
    made: NodeSlice,
    items: Items,
    rows: SliceRows,
    held: Map<string, Held>,
  ): boolean {
    const { count } = items
    if (own.length > 1 && count > 1) return false
    const layer = node.layer ?? node.name
    const loads: Transfer[] = []
    const shapeOf = (name: string, [from, to]: Rows): Shape4 => {
      const [, c, , w] = layout.shapeOf(name)
      return [count, c * tiling.strips, to - from, w]
    }
    const bytesOf = (name: string, range: Rows): number =>
      alignedBytes(shapeOf(name, range), stored(graph.nodes.get(name)!.type).prec)

    const operands = slicer.valuesOf(node).map((name, i): Operand => {
      let value = held.get(name)
      if (value === undefined) {
        const range = rows.needed.get(name)!
        value = { buffer: newBuffer(bytesOf(name, range)), rows: range }
        held.set(name, value)
        loads.push(moves.load(name, range, value.buffer, items))
      }
      const wanted = made.wanted[i]!
      // A kernel reads packed tensors: of a buffer with more rows it gets a copy of those it wants.
      const fits = wanted[0] === value.rows[0] && wanted[1] === value.rows[1]
      return { name, value, wanted, cut: fits ? undefined : newBuffer(bytesOf(name, wanted)) }
    })
    const result = newBuffer(made.bytes)
    held.set(node.name, { buffer: result, rows: made.rows })

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
      const whole = made.output
      const output: Shape4 = own.length === 1 ? whole : [whole[0], part.to - part.from, whole[2], whole[3]]
      const { cycles, scratch: scratchBytes } = part.cost(made, output)
      const scratch = scratchBytes > 0 ? newBuffer(scratchBytes, at) : undefined
      const step = { node, part, made, output, operands, result, coefficients, scratch }
      addStep(layer, partLoads, cycles, scratch, (emit) => compute(step, i === 0, i === own.length - 1, emit))
    })
    const stores = rows.stored.get(node.name)
    if (stores !== undefined && stores[1] > stores[0]) {
      result.last = steps.length
      pending.push(moves.store(node.name, stores, { buffer: result, rows: made.rows }, items))
    }
    return true
  }
  /** The commands of a step; now its buffers have their places. */
  function compute(
    { node, part, made, output, operands, result, coefficients, scratch }: Computation,
    first: boolean,
    last: boolean,
    emit: (instruction: Instruction) => void,
  ): void {
    const count = made.output[0]
    const localOf = (name: string, shape: Shape4, address: number): Local => ({
      address,
      shape,
      ...stored(graph.nodes.get(name)!.type),
    })
    if (first)
      for (const { name, value, wanted, cut } of operands) if (cut) moves.cut(emit, name, value, wanted, cut, count)
    const local = localOf(node.name, output, result.address)
    const channelBytes = alignedStrides(output, local.prec).c * precBytes[local.prec]
    const address = result.address + (part.from / lanes) * channelBytes
    let used = 0
    part.kernel.compute(
      part.variant.node,
      {
        inputs: operands.map(({ name, value, cut }, i) =>
          localOf(name, made.inputs[i]!, (cut ?? value.buffer).address),
        ),
        output: { ...local, address },
        coefficients: coefficients.map((buffer) => buffer.address),
        padTop: made.padTop,
        padBottom: made.padBottom,
        inputRows: operands.map(({ wanted }) => wanted[0]),
        outputRow: made.rows[0],
      },
      {
        emit,
        scratch(bytes) {
          const offset = used
          used += roundUp(bytes, 64)
          const most = scratch?.bytes ?? 0
          if (used > most) throw new Error(`${node.name} takes ${used} bytes of scratch, ${most} were said`)
          return scratch!.address + offset
        },
      },
      part.known,
    )
    if (last) moves.edges(emit, node.name, { buffer: result, rows: made.rows })
  }
}
