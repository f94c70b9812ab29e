/**
 * Resize and Upsample. Nearest: whole factors that repeat pixels are an Upsample, all else is picked along each axis. Linear:
 * every result row (then column) is a weighted sum of rows: a convolution of 1x1 over an image whose channels are the rows.
 */
import { mostNumbers } from '../constant.js'
import { type Convert, integers, type OnnxNode } from '../node.js'
import { finish, inner, type Made, permuted, picked, reshaped } from './pick.js'
import { onePixel } from './window.js'

/** An axis that is resized. */
interface Axis {
  readonly axis: number
  readonly from: number
  readonly to: number
  readonly scale: number
}

/** Longer axes are no pictures. */
const longest = 2 ** 16

export const resize: Convert = (node) => {
  const shape = node.shape(0)
  const { fround } = Math
  const { scales, sizes } = targetOf(node)
  const axes = shape.map((from, axis): Axis => {
    const scale = fround(scales?.[axis] ?? sizes![axis]! / from)
    const to = sizes?.[axis] ?? Math.floor(fround(from * scale))
    if (!(scale > 0) || !(to >= 1) || to > longest || (sizes === undefined && scales![axis] === undefined))
      node.refuse(`cannot resize axis ${axis} of ${from} by ${scale}`)
    return { axis, from, to, scale }
  })
  const changed = axes.filter(({ from, to, scale }) => from !== to || scale !== 1)
  const mode = node.attributes.string('mode') || 'nearest'
  if (mode === 'nearest') finish(node, nearest(node, changed))
  else if (mode === 'linear' || mode === 'bilinear') finish(node, linear(node, changed))
  else node.refuse(`mode ${mode} is not supported`, 'export with mode nearest or linear')
}

/** Factors or sizes, one per axis, wherever the opset keeps them. */
function targetOf(node: OnnxNode): { scales: number[] | undefined; sizes: number[] | undefined } {
  const shape = node.shape(0)
  const old = node.attributes.floats('scales')
  if (old && old.length !== shape.length) node.refuse(`scales [${old}] are not one per axis of [${shape}]`)
  if (old) return { scales: old, sizes: undefined }
  // Upsample and Resize-10: (x, scales); since 11: (x, roi, scales, sizes). An absent operand may be an empty tensor.
  const [first, second] = node.type === 'Upsample' || node.opset < 11 ? [1, 3] : [2, 3]
  const axes = node.attributes.ints('axes') ?? shape.map((_, axis) => axis)
  const perAxis = (given: number[], otherwise: readonly number[]): number[] => {
    if (given.length !== axes.length) node.refuse(`[${given}] are not one per axis of [${axes}]`)
    return shape.map((_, axis) => {
      const at = axes.findIndex((one) => (one < 0 ? one + shape.length : one) === axis)
      return at < 0 ? otherwise[axis]! : given[at]!
    })
  }
  if (node.has(first)) {
    const given = Array.from(node.known(first, 'its scales').data)
    const ones = shape.map(() => 1)
    if (given.length > 0) return { scales: perAxis(given, ones), sizes: undefined }
  }
  const policy = node.attributes.string('keep_aspect_ratio_policy') || 'stretch'
  if (policy !== 'stretch') node.refuse(`keep_aspect_ratio_policy ${policy} is not supported`)
  const target = integers(node, 'sizes', second) ?? node.refuse('has neither scales nor sizes')
  return { scales: undefined, sizes: perAxis(target, shape) }
}

/** Where in the operand a result element lies, by ONNX's coordinate rules, in float32 as onnxruntime works it out. */
function coordinates(node: OnnxNode, { from, to, scale }: Axis): number[] {
  const plain = node.type === 'Upsample' || node.opset < 11
  const transform = node.attributes.string('coordinate_transformation_mode') || (plain ? 'asymmetric' : 'half_pixel')
  const { fround } = Math
  const halfPixel = (y: number): number => fround(fround(fround(y + 0.5) / scale) - 0.5)
  const rules: Record<string, (y: number) => number> = {
    asymmetric: (y) => fround(y / scale),
    half_pixel: halfPixel,
    half_pixel_symmetric: (y) => fround(from / 2) * (1 - to / fround(scale * from)) + halfPixel(y),
    pytorch_half_pixel: (y) => (to > 1 ? halfPixel(y) : 0),
    align_corners: (y) => (to === 1 ? 0 : fround(fround(y * (from - 1)) / (to - 1))),
    tf_half_pixel_for_nn: (y) => fround(fround(y + 0.5) / scale),
  }
  const rule = rules[transform] ?? node.refuse(`coordinate_transformation_mode ${transform} is not supported`)
  return Array.from({ length: to }, (_, y) => rule(y))
}

function nearest(node: OnnxNode, axes: readonly Axis[]): Made {
  const plain = node.type === 'Upsample' || node.opset < 11
  const rounding = node.attributes.string('nearest_mode') || (plain ? 'floor' : 'round_prefer_floor')
  const roundings: Record<string, (x: number) => number> = {
    floor: Math.floor,
    ceil: Math.ceil,
    round_prefer_floor: (x) => Math.ceil(x - 0.5),
    round_prefer_ceil: (x) => Math.floor(x + 0.5),
  }
  const round = roundings[rounding] ?? node.refuse(`nearest_mode ${rounding} is not supported`)
  const indices = axes.map((axis) => coordinates(node, axis).map((x) => Math.min(Math.max(round(x), 0), axis.from - 1)))
  const factors = axes.map(({ from, to }, i) => {
    const factor = to / from
    return Number.isInteger(factor) && indices[i]!.every((index, y) => index === Math.floor(y / factor)) ? factor : 0
  })
  const factorOf = (axis: number): number => factors[axes.findIndex((one) => one.axis === axis)] ?? 1
  const [x, rank] = [node.value(0), node.shape(0).length]
  if (rank === 4 && factors.every((factor) => factor > 0) && axes.every(({ axis }) => axis > 1))
    return { op: { type: 'Upsample', scaleH: factorOf(2), scaleW: factorOf(3) }, inputs: [x] }
  let made = reshaped(x, node.shape(0))
  for (const [i, { axis }] of axes.entries()) {
    const layer = i === 0 ? x : inner(node, `axis${i}`, made)
    made = picked(node, layer, axis, indices[i]!, `axis${axis}_`)
  }
  return made
}

function linear(node: OnnxNode, axes: readonly Axis[]): Made {
  const shape = node.shape(0)
  if (node.attributes.int('antialias') === 1) node.refuse('antialias is not supported')
  if (shape.length !== 4 || axes.some(({ axis }) => axis < 2))
    node.refuse('linear along other axes than height and width of [n, c, h, w] is not supported')
  const along = (axis: number, image: string): string => {
    const one = axes.find((given) => given.axis === axis)
    return one ? node.layer(axis === 2 ? 'rows' : 'columns', onePixel, [image, mixing(node, one)]) : image
  }
  // n c h w -> n h c w, rows mixed -> n w c h, columns mixed -> n c h w
  const rows = along(2, inner(node, 'rows_first', permuted(node.value(0), [0, 2, 1, 3])))
  const columns = along(3, inner(node, 'columns_first', permuted(rows, [0, 3, 2, 1])))
  return permuted(columns, [0, 2, 3, 1])
}

/** The weights [to, from, 1, 1] of a linear interpolation: two neighbours per row; positions outside are those of the edge. */
function mixing(node: OnnxNode, one: Axis): string {
  const { axis, from, to } = one
  if (to * from > mostNumbers) node.refuse(`cannot resize axis ${axis} of ${from} to ${to} linearly`)
  const data = new Float32Array(to * from)
  for (const [y, x] of coordinates(node, one).entries()) {
    const at = Math.min(Math.max(x, 0), from - 1)
    const low = Math.floor(at)
    const high = Math.min(low + 1, from - 1)
    data[y * from + low]! += 1 - (at - low)
    data[y * from + high]! += at - low
  }
  return node.weight(`${node.outputs[0]}_mixing${axis}`, [to, from, 1, 1], data)
}
