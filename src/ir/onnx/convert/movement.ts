/** Operators that move values and compute nothing. */

import { broadcast, type Shape, showShape } from '../../shapes.js'
import { type Convert, integers, type OnnxNode, wholeAxis } from '../node.js'
import { TensorProto_DataType as Type } from '../onnx_pb.js'
import { flattened, reshapeTarget, squeezed, unsqueezed } from '../reshape.js'
import { spanOf } from '../span.js'
import { finish, inner, type Made, permuted, picked, reshaped } from './pick.js'
import { imageSize } from './window.js'

const toShape =
  (shapeFor: (node: OnnxNode, shape: Shape) => Shape): Convert =>
  (node) =>
    node.add({ type: 'Reshape' }, [node.value(0)], shapeFor(node, node.shape(0)))

export const reshape = toShape(reshapeTarget)
export const flatten = toShape(flattened)
export const squeeze = toShape(squeezed)
export const unsqueeze = toShape(unsqueezed)

export const identity: Convert = (node) => node.alias(node.value(0))

export const dropout: Convert = (node) => {
  if (node.constant(2)?.data[0]) node.refuse('is in training mode', 'export the model in evaluation mode')
  node.alias(node.value(0))
}

/** Between float types: everything is float32 here. So are indices, which are whole already. */
export const cast: Convert = (node) => {
  const to = node.attributes.int('to') ?? 0
  const index = node.opOf(node.value(0)).type === 'ArgMax' && [Type.INT32, Type.INT64].includes(to)
  if (!index && ![Type.FLOAT, Type.FLOAT16, Type.DOUBLE].includes(to))
    node.refuse('casts a computed tensor to integers')
  node.alias(node.value(0))
}

export const transpose: Convert = (node) => {
  const order = node.attributes.ints('perm') ?? node.shape(0).map((_, axis, { length }) => length - 1 - axis)
  node.add({ type: 'Permute', order }, [node.value(0)])
}

export const slice: Convert = (node) => node.add({ type: 'Slice', ...spanOf(node, node.shape(0)) }, [node.value(0)])

/** Every part is a Slice, called after the last result: `<last>_<i>_Split`. */
export const split: Convert = (node) => {
  const shape = node.shape(0)
  const axis = wholeAxis(node, node.attributes.int('axis') ?? 0, shape.length)
  const length = shape[axis]!
  const parts = node.outputs.length
  // Without sizes: equal parts, the last one smaller.
  const sizes = integers(node, 'split', 1) ?? equalParts(length, parts)
  if (sizes.length !== parts || sizes.some((n) => n < 1) || sizes.reduce((a, b) => a + b, 0) !== length)
    node.refuse(`cannot split axis ${axis} of ${showShape(shape)} in [${sizes}]`)
  let start = 0
  for (const [i, size] of sizes.entries()) {
    const span = {
      offsets: shape.map((_, a) => (a === axis ? start : 0)),
      ends: shape.map((n, a) => (a === axis ? start + size : n)),
      steps: shape.map(() => 1),
    }
    start += size
    node.addPart(i, `${node.outputs.at(-1)}_${i}_Split`, { type: 'Slice', ...span }, [node.value(0)])
  }
}

function equalParts(length: number, parts: number): number[] {
  const size = Math.ceil(length / parts)
  return Array.from({ length: parts }, (_, i) => Math.min(size, length - i * size))
}

/** Before opset 11 pads are attributes, operands since; `axes` since 18. Negative pads cut off. */
export const pad: Convert = (node) => {
  const mode = node.attributes.string('mode') || 'constant'
  if (!['constant', 'reflect', 'edge', 'wrap'].includes(mode)) node.refuse(`mode ${mode} is not supported`)
  const shape = node.shape(0)
  const rank = shape.length
  const given = integers(node, 'pads', 1) ?? node.refuse('has no pads')
  const axes = integers(node, 'axes', 3)?.map((axis) => wholeAxis(node, axis, rank)) ?? shape.map((_, axis) => axis)
  if (given.length !== 2 * axes.length) node.refuse(`pads [${given}] do not fit rank ${rank}`)
  const paddings = Array.from({ length: 2 * rank }, () => 0)
  for (const [i, axis] of axes.entries()) {
    paddings[axis] = given[i]!
    paddings[axis + rank] = given[i + axes.length]!
  }
  const whole = node.value(0)
  const kept = shape.map((n, axis) => range(Math.max(0, -paddings[axis]!), n - Math.max(0, -paddings[axis + rank]!)))
  if (kept.some(({ length }) => length === 0)) node.refuse(`pads [${given}] cut off all of ${showShape(shape)}`)
  const cut = kept.some(({ length }, axis) => length !== shape[axis])
  const x = cut ? inner(node, 'cut', sliced(whole, kept)) : whole
  const added = paddings.map((n) => Math.max(0, n))
  if (mode === 'constant') {
    const value = node.has(2) ? node.known(2, 'its value').data[0] : node.attributes.float('value')
    return node.add({ type: 'Pad', paddings: added, value: value ?? 0 }, [x])
  }
  const place: (i: number, n: number) => number =
    mode === 'edge'
      ? (i, n) => Math.min(Math.max(i, 0), n - 1)
      : mode === 'wrap'
        ? (i, n) => ((i % n) + n) % n
        : (i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i)
  let made = reshaped(x, node.shapeOf(x))
  for (const axis of shape.map((_, axis) => axis)) {
    const [n, before, after] = [kept[axis]!.length, added[axis]!, added[axis + rank]!]
    if (before + after === 0) continue
    if (before + after > mostPicked || (mode === 'reflect' && Math.max(before, after) >= n))
      node.refuse(`cannot pad axis ${axis} of ${showShape(shape)} by ${before} and ${after} (${mode})`)
    const layer = made.op.type === 'Reshape' ? x : inner(node, `axis${axis}`, made)
    made = picked(
      node,
      layer,
      axis,
      range(-before, n + after).map((i) => place(i, n)),
      `axis${axis}_`,
    )
  }
  finish(node, made)
}

/** What an axis may grow to by repeating elements. */
const mostPicked = 2 ** 16

const range = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)

const sliced = (layer: string, kept: readonly (readonly number[])[]): Made => ({
  op: {
    type: 'Slice',
    offsets: kept.map((indices) => indices[0]!),
    ends: kept.map((indices) => indices.at(-1)! + 1),
    steps: kept.map(() => 1),
  },
  inputs: [layer],
})

/** With a constant index: one number drops the axis, a list replaces it, a table replaces it by its own axes. */
export const gather: Convert = (node) => {
  const shape = node.shape(0)
  const at = node.known(1, 'its indices')
  const axis = wholeAxis(node, node.attributes.int('axis') ?? 0, shape.length)
  if (at.data.length === 0 || at.data.length > mostPicked) node.refuse(`picks ${at.data.length} elements`)
  const indices = Array.from(at.data, (i) => wholeAxis(node, i, shape[axis]!))
  const made = picked(node, node.value(0), axis, indices, 'part')
  if (at.shape.length === 1) finish(node, made)
  else finish(node, reshaped(inner(node, 'picked', made), shape.toSpliced(axis, 1, ...at.shape)))
}

/** Repeats along several axes, one after the other. */
function repeated(node: OnnxNode, layer: string, indicesOf: (axis: number, n: number) => number[]): Made {
  const shape = node.shapeOf(layer)
  let made = reshaped(layer, shape)
  for (const [axis, n] of shape.entries()) {
    const indices = indicesOf(axis, n)
    if (indices.length === n) continue
    const before = made.op.type === 'Reshape' ? layer : inner(node, `axis${axis}`, made)
    made = picked(node, before, axis, indices, `axis${axis}_`)
  }
  return made
}

export const expand: Convert = (node) => {
  const shape = node.shape(0)
  const asked = Array.from(node.known(1, 'its shape').data)
  const target = broadcast(shape, asked) ?? node.refuse(`cannot spread ${showShape(shape)} over [${asked}]`)
  if (target.some((n) => n > mostPicked)) node.refuse(`asks for shape [${asked}]`)
  const aligned = [...target.slice(shape.length).map(() => 1), ...shape]
  const x = aligned.length === shape.length ? node.value(0) : inner(node, 'aligned', reshaped(node.value(0), aligned))
  finish(
    node,
    repeated(node, x, (axis, n) => (n === target[axis] ? range(0, n) : new Array<number>(target[axis]!).fill(0))),
  )
}

export const tile: Convert = (node) => {
  const repeats = Array.from(node.known(1, 'its repeats').data)
  const shape = node.shape(0)
  if (repeats.length !== shape.length || shape.some((n, i) => !(repeats[i]! >= 1 && n * repeats[i]! <= mostPicked)))
    node.refuse(`cannot repeat ${showShape(shape)} [${repeats}] times`)
  finish(
    node,
    repeated(node, node.value(0), (axis, n) => range(0, n * repeats[axis]!).map((i) => i % n)),
  )
}

/** Channels become blocks of pixels: the block's place is the slowest part of the channel (DCR) or the fastest (CRD). */
export const depthToSpace: Convert = (node) => {
  const [n, c, h, w, block] = blocks(node)
  const mode = node.attributes.string('mode') || 'DCR'
  const own = c / block / block
  if (!Number.isInteger(own)) node.refuse(`${c} channels do not divide into blocks of ${block}x${block}`)
  const shape = mode === 'CRD' ? [n, own, block, block, h, w] : [n, block, block, own, h, w]
  const order = mode === 'CRD' ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]
  const apart = inner(node, 'apart', reshaped(node.value(0), shape))
  const turned = inner(node, 'turned', permuted(apart, order))
  finish(node, reshaped(turned, [n, own, h * block, w * block]))
}

export const spaceToDepth: Convert = (node) => {
  const [n, c, h, w, block] = blocks(node)
  const [rows, columns] = [h / block, w / block]
  if (!Number.isInteger(rows) || !Number.isInteger(columns))
    node.refuse(`${h}x${w} does not divide into blocks of ${block}x${block}`)
  const apart = inner(node, 'apart', reshaped(node.value(0), [n, c, rows, block, columns, block]))
  const turned = inner(node, 'turned', permuted(apart, [0, 3, 5, 1, 2, 4]))
  finish(node, reshaped(turned, [n, c * block * block, rows, columns]))
}

function blocks(node: OnnxNode): [n: number, c: number, h: number, w: number, block: number] {
  const shape = node.shape(0)
  imageSize(node, shape)
  const block = node.attributes.int('blocksize') ?? 0
  if (!(block >= 1)) node.refuse(`blocksize ${block} is not positive`)
  return [...(shape as [number, number, number, number]), block]
}
