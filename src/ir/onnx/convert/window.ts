/** Kernel, strides, dilations and pads of convolutions and pools, with auto_pad and ceil_mode made plain pads. */
import type { Pads, Pair } from '../../graph.js'
import { extentOf, type Shape, showShape, windows } from '../../shapes.js'
import type { OnnxNode } from '../node.js'
import { finish, inner, type Made, reshaped } from './pick.js'

export interface Window {
  readonly kernel: Pair
  readonly strides: Pair
  readonly dilations: Pair
  readonly pads: Pads
}

/** A convolution of 1x1. */
export const onePixel = {
  type: 'Conv',
  kernel: [1, 1],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [0, 0, 0, 0],
  group: 1,
  relu: false,
  reluLimit: -1,
} as const

/** What a convolution or pool slides over: operand 0, of which [n, c, w] is taken as an image of one row. */
export interface Picture {
  readonly layer: string
  readonly shape: Shape
  /** It has one spatial dimension: attributes are single numbers. */
  readonly flat: boolean
}

/** Other ranks are refused. */
export function pictureOf(node: OnnxNode): Picture {
  const shape = node.shape(0)
  if (shape.length !== 3) {
    imageSize(node, shape)
    return { layer: node.value(0), shape, flat: false }
  }
  const image = [shape[0]!, shape[1]!, 1, shape[2]!]
  return { layer: inner(node, 'image', reshaped(node.value(0), image)), shape: image, flat: true }
}

/** The node's result, without the row that was put in. */
export function finishPicture(node: OnnxNode, { flat }: Picture, made: Made): void {
  if (flat) {
    const result = inner(node, 'row', made)
    const [n, c, , w] = node.shapeOf(result) as [number, number, number, number]
    finish(node, reshaped(result, [n, c, w]))
  } else finish(node, made)
}

/** The last two dimensions of NCHW. Other ranks are refused. */
export function imageSize(node: OnnxNode, shape: Shape): Pair {
  if (shape.length !== 4) node.refuse(`takes images [n, c, h, w], but its operand is ${showShape(shape)}`)
  return [shape[2]!, shape[3]!]
}

/** @param kernel where the attribute is absent: a convolution's weight tells. */
export function windowOf(node: OnnxNode, { shape: image, flat }: Picture, kernel?: Pair): Window {
  const size = imageSize(node, image)
  const pair = (name: string, otherwise: Pair | undefined): Pair => {
    const own = node.attributes.ints(name)
    const given = (own && flat ? [1, ...own] : own) ?? otherwise ?? node.refuse(`has no ${name}`)
    if (given.length !== 2 || given.some((n) => n < 1))
      node.refuse(`${name} [${own}] must be ${flat ? 'one positive number' : 'two positive numbers'}`)
    return given as unknown as Pair
  }
  const shape = {
    kernel: pair('kernel_shape', kernel),
    strides: pair('strides', [1, 1]),
    dilations: pair('dilations', [1, 1]),
  }
  return { ...shape, pads: padsOf(node, size, shape, flat) }
}

function padsOf(node: OnnxNode, size: Pair, { kernel, strides, dilations }: Omit<Window, 'pads'>, flat: boolean): Pads {
  // Empty in some exporters' files: then it counts as absent.
  const auto = node.attributes.string('auto_pad') || 'NOTSET'
  if (auto === 'VALID') return [0, 0, 0, 0]
  if (auto === 'NOTSET') {
    const own = node.attributes.ints('pads')
    const given = (own && flat ? [0, own[0] ?? -1, 0, own[1] ?? -1] : own) ?? [0, 0, 0, 0]
    if (given.length !== 4 || given.some((n) => n < 0))
      node.refuse(`pads [${given}] must be four numbers, none negative`)
    return given as unknown as Pads
  }
  if (auto !== 'SAME_UPPER' && auto !== 'SAME_LOWER') node.refuse(`auto_pad ${auto} is not known`)
  // The result has ceil(size / stride) windows; an odd pixel goes to the end (UPPER) or the start (LOWER).
  const along = (axis: 0 | 1): Pair => {
    const count = Math.ceil(size[axis] / strides[axis])
    const total = Math.max((count - 1) * strides[axis] + extentOf(kernel[axis], dilations[axis]) - size[axis], 0)
    const small = Math.floor(total / 2)
    return auto === 'SAME_UPPER' ? [small, total - small] : [total - small, small]
  }
  const [h, w] = [along(0), along(1)]
  return [h[0], w[0], h[1], w[1]]
}

/**
 * ceil_mode as pads: a last window that only partly fits counts, unless it would begin behind the image and its leading pad.
 * The end pads grow so that rounding down gives that many windows.
 */
export function ceilPads(size: Pair, { kernel, strides, pads }: Window): Pads {
  const end = (axis: 0 | 1): number => {
    const [before, after] = [pads[axis], pads[axis + 2]!]
    const overhang = size[axis] + before + after - kernel[axis]
    let count = Math.ceil(overhang / strides[axis]) + 1
    if ((count - 1) * strides[axis] >= size[axis] + before) count--
    if (count <= windows(size[axis], kernel[axis], strides[axis], before, after)) return after
    return (count - 1) * strides[axis] + kernel[axis] - size[axis] - before
  }
  return [pads[0], pads[1], end(0), end(1)]
}
