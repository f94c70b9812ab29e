/** How values get into local memory and out of it, and what has to be done to them there so that kernels can read them. */
import { zeroOf } from '../../quantize/rounding.js'
import { globalBase } from '../chip.js'
import { type Instruction, precBytes } from '../isa/forms.js'
import { alignedStrides, type Shape4 } from '../layout.js'
import { cyclesOf } from '../timing/cycles.js'
import { copy as copyLocal, immediate, inLane } from './commands.js'
import { type PlanGraph, type Stored, stored } from './graph.js'
import { kept } from './kept.js'
import type { Packed } from './kernel.js'
import type { Rows } from './rows.js'
import type { Cut, Edge, Tiling } from './slices.js'
import { copy, fill, loadRows, localAddress } from './transfer.js'

/** A piece of local memory, the same offsets in all lanes. */
export interface Buffer {
  readonly bytes: number
  /** Steps in which it must keep its content, counted within the group; both included. */
  first: number
  last: number
  /** Given by local.ts. */
  address: number
}

/** For what is only counted. */
const nowhere = (): Buffer => ({ bytes: 0, first: 0, last: 0, address: 0 })

/** Which part of a value a transfer moves; undefined where that is all that is known. */
export type StoredRows =
  | {
      readonly value: string
      readonly item: number
      readonly count: number
      readonly from: number
      readonly to: number
    }
  | undefined

/** DMA commands that fill or empty a buffer. */
export interface Transfer {
  readonly buffer: Buffer
  /** The stored tensor that is read or written, or coefficients. */
  readonly root: string | Packed
  readonly rows: StoredRows
  readonly cycles: number
  /** @param base global address of the stored tensor or of the coefficients */
  commands(base: number): Instruction[]
}

/** A value in local memory, for one slice. */
export interface Held {
  readonly buffer: Buffer
  readonly rows: Rows
}

/** Items [item, item + count) of the batch. */
export interface Items {
  readonly item: number
  readonly count: number
}

export interface Moves {
  /** Rows of a value into a buffer. */
  load(name: string, rows: Rows, buffer: Buffer, items: Items): Transfer
  /** Rows of a value out of a buffer that holds more. */
  store(name: string, rows: Rows, held: Held, items: Items): Transfer
  coefficients(packed: Packed, buffer: Buffer): Transfer
  /** Cycles of these. */
  loadCycles(name: string, rows: Rows, items: Items): number
  storeCycles(name: string, rows: Rows, held: Rows, items: Items): number
  coefficientCycles(packed: Packed): number
  /** Copies rows `wanted` of a value to a buffer of their own. */
  cut(
    emit: (instruction: Instruction) => void,
    name: string,
    held: Held,
    wanted: Rows,
    into: Buffer,
    count: number,
  ): void
  /** Rows of strips that lie outside the picture become padding. */
  edges(emit: (instruction: Instruction) => void, name: string, held: Held): void
}

/** Cycles of transfers: of a value by how much of it is moved in which way, of coefficients. */
export type TransferCycles = Map<string | Packed, Map<number, number>>

/** @param known what transfers took so far: they are asked for many times in the search for groups */
export function startMoves(graph: PlanGraph, known: TransferCycles, tiling: Tiling, layout: Cut): Moves {
  const { strips, flat } = tiling
  const typeOf = (name: string): Stored => stored(graph.nodes.get(name)!.type)

  const moves: Moves = {
    load(name, rows, buffer, items) {
      return valueTransfer(0, name, rows, buffer, items, (base) => {
        const type = typeOf(name)
        const [, c, , w] = layout.shapeOf(name)
        const edge = layout.edges.get(name)
        const strides = localStrides(name, rows, items.count)
        const padding =
          edge === undefined
            ? []
            : outside(name, rows).map(({ lane, from, to, at }) =>
                fill([1, c, to - from, w], type.prec, immediate(edgeValue(edge, name), type.prec), {
                  address: localAddress(lane, buffer.address + at),
                  strides,
                }),
              )
        const copies = piecesOf(name, rows, rows, items).map(({ shape, global, local }) =>
          copy(shape, type.prec, global(base), local(buffer.address)),
        )
        return [...padding, ...copies]
      })
    },
    store(name, rows, held, items) {
      return valueTransfer(1, name, rows, held.buffer, items, (base) =>
        piecesOf(name, rows, held.rows, items).map(({ shape, global, local }) =>
          copy(shape, typeOf(name).prec, local(held.buffer.address), global(base)),
        ),
      )
    },
    coefficients(packed, buffer) {
      return transfer(packed, 0, buffer, packed, undefined, (base) => [
        loadRows(packed.rows, packed.rowBytes, base, buffer.address),
      ])
    },
    loadCycles: (name, rows, items) =>
      known.get(name)?.get(amountOf(0, rows, items)) ?? moves.load(name, rows, nowhere(), items).cycles,
    storeCycles: (name, rows, held, items) =>
      known.get(name)?.get(amountOf(1, rows, items)) ??
      moves.store(name, rows, { buffer: nowhere(), rows: held }, items).cycles,
    coefficientCycles: (packed) => known.get(packed)?.get(0) ?? moves.coefficients(packed, nowhere()).cycles,
    cut(emit, name, { buffer, rows }, wanted, into, count) {
      const type = typeOf(name)
      const [, channels, , w] = layout.shapeOf(name)
      const shape: Shape4 = [count, channels * strips, wanted[1] - wanted[0], w]
      const from = alignedStrides([shape[0], shape[1], rows[1] - rows[0], w], type.prec)
      const address = buffer.address + (wanted[0] - rows[0]) * w * precBytes[type.prec]
      emit(copyLocal(shape, { address: into.address, ...type }, { address, ...type, strides: from }))
    },
    edges(emit, name, { buffer, rows }) {
      const edge = layout.edges.get(name)
      if (edge === undefined) return
      const type = typeOf(name)
      const [, c, , w] = layout.shapeOf(name)
      const strides = alignedStrides([1, c, rows[1] - rows[0], w], type.prec)
      for (const { lane, from, to, at } of outside(name, rows)) {
        const place = { address: inLane(lane, buffer.address + at), ...type, strides }
        emit(copyLocal([1, c, to - from, w], place, { constant: edgeValue(edge, name), ...type }))
      }
    },
  }

  return moves

  /** What stands for 0; or the lowest number of the type, which is neutral for a maximum. */
  function edgeValue(edge: Edge, name: string): number {
    if (edge === 'zero') return zeroOf(graph.nodes.get(name)!.type)
    const { prec, signed } = typeOf(name)
    if (prec === 'int8') return signed ? -128 : 0
    return prec === 'fp16' ? -65504 : -(2 ** 127)
  }

  /** How much of a value is moved in which way, as a key. */
  function amountOf(way: 0 | 1, [from, to]: Rows, { count }: Items): number {
    return ((to - from) * 2 ** 16 + count) * 2 ** 9 + strips * 4 + (flat ? 2 : 0) + way
  }

  function localStrides(name: string, rows: Rows, count: number): Shape4 {
    const [, c, , w] = layout.shapeOf(name)
    const strides = alignedStrides([count, c * strips, rows[1] - rows[0], w], typeOf(name).prec)
    return [strides.n, strides.c, strides.h, 1]
  }

  /** Rows of each strip that lie outside the picture, and where they begin in a buffer with these rows. */
  function outside(name: string, rows: Rows) {
    const [, c, , w] = layout.shapeOf(name)
    const rowBytes = w * precBytes[typeOf(name).prec]
    return Array.from({ length: strips }, (_, strip) =>
      layout
        .outsideRows(name, strip, rows)
        .map(([from, to]) => ({ lane: strip * c, from, to, at: (from - rows[0]) * rowBytes })),
    ).flat()
  }

  /** One per strip: rows of a value in global memory and in a buffer that holds rows `held`. */
  function piecesOf(name: string, [from, to]: Rows, held: Rows, { item, count }: Items) {
    const { view, strides } = layout.globalOf(name)
    const [, c, height, w] = layout.shapeOf(name)
    const size = precBytes[typeOf(name).prec]
    const within = localStrides(name, held, count)
    return Array.from({ length: strips }, (_, strip) => {
      const first = layout.baseOf(name, strip)
      const [top, bottom] = [Math.max(from, -first), Math.min(to, height - first)]
      const at = (view.offset + item * strides[0] + (first + top) * strides[2]) * size
      const offset = (top - held[0]) * w * size
      return {
        shape: [count, c, bottom - top, w] as Shape4,
        global: (base: number) => ({ address: base + at, strides }),
        local: (address: number) => ({ address: localAddress(strip * c, address + offset), strides: within }),
      }
    }).filter(({ shape }) => shape[2] > 0)
  }

  function valueTransfer(
    way: 0 | 1,
    name: string,
    range: Rows,
    buffer: Buffer,
    items: Items,
    commands: Transfer['commands'],
  ): Transfer {
    const { root } = graph.views.get(name)!
    // Strips take rows from everywhere, and flattened values have others.
    const rows = flat || strips > 1 ? undefined : { value: name, ...items, from: range[0], to: range[1] }
    return transfer(name, amountOf(way, range, items), buffer, root, rows, commands)
  }

  function transfer(
    what: string | Packed,
    amount: number,
    buffer: Buffer,
    root: string | Packed,
    rows: StoredRows,
    commands: Transfer['commands'],
  ): Transfer {
    const own = kept(known, what, () => new Map<number, number>())
    const cycles = kept(own, amount, () => commands(globalBase).reduce((sum, command) => sum + cyclesOf(command), 0))
    return { buffer, root, rows, commands, cycles }
  }
}
