/** How the values of a group are cut: their shapes in local memory, and which rows of each a slice needs, computes and stores. */
import { sizeOf } from '../../ir/graph.js'
import type { QNode } from '../../quantize/qgraph.js'
import { lanes } from '../chip.js'
import type { Shape4 } from '../layout.js'
import type { PlanGraph } from './graph.js'
import { isElementwise, operandRows, type RowMap, type Rows, rowMap } from './rows.js'
import { isPacked, packedStrides, shape4, strides4, type View } from './view.js'

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
  /** What a node's operand i, counted among the values, has to be. */
  wanted(node: QNode, i: number): Rows
  /** Padding above and below that the kernel adds. */
  pads(node: QNode): readonly [top: number, bottom: number]
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

/** @returns undefined where the ops or the shapes do not allow the tiling */
export function cutGroup(graph: PlanGraph, nodes: readonly QNode[], tiling: Tiling): Cut | undefined {
  const members = new Set(nodes.map(({ name }) => name))
  const valuesOf = (node: QNode): string[] => node.inputs.filter((name) => graph.nodes.has(name))
  const values = new Set(nodes.flatMap((node) => [node.name, ...valuesOf(node)]))
  const isStored = (name: string): boolean =>
    members.has(name) &&
    (graph.outside.has(name) || (graph.readers.get(name) ?? []).some((node) => !members.has(node.name)))
  const inGlobal = [...values].filter((name) => !members.has(name) || isStored(name))

  const shapes = new Map<string, Shape4>()
  for (const name of values) {
    const { shape } = graph.nodes.get(name)!
    shapes.set(name, tiling.flat ? flatShape(sizeOf(shape)) : shape4(shape))
  }
  if (tiling.flat) {
    const alike = nodes.every((node) => {
      const operands = valuesOf(node).map((name) => graph.nodes.get(name)!.shape)
      return isElementwise(node, operands, node.op.type === 'Lut' ? 0 : node.inputs.length - operands.length)
    })
    if (!alike || tiling.strips > 1 || !inGlobal.every((name) => isPacked(graph.views.get(name)!))) return undefined
  }
  // What the group stores must not be what it loads under another name.
  const loaded = inGlobal.filter((name) => !members.has(name))
  for (const name of inGlobal) {
    if (!members.has(name)) continue
    if (loaded.some((other) => touching(graph.views.get(name)!, graph.views.get(other)!))) return undefined
  }
  const batch = shapes.get(nodes[0]!.name)![0]
  const oneByOne = [...shapes.values()].every(([n]) => n === batch) && nodes.every(({ shape }) => shape.length === 4)
  if (tiling.batch === 'one' && (batch === 1 || !oneByOne)) return undefined
  if (tiling.strips > 1 && batch > 1 && tiling.batch === 'all') return undefined

  const height = (name: string): number => shapes.get(name)![2]
  const mapOf = (node: QNode, name: string): RowMap =>
    tiling.flat ? { kind: 'same' } : rowMap(node, shapes.get(name)!, shapes.get(node.name)!)
  const strip = tiling.strips > 1 ? stripHeights() : new Map<string, number>()
  if (strip === undefined) return undefined
  const edges = tiling.strips > 1 ? edgesOf() : new Map<string, Edge>()
  if (edges === undefined) return undefined
  const ownHeight = (name: string): number => (tiling.strips > 1 ? strip.get(name)! : height(name))
  const results = nodes.map(({ name }) => name).filter(isStored)

  return {
    batch,
    shapeOf: (value) => shapes.get(value)!,
    globalOf(value) {
      const view = graph.views.get(value)!
      const shape = shapes.get(value)!
      return { view, strides: tiling.flat ? (packedStrides(shape) as unknown as Shape4) : strides4(view)! }
    },
    countOf: (slices) =>
      Math.max(...results.map((name) => Math.ceil(ownHeight(name) / Math.ceil(ownHeight(name) / slices)))),
    rowsOf,
    baseOf: (value, index) => (tiling.strips > 1 ? index * strip.get(value)! : 0),
    edges,
    outsideRows(value, index, [from, to]) {
      if (tiling.strips === 1) return []
      const base = index * strip.get(value)!
      const above: Rows = [from, Math.min(to, -base)]
      const below: Rows = [Math.max(from, height(value) - base), to]
      return [above, below].filter(([a, b]) => a < b)
    },
  }

  function rowsOf(slice: number, slices: number): SliceRows | undefined {
    const needed = new Map<string, Rows>()
    const own = new Map<string, Rows>()
    const clip = ([from, to]: Rows, name: string): Rows =>
      tiling.strips > 1 ? [from, to] : [Math.max(0, from), Math.min(height(name), to)]
    const add = (name: string, [from, to]: Rows): void => {
      const before = needed.get(name)
      needed.set(name, before === undefined ? [from, to] : [Math.min(from, before[0]), Math.max(to, before[1])])
    }
    const raw = (node: QNode, name: string): Rows =>
      operandRows(mapOf(node, name), needed.get(node.name)!, height(name))
    for (const node of nodes.toReversed()) {
      if (isStored(node.name)) {
        const rows = ownHeight(node.name)
        const each = Math.ceil(rows / slices)
        const range = [Math.min(rows, slice * each), Math.min(rows, (slice + 1) * each)] as const
        own.set(node.name, range)
        if (range[1] > range[0]) add(node.name, range)
      }
      const rows = needed.get(node.name)
      if (rows === undefined) continue
      // Rows of an Upsample are made in bundles.
      if (node.op.type === 'Upsample' && !tiling.flat) {
        const factor = node.op.scaleH
        needed.set(node.name, [Math.floor(rows[0] / factor) * factor, Math.ceil(rows[1] / factor) * factor])
      }
      for (const name of valuesOf(node)) {
        const range = clip(raw(node, name), name)
        if (range[0] >= range[1]) return undefined
        add(name, range)
      }
    }
    return {
      needed,
      stored: own,
      wanted: (node, i) => {
        const name = valuesOf(node)[i]!
        return clip(raw(node, name), name)
      },
      pads(node) {
        const [name] = valuesOf(node)
        if (tiling.strips > 1 || name === undefined || mapOf(node, name).kind !== 'window') return [0, 0]
        const [from, to] = raw(node, name)
        return [Math.max(0, -from), Math.max(0, to - height(name))]
      },
    }
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
        // Of several results, those that share nothing with the first are cut in proportion.
        const [first] = [...found.keys()].filter((name) => members.has(name))
        const rows = height(node.name)
        const own = first === undefined ? Math.ceil(rows / tiling.strips) : (found.get(first)! * rows) / height(first)
        if (!set(node.name, own)) return undefined
      }
      const rows = found.get(node.name)!
      if (isStored(node.name) && rows * tiling.strips < height(node.name)) return undefined
      for (const name of valuesOf(node)) {
        const map = mapOf(node, name)
        if (map.kind === 'all') return undefined
        const factor = map.kind === 'window' ? map.stride : map.kind === 'repeat' ? 1 / map.factor : 1
        if (!set(name, rows * factor)) return undefined
        if (shapes.get(name)![1] * tiling.strips > lanes) return undefined
      }
      if (shapes.get(node.name)![1] * tiling.strips > lanes) return undefined
    }
    return found
  }

  /** Undefined where two ops want different values there. */
  function edgesOf(): Map<string, Edge> | undefined {
    const found = new Map<string, Edge>()
    for (const node of nodes) {
      for (const name of valuesOf(node)) {
        const map = mapOf(node, name)
        if (map.kind !== 'window' || (map.padTop === 0 && map.padBottom === 0)) continue
        const edge: Edge = node.op.type === 'MaxPool' ? 'lowest' : 'zero'
        if ((found.get(name) ?? edge) !== edge) return undefined
        found.set(name, edge)
      }
    }
    return found
  }
}

/** Elements as up to 64 channels of rows; a shape that the elements fill exactly. */
function flatShape(size: number): Shape4 {
  const divisor = (of: number, most: number): number => {
    let found = Math.min(of, most)
    while (of % found !== 0) found--
    return found
  }
  const channels = divisor(size, lanes)
  const width = divisor(size / channels, 1024)
  return [1, channels, size / channels / width, width]
}

function touching(a: View, b: View): boolean {
  if (a.root !== b.root) return false
  const end = ({ offset, shape, strides }: View): number =>
    offset + shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0) + 1
  return a.offset < end(b) && b.offset < end(a)
}
