/** How the values of a group are cut: their shapes in local memory, and which rows of each a slice needs, computes and stores. */
import type { QNode } from '../../quantize/qgraph.js'
import { lanes } from '../chip.js'
import type { Shape4 } from '../layout.js'
import type { PlanGraph } from './graph.js'
import type { RowMap, Rows } from './rows.js'
import type { NodeSlice, Slicer } from './sliced.js'
import { isPacked, packedStrides, strides4, type View } from './view.js'

/** How the values of a group are laid out in lanes and loaded. */
export interface Tiling {
  /** Items of the batch in a slice: all or one. */
  readonly batch: 'all' | 'one'
  /** That many parts of the picture side by side as channels. */
  readonly strips: number
  /** Values are seen as up to 64 equal runs of elements, whatever their shapes. */
  readonly flat: boolean
  /** Coefficients stay for all slices; else they are loaded again for each. */
  readonly resident: boolean
}

/** Rows of values in one slice; with strips, counted from where each strip begins. */
export interface SliceRows {
  /** Of every value that the slice holds. */
  readonly needed: ReadonlyMap<string, Rows>
  /** Of every value that is written to global memory: no row belongs to two slices. */
  readonly stored: ReadonlyMap<string, Rows>
  /** How each node's rows are made; none of a node that the slice does not need. */
  readonly made: ReadonlyMap<QNode, NodeSlice>
}

/** What rows outside the picture hold, so that the ops that read them are not disturbed. */
export type Edge = 'zero' | 'lowest'

export interface Cut {
  readonly batch: number
  /** [n, c, h, w] of the whole value; c of one strip. */
  shapeOf(value: string): Shape4
  /** Where it lies in global memory, seen in that shape. */
  globalOf(value: string): { readonly view: View; readonly strides: Shape4 }
  /** How many slices it takes when results are cut in `slices` equal parts: fewer, where parts of whole rows fill the height before. */
  countOf(slices: number): number
  /** Of slice `slice` of `slices`. Undefined where windows would see only padding. */
  rowsOf(slice: number, slices: number): SliceRows | undefined
  /** The row at which a strip begins. */
  baseOf(value: string, strip: number): number
  /** Values of which rows outside the picture are read. */
  readonly edges: ReadonlyMap<string, Edge>
  /** Which of the rows of a strip lie outside the picture. */
  outsideRows(value: string, strip: number, rows: Rows): Rows[]
}

/** A larger batch is not computed item by item: there would be too many steps to plan. */
const mostItems = 256

/** A group and what of it lies in global memory, however it is cut. */
export interface Borders {
  readonly nodes: readonly QNode[]
  /** Everything that is computed or read. */
  readonly values: ReadonlySet<string>
  /** What is computed and read by others. */
  readonly stored: ReadonlySet<string>
  /** Neither is written under one name what is read under another. */
  readonly apart: boolean
}

export function bordersOf(graph: PlanGraph, slicer: Slicer, nodes: readonly QNode[]): Borders {
  const members = new Set(nodes.map(({ name }) => name))
  const values = new Set(members)
  for (const node of nodes) for (const name of slicer.valuesOf(node)) values.add(name)
  const isStored = (name: string): boolean =>
    graph.outside.has(name) || (graph.readers.get(name) ?? []).some((node) => !members.has(node.name))
  const stored = new Set(nodes.map(({ name }) => name).filter(isStored))
  const loaded = [...values].filter((name) => !members.has(name)).map((name) => graph.views.get(name)!)
  const apart = [...stored].every((name) => !loaded.some((other) => touching(graph.views.get(name)!, other)))
  return { nodes, values, stored, apart }
}

/** @returns undefined where the ops or the shapes do not allow the tiling */
export function cutGroup(
  graph: PlanGraph,
  slicer: Slicer,
  { nodes, values, stored, apart }: Borders,
  tiling: Tiling,
): Cut | undefined {
  if (!apart) return undefined
  const { strips, flat } = tiling
  const members = new Set(nodes.map(({ name }) => name))
  if (flat) {
    const packed = (name: string): boolean =>
      (members.has(name) && !stored.has(name)) || isPacked(graph.views.get(name)!)
    if (strips > 1 || !nodes.every(slicer.isAlike) || ![...values].every(packed)) return undefined
  }
  const shapeOf = (name: string): Shape4 => slicer.shapeOf(name, flat)
  const shapes = [...values].map(shapeOf)
  // Commands have 16 bits for a side; of rows a slice takes a part.
  if (shapes.some(([n, c, , w]) => Math.max(n, c, w) > 65535)) return undefined
  const batch = shapeOf(nodes[0]!.name)[0]
  // A slice holds as many items of one value as of another: a matrix seen with its heads as channels does not go with one that has them as items.
  if (shapes.some(([n]) => n !== batch)) return undefined
  const oneByOne = nodes.every(({ shape }) => shape.length === 4)
  if (tiling.batch === 'one' && (batch === 1 || batch > mostItems || !oneByOne)) return undefined
  if (strips > 1 && batch > 1 && tiling.batch === 'all') return undefined

  const height = (name: string): number => shapeOf(name)[2]
  const mapOf = (node: QNode, name: string): RowMap => slicer.mapOf(node, name, flat)
  const strip = strips > 1 ? stripHeights() : new Map<string, number>()
  if (strip === undefined) return undefined
  const edges = strips > 1 ? edgesOf() : new Map<string, Edge>()
  if (edges === undefined) return undefined
  const ownHeight = (name: string): number => (strips > 1 ? strip.get(name)! : height(name))
  const heights = [...new Set([...stored].map(ownHeight))]
  const sliced = slicer.of(tiling, tiling.batch === 'one' ? 1 : batch)

  return {
    batch,
    shapeOf,
    globalOf(value) {
      const view = graph.views.get(value)!
      const shape = shapeOf(value)
      return { view, strides: flat ? (packedStrides(shape) as unknown as Shape4) : strides4(view)! }
    },
    countOf: (slices) => Math.max(...heights.map((rows) => Math.ceil(rows / Math.ceil(rows / slices)))),
    rowsOf,
    baseOf: (value, index) => (strips > 1 ? index * strip.get(value)! : 0),
    edges,
    outsideRows(value, index, [from, to]) {
      if (strips === 1) return []
      const base = index * strip.get(value)!
      const above: Rows = [from, Math.min(to, -base)]
      const below: Rows = [Math.max(from, height(value) - base), to]
      return [above, below].filter(([a, b]) => a < b)
    },
  }

  function rowsOf(slice: number, slices: number): SliceRows | undefined {
    const needed = new Map<string, Rows>()
    const own = new Map<string, Rows>()
    const made = new Map<QNode, NodeSlice>()
    const add = (name: string, rows: Rows): void => {
      const before = needed.get(name)
      const within = before !== undefined && before[0] <= rows[0] && before[1] >= rows[1]
      if (within) return
      needed.set(name, before ? [Math.min(rows[0], before[0]), Math.max(rows[1], before[1])] : rows)
    }
    for (let index = nodes.length - 1; index >= 0; index--) {
      const node = nodes[index]!
      if (stored.has(node.name)) {
        const rows = ownHeight(node.name)
        const each = Math.ceil(rows / slices)
        const range = [Math.min(rows, slice * each), Math.min(rows, (slice + 1) * each)] as const
        own.set(node.name, range)
        if (range[1] > range[0]) add(node.name, range)
      }
      const rows = needed.get(node.name)
      if (rows === undefined) continue
      const part = sliced(node, rows)
      if (part === undefined) return undefined
      made.set(node, part)
      const values = slicer.valuesOf(node)
      for (let i = 0; i < values.length; i++) add(values[i]!, part.wanted[i]!)
    }
    return { needed, stored: own, made }
  }

  /** Rows of every value per strip, such that strip s of all of them begins at s times that; undefined where they do not match. */
  function stripHeights(): Map<string, number> | undefined {
    const found = new Map<string, number>()
    const set = (name: string, rows: number): boolean => {
      const before = found.get(name)
      if (before !== undefined) return before === rows
      found.set(name, rows)
      return Number.isInteger(rows)
    }
    for (const node of nodes.toReversed()) {
      if (!found.has(node.name)) {
        // Of several results, those that share nothing with the last are cut in proportion.
        const last = nodes.at(-1)!
        const rows = height(node.name)
        const own = node === last ? Math.ceil(rows / strips) : (found.get(last.name)! * rows) / height(last.name)
        if (!set(node.name, own)) return undefined
      }
      const rows = found.get(node.name)!
      if (stored.has(node.name) && rows * strips < height(node.name)) return undefined
      for (const name of slicer.valuesOf(node)) {
        const map = mapOf(node, name)
        if (map.kind === 'all') return undefined
        const factor = map.kind === 'window' ? map.stride : map.kind === 'repeat' ? 1 / map.factor : 1
        if (!set(name, rows * factor)) return undefined
        if (shapeOf(name)[1] * strips > lanes) return undefined
      }
      if (shapeOf(node.name)[1] * strips > lanes) return undefined
    }
    return found
  }

  /** Undefined where two ops want different values there. */
  function edgesOf(): Map<string, Edge> | undefined {
    const found = new Map<string, Edge>()
    for (const node of nodes) {
      for (const name of slicer.valuesOf(node)) {
        const map = mapOf(node, name)
        if (map.kind !== 'window' || (map.padTop === 0 && map.padBottom === 0)) continue
        const edge: Edge = node.op.type === 'MaxPool' ? 'lowest' : 'zero'
        if ((found.get(name) ?? edge) !== edge) return undefined
        found.set(name, edge)
      }
    }
    // A conv reads all strips at once, with a filter of 0 for all but one: what nothing wrote may be infinite, and 0 times that is not 0.
    if (nodes.some(({ op }) => op.type === 'Conv' && op.group === 1)) {
      const made = new Set(nodes.map(({ name }) => name))
      for (const node of nodes)
        for (const name of slicer.valuesOf(node)) if (!made.has(name) && !found.has(name)) found.set(name, 'zero')
    }
    return found
  }
}

function touching(a: View, b: View): boolean {
  if (a.root !== b.root) return false
  const end = ({ offset, shape, strides }: View): number =>
    offset + shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0) + 1
  return a.offset < end(b) && b.offset < end(a)
}
