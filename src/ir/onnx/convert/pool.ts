import type { Op } from '../../graph.js'
import { sameShape } from '../../shapes.js'
import type { Convert, OnnxNode } from '../node.js'
import { inner } from './pick.js'
import { reduced } from './reduce.js'
import { ceilPads, finishPicture, imageSize, type Picture, pictureOf, type Window, windowOf } from './window.js'

type PoolWindow = Pick<Window, 'kernel' | 'strides' | 'pads'>

function poolWindow(node: OnnxNode, picture: Picture): { window: PoolWindow; ceiled: PoolWindow } {
  const window = windowOf(node, picture)
  const { kernel, dilations, pads } = window
  if (!sameShape(dilations, [1, 1])) node.refuse(`dilations [${dilations}] are not supported in pools`)
  const { flat } = picture
  if (pads.some((pad, side) => pad >= kernel[side % 2]!))
    node.refuse(`pads [${pads}] must be smaller than the kernel [${flat ? kernel[1] : kernel}]`)
  // Of one window over all, as of a global pool, the stride means nothing; the chip has no long ones.
  const size = imageSize(node, picture.shape)
  const strideOf = (axis: 0 | 1): number =>
    window.strides[axis] > 15 && kernel[axis] === size[axis] + pads[axis] + pads[axis + 2]! ? 1 : window.strides[axis]
  const strides = [strideOf(0), strideOf(1)] as const
  const ceil = node.attributes.int('ceil_mode') === 1
  const more = ceil ? ceilPads(size, window) : pads
  return { window: { kernel, strides, pads }, ceiled: { kernel, strides, pads: more } }
}

export const maxPool: Convert = (node) => {
  const picture = pictureOf(node)
  const { ceiled } = poolWindow(node, picture)
  finishPicture(node, picture, { op: { type: 'MaxPool', ...ceiled }, inputs: [picture.layer] })
}

export const averagePool: Convert = (node) => {
  const picture = pictureOf(node)
  const { window, ceiled } = poolWindow(node, picture)
  const countIncludePad = node.attributes.int('count_include_pad') === 1
  const pool = (counted: boolean, own: PoolWindow): Op => ({
    type: 'AvgPool',
    ...own,
    countIncludePad: counted,
    keepDims: true,
  })
  if (!countIncludePad || sameShape(ceiled.pads, window.pads)) {
    finishPicture(node, picture, { op: pool(countIncludePad, ceiled), inputs: [picture.layer] })
    return
  }
  // What ceil_mode adds is never counted, what `pads` adds is: those become pixels.
  const [top, left, bottom, right] = window.pads
  const paddings = [0, 0, top, left, 0, 0, bottom, right]
  const padded = paddings.some((n) => n > 0)
    ? inner(node, 'padded', { op: { type: 'Pad', paddings, value: 0 }, inputs: [picture.layer] })
    : picture.layer
  const rest = ceiled.pads.map((n, side) => n - window.pads[side]!) as unknown as PoolWindow['pads']
  finishPicture(node, picture, { op: pool(false, { ...ceiled, pads: rest }), inputs: [padded] })
}

const spatial = (node: OnnxNode): number[] =>
  node
    .shape(0)
    .map((_, axis) => axis)
    .slice(2)

export const globalAveragePool: Convert = (node) => reduced(node, 'mean', spatial(node), true)
export const globalMaxPool: Convert = (node) => reduced(node, 'max', spatial(node), true)
