/**
 * Outputs of networks whose grids are known by their sizes: which output belongs to which grid, and what it holds. The outputs may stand
 * in any order, and come in three forms:
 *
 *   together   per grid [n, all parts, h, w]
 *   apart      per grid and part [n, part, h, w]
 *   rows       [n, boxes of all grids, all parts], or such an output per part; finest grid first
 *
 * Channels may be the last axis in the first two, and the second one in the third. Only the first of the batch is read.
 */
import { QuantError } from '../../errors.js'
import type { Tensor } from '../../ir/graph.js'
import { type Form, fieldsFrom, type Grid, type Numbers } from './grid.js'

/** What a box is predicted by, in the order of channels. */
export interface Part {
  readonly name: 'box' | 'object' | 'classes'
  /** How many numbers per box; where the network decides, what it must be a multiple of. */
  readonly fields: number | { readonly multipleOf: number }
  /** Where that many comes from, for errors. */
  readonly because: string
}

export interface PartsSpec {
  readonly kind: string
  readonly parts: readonly Part[]
  /** Boxes per cell, finest grid first; undefined: one, in however many grids. */
  readonly perCell: readonly number[] | undefined
  /** Pixels per cell, finest grid first; none: as the sizes of grids say. */
  readonly strides: readonly number[]
  /** Without `strides`: cells share the input evenly (SSD), instead of being powers of two, of which the last may reach beyond it. */
  readonly even?: boolean
  /** [n, c, height, width] of the network's input. */
  readonly inputShape: readonly number[]
}

/** Of networks that do not say: the strides that detectors have, in their order. */
const powers = [4, 8, 16, 32, 64, 128]
const usualRuns = [[8, 16, 32], [8, 16, 32, 64], [8, 16, 32, 64, 128], [16, 32], [16], [8, 16], [32], [8]]

interface Size {
  readonly rows: number
  readonly columns: number
  readonly strideX: number
  readonly strideY: number
}

/** One output: the axes of a map, or of rows, without a meaning yet. */
interface Raw {
  readonly size: Size
  readonly channels: number
  readonly data: Float32Array
  readonly byCell: number
  readonly byChannel: number
}

/** @throws QuantError 'model' that says what was expected, and from which setting */
export function readGrids(outputs: readonly Tensor[], spec: PartsSpec): Grid[] {
  const dimensions = new Set(outputs.map(({ shape }) => shape.length))
  if (dimensions.size !== 1) throw unfit(outputs, spec)
  if (dimensions.has(4)) return fromMaps(outputs, spec)
  if (dimensions.has(3)) return fromRows(outputs, spec)
  throw unfit(outputs, spec)
}

/**
 * Rows of boxes that are decoded already: how many there are does not matter.
 * @throws QuantError 'model' that says what was expected, and from which setting
 */
export function readRows(outputs: readonly Tensor[], spec: PartsSpec): Grid {
  const whole = outputs.length === 1
  const wanted = whole ? [fieldsOfAll(spec)] : spec.parts.map(({ fields }) => fields as number)
  const sizes = new Set<number>()
  const raws = outputs.map(({ shape, data }): Raw => {
    const [, d1 = 0, d2 = 0] = shape
    const last = wanted.includes(d2)
    if (shape.length !== 3 || !(last || wanted.includes(d1))) throw unfit(outputs, spec)
    const rows = last ? d1 : d2
    sizes.add(rows)
    const size = { rows, columns: 1, strideX: 1, strideY: 1 }
    return last
      ? { size, channels: d2, data, byCell: d2, byChannel: 1 }
      : { size, channels: d1, data, byCell: 1, byChannel: rows }
  })
  const grid = sizes.size === 1 ? gridOf(raws, 1, spec, 'rows') : undefined
  if (grid === undefined) throw unfit(outputs, spec)
  return grid
}

function fromMaps(outputs: readonly Tensor[], spec: PartsSpec): Grid[] {
  const groups = new Map<string, Raw[]>()
  for (const output of outputs) {
    const raw = mapOf(output, spec)
    if (raw === undefined) throw unfit(outputs, spec)
    const key = `${raw.size.rows} x ${raw.size.columns}`
    groups.set(key, [...(groups.get(key) ?? []), raw])
  }
  const sorted = [...groups.values()].sort((a, b) => cellsOf(b[0]!.size) - cellsOf(a[0]!.size))
  if (spec.perCell && spec.perCell.length !== sorted.length) throw unfit(outputs, spec)
  return sorted.map((raws, index) => {
    const grid = gridOf(raws, spec.perCell?.[index] ?? 1, spec, raws.length === 1 ? 'together' : 'apart')
    if (grid === undefined) throw unfit(outputs, spec)
    return grid
  })
}

/** Channels first, or last where only that gives a grid of the input. */
function mapOf({ shape, data }: Tensor, spec: PartsSpec): Raw | undefined {
  const [, d1 = 0, d2 = 0, d3 = 0] = shape
  const first = sizeOfGrid(d2, d3, spec)
  if (first) return { size: first, channels: d1, data, byCell: 1, byChannel: d2 * d3 }
  const last = sizeOfGrid(d1, d2, spec)
  return last && { size: last, channels: d3, data, byCell: d3, byChannel: 1 }
}

/** A grid covers the input, its last cells perhaps beyond the border; else its cells are as large as the input makes them, and square. */
function sizeOfGrid(rows: number, columns: number, spec: PartsSpec): Size | undefined {
  const [, , height = 0, width = 0] = spec.inputShape
  for (const stride of spec.strides.length > 0 ? spec.strides : powers) {
    const size = sizeOfStride(stride, spec)
    if (size.rows === rows && size.columns === columns) return size
  }
  if (spec.strides.length > 0 || height / rows !== width / columns) return undefined
  return { rows, columns, strideX: width / columns, strideY: height / rows }
}

function sizeOfStride(stride: number, { strides, even = false, inputShape }: PartsSpec): Size {
  const [, , height = 0, width = 0] = inputShape
  const rows = Math.ceil(height / stride)
  const columns = Math.ceil(width / stride)
  return even && strides.length === 0
    ? { rows, columns, strideX: width / columns, strideY: height / rows }
    : { rows, columns, strideX: stride, strideY: stride }
}

function fromRows(outputs: readonly Tensor[], spec: PartsSpec): Grid[] {
  const found = rowsOf(outputs, spec)
  if (found === undefined) throw unfit(outputs, spec)
  const { sizes, boxes } = found
  let first = 0
  return sizes.map((size, index) => {
    const anchors = spec.perCell?.[index] ?? 1
    const raws = outputs.map(({ shape, data }): Raw => {
      const channels = shape[1] === boxes ? shape[2]! : shape[1]!
      const [byBox, byChannel] = shape[1] === boxes ? [channels, 1] : [1, boxes]
      return { size, channels, data: data.subarray(first * byBox), byCell: byBox, byChannel }
    })
    first += cellsOf(size) * anchors
    const grid = gridOf(raws, anchors, spec, 'rows')
    if (grid === undefined) throw unfit(outputs, spec)
    return grid
  })
}

/** The grids whose boxes are as many as one axis of the first output is long, and all others have such an axis too. */
function rowsOf(outputs: readonly Tensor[], spec: PartsSpec): { sizes: Size[]; boxes: number } | undefined {
  const { strides, perCell } = spec
  const runs = strides.length > 0 ? [strides] : perCell ? runsOf(perCell.length) : usualRuns
  for (const run of runs) {
    const sizes = run.map((stride) => sizeOfStride(stride, spec))
    const boxes = sizes.reduce((sum, size, index) => sum + cellsOf(size) * (perCell?.[index] ?? 1), 0)
    if (outputs.every(({ shape }) => shape[1] === boxes || shape[2] === boxes)) return { sizes, boxes }
  }
  return undefined
}

const runsOf = (count: number): number[][] =>
  [1, 0, 2, 3].map((first) => powers.slice(first, first + count)).filter((run) => run.length === count)

/** Parts to numbers; undefined where channels do not fit. Where two outputs fit a part, parts and outputs stand in the same order. */
function gridOf(raws: readonly Raw[], anchors: number, { parts }: PartsSpec, form: Form): Grid | undefined {
  const size = raws[0]!.size
  const perBox = (raw: Raw): number => (form === 'rows' ? raw.channels : raw.channels / anchors)
  const numbersOf = (raw: Raw): Numbers => ({
    data: raw.data,
    from: 0,
    byAnchor: form === 'rows' ? raw.byCell : perBox(raw) * raw.byChannel,
    byCell: form === 'rows' ? raw.byCell * anchors : raw.byCell,
    byField: raw.byChannel,
    fields: perBox(raw),
  })
  const found: Partial<Record<Part['name'], Numbers>> = {}
  if (raws.length === 1) {
    const all = numbersOf(raws[0]!)
    const fixed = parts.reduce((sum, { fields }) => sum + (typeof fields === 'number' ? fields : 0), 0)
    let first = 0
    for (const { name, fields } of parts) {
      const count = typeof fields === 'number' ? fields : all.fields - fixed
      if (!fits(count, fields)) return undefined
      found[name] = fieldsFrom(all, first, count)
      first += count
    }
    if (first !== all.fields) return undefined
  } else {
    if (raws.length !== parts.length) return undefined
    const free = [...raws]
    // Parts of a known size first; the last fitting output for the last part.
    const order = parts
      .toReversed()
      .sort((a, b) => Number(typeof a.fields !== 'number') - Number(typeof b.fields !== 'number'))
    for (const { name, fields } of order) {
      const at = free.findLastIndex((raw) => fits(perBox(raw), fields))
      if (at < 0) return undefined
      found[name] = numbersOf(free.splice(at, 1)[0]!)
    }
  }
  return { ...size, anchors, box: found.box!, object: found.object, classes: found.classes!, form }
}

function fits(count: number, fields: Part['fields']): boolean {
  if (typeof fields === 'number') return count === fields
  return count >= 4 && count % fields.multipleOf === 0
}

const cellsOf = ({ rows, columns }: Size): number => rows * columns
const fieldsOfAll = ({ parts }: PartsSpec): number => parts.reduce((sum, { fields }) => sum + (fields as number), 0)

function unfit(outputs: readonly Tensor[], { kind, parts, perCell, strides, inputShape }: PartsSpec): QuantError {
  const [, , height, width] = inputShape
  const shapes = outputs.map(({ shape }) => `[${shape.join(', ')}]`).join(', ')
  const wanted = parts
    .map(({ fields, because }) => `${typeof fields === 'number' ? fields : 'n'} (${because})`)
    .join(' + ')
  const each = perCell ? `, each times ${perCell.join(', ')} boxes per cell (detector.anchors)` : ''
  return new QuantError(
    'model',
    `outputs of ${shapes} are not those of ${kind} for an input of ${height} x ${width}: expected are ${wanted} numbers per box, in one output or one for each of these${each}${strides.length > 0 ? `, in grids of stride ${strides.join(', ')} (detector.strides)` : ''}`,
    { hint: 'compare verify.detector with the network, and model.outputs with where its heads end' },
  )
}
