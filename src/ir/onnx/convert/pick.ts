/**
 * Elements of one axis in any order: what Gather, Expand, Tile, Pad (edge, reflect, wrap) and nearest Resize come to. Made of Slice,
 * Upsample, Reshape and Concat, so that nothing behind the import knows of them.
 */
import type { Op } from '../../graph.js'
import type { Shape } from '../../shapes.js'
import type { OnnxNode } from '../node.js'

/** A layer that is not added yet. */
export interface Made {
  readonly op: Op
  readonly inputs: readonly string[]
  /** Only for Reshape. */
  readonly shape?: Shape
}

export const inner = (node: OnnxNode, what: string, { op, inputs, shape }: Made): string =>
  node.layer(what, op, inputs, shape)

/** The node's result. */
export const finish = (node: OnnxNode, { op, inputs, shape }: Made): void => node.add(op, inputs, shape)

export const reshaped = (layer: string, shape: Shape): Made => ({ op: { type: 'Reshape' }, inputs: [layer], shape })

export const permuted = (layer: string, order: readonly number[]): Made => ({
  op: { type: 'Permute', order },
  inputs: [layer],
})

const joined = (layers: readonly string[], axis: number): Made => ({
  op: { type: 'Concat', axis, relu: false, reluLimit: -1 },
  inputs: layers,
})

/** Parts that a Concat is made of at most: beyond that a network is not meant for a chip. */
const mostParts = 1024

/** Indices first, first + step, ... */
interface Run {
  readonly first: number
  readonly step: number
  readonly count: number
}

/** `layer` with its elements along `axis` replaced by those at `indices`. */
export function picked(node: OnnxNode, layer: string, axis: number, indices: readonly number[], what: string): Made {
  const shape = node.shapeOf(layer)
  const length = shape[axis]!
  const runs = runsOf(indices)
  if (runs.length === 1) return part(layer, shape, axis, runs[0]!)

  const times = indices.findIndex((index) => index !== 0)
  const repeat = times < 0 ? indices.length : times
  if (shape.length === 4 && axis > 1 && indices.every((index, i) => index === Math.floor(i / repeat))) {
    const op = { type: 'Upsample', scaleH: axis === 2 ? repeat : 1, scaleW: axis === 3 ? repeat : 1 } as const
    if (indices.length === length * repeat) return { op, inputs: [layer] }
    const whole = node.layer(`${what}_whole`, op, [layer])
    return part(whole, node.shapeOf(whole), axis, { first: 0, step: 1, count: indices.length })
  }

  const period = runs.length > 8 ? periodOf(indices, length) : undefined
  if (period !== undefined) {
    const { from, to } = period
    const apart = [...shape.slice(0, axis), length / from, from, ...shape.slice(axis + 1)]
    const split = inner(node, `${what}_apart`, reshaped(layer, apart))
    const own = inner(node, `${what}_picked`, picked(node, split, axis + 1, indices.slice(0, to), `${what}_period`))
    return reshaped(own, shape.with(axis, indices.length))
  }

  if (runs.length > mostParts) node.refuse(`picks elements in ${runs.length} parts, at most ${mostParts} are supported`)
  const known = new Map<string, string>()
  const parts = runs.map((run) => {
    const key = `${run.first} ${run.step} ${run.count}`
    const whole = run.first === 0 && run.step === 1 && run.count === length
    const one = whole ? layer : (known.get(key) ?? inner(node, `${what}${known.size}`, part(layer, shape, axis, run)))
    known.set(key, one)
    return one
  })
  return joined(parts, axis)
}

function part(layer: string, shape: Shape, axis: number, { first, step, count }: Run): Made {
  const along = (value: number, otherwise: (n: number) => number): number[] =>
    shape.map((n, i) => (i === axis ? value : otherwise(n)))
  const ends = along(first + (count - 1) * step + 1, (n) => n)
  return { op: { type: 'Slice', offsets: along(first, () => 0), ends, steps: along(step, () => 1) }, inputs: [layer] }
}

/** The longest runs from the start on. */
function runsOf(indices: readonly number[]): Run[] {
  const runs: Run[] = []
  for (let at = 0; at < indices.length; ) {
    const first = indices[at]!
    const step = Math.max(1, (indices[at + 1] ?? first + 1) - first)
    let count = 1
    while (at + count < indices.length && indices[at + count] === first + count * step) count++
    runs.push({ first, step: count === 1 ? 1 : step, count })
    at += count
  }
  return runs
}

/** The fewest elements `from` of the axis that become `to` of the result, every time in the same way. */
function periodOf(indices: readonly number[], length: number): { from: number; to: number } | undefined {
  for (let from = 1; from < length; from++) {
    const to = (indices.length / length) * from
    if (length % from !== 0 || !Number.isInteger(to)) continue
    if (indices.every((index, i) => index === indices[i % to]! + Math.floor(i / to) * from && indices[i % to]! < from))
      return { from, to }
  }
  return undefined
}
