/**
 * What one node takes for some rows of its result: rows of its operands, padding, shapes in local memory. The search for groups asks
 * for the same rows in hundreds of groups, so every answer is kept.
 */
import { sizeOf } from '../../ir/graph.js'
import type { QNode } from '../../quantize/qgraph.js'
import { lanes } from '../chip.js'
import { alignedBytes, type Shape4 } from '../layout.js'
import { type PlanGraph, stored } from './graph.js'
import { kept } from './kept.js'
import { isElementwise, isWhole, operandRows, type RowMap, type Rows, rowMap } from './rows.js'
import type { Tiling } from './slices.js'
import { shape4 } from './view.js'

export interface NodeSlice {
  /** Of the result: those that were asked for, or more where they are made in bundles or as a whole. */
  readonly rows: Rows
  /** What each operand has to be, counted among the values. */
  readonly wanted: readonly Rows[]
  /** Padding above and below that the kernel adds. */
  readonly padTop: number
  readonly padBottom: number
  /** In local memory, strips side by side. */
  readonly inputs: readonly Shape4[]
  readonly output: Shape4
  /** Of a lane that the result takes. */
  readonly bytes: number
}

export interface Slicer {
  /** The operands of a node that are values. */
  valuesOf(node: QNode): readonly string[]
  /** [n, c, h, w] of a whole value; c of one strip. */
  shapeOf(value: string, flat: boolean): Shape4
  /** How rows of an operand follow from rows of the result. */
  mapOf(node: QNode, value: string, flat: boolean): RowMap
  /** Whether any shape of the same elements will do. */
  isAlike(node: QNode): boolean
  /**
   * @param count items of the batch
   * @returns what makes the rows of a node's result; undefined where windows would see only padding
   */
  of(tiling: Tiling, count: number): (node: QNode, rows: Rows) => NodeSlice | undefined
}

const same: RowMap = { kind: 'same' }

export function startSlicer(graph: PlanGraph): Slicer {
  const values = new Map<QNode, readonly string[]>()
  const valuesOf = (node: QNode): readonly string[] =>
    kept(values, node, () => node.inputs.filter((name) => graph.nodes.has(name)))
  const flat = new Map<string, Shape4>()
  const plain = new Map<string, Shape4>()
  const shapeOf = (value: string, isFlat: boolean): Shape4 =>
    isFlat
      ? kept(flat, value, () => flatShape(sizeOf(graph.nodes.get(value)!.shape)))
      : kept(plain, value, () => shape4(graph.nodes.get(value)!.shape))
  const mapOf = (node: QNode, value: string, isFlat: boolean): RowMap =>
    isFlat ? same : rowMap(node, shapeOf(value, false), shapeOf(node.name, false))
  const alike = new Map<QNode, boolean>()
  const tables = new Map<string, Map<QNode, Map<number, NodeSlice | undefined>>>()

  return {
    valuesOf,
    shapeOf,
    mapOf,
    isAlike: (node) =>
      kept(alike, node, () => {
        const operands = valuesOf(node).map((name) => graph.nodes.get(name)!.shape)
        return isElementwise(node, operands, node.op.type === 'Lut' ? 0 : node.inputs.length - operands.length)
      }),
    of(tiling, count) {
      const table = kept(tables, `${tiling.strips} ${tiling.flat} ${count}`, () => new Map())
      return (node, rows) => {
        const own = kept(table, node, () => new Map())
        // Rows of strips may lie outside the picture; never by 2^25.
        const key = rows[0] * 2 ** 26 + rows[1]
        const before = own.get(key)
        if (before !== undefined || own.has(key)) return before
        const made = slice(node, rows, tiling, count)
        own.set(key, made)
        return made
      }
    },
  }

  function slice(node: QNode, asked: Rows, { strips, flat }: Tiling, count: number): NodeSlice | undefined {
    const names = valuesOf(node)
    const height = (name: string): number => shapeOf(name, flat)[2]
    const rows = flat ? asked : bundled(node, asked, height(node.name))
    const maps = names.map((name) => mapOf(node, name, flat))
    const raw = names.map((name, i) => operandRows(maps[i]!, rows, height(name)))
    const wanted = raw.map(
      ([from, to], i): Rows => (strips > 1 ? [from, to] : [Math.max(0, from), Math.min(height(names[i]!), to)]),
    )
    if (wanted.some(([from, to]) => from >= to)) return undefined
    const local = (name: string, [from, to]: Rows): Shape4 => {
      const [, c, , w] = shapeOf(name, flat)
      return [count, c * strips, to - from, w]
    }
    const output = local(node.name, rows)
    const [padTop, padBottom] = pads()
    return {
      rows,
      wanted,
      padTop,
      padBottom,
      inputs: wanted.map((range, i) => local(names[i]!, range)),
      output,
      bytes: alignedBytes(output, stored(node.type).prec),
    }

    function pads(): readonly [top: number, bottom: number] {
      if (strips > 1 || names.length === 0) return [0, 0]
      // An average that leaves out the padding sees the whole picture.
      if (node.op.type === 'AvgPool' && maps[0]!.kind === 'all') return [node.op.pads[0], node.op.pads[2]]
      if (maps[0]!.kind !== 'window') return [0, 0]
      const [from, to] = raw[0]!
      return [Math.max(0, -from), Math.max(0, to - height(names[0]!))]
    }
  }
}

/** Rows of an Upsample are made in bundles, some results as a whole. */
function bundled(node: QNode, rows: Rows, height: number): Rows {
  if (isWhole(node)) return [0, height]
  if (node.op.type !== 'Upsample') return rows
  const factor = node.op.scaleH
  return [Math.floor(rows[0] / factor) * factor, Math.ceil(rows[1] / factor) * factor]
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
