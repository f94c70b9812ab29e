import type { Pads, Pair } from '../../graph.js'
import { extentOf, type Shape } from '../../shapes.js'
import { type Constant, permuted as permutedConstant, reshaped as reshapedConstant } from '../constant.js'
import type { Convert, OnnxNode } from '../node.js'
import { finishPicture, type Picture, pictureOf, windowOf } from './window.js'

/** Conv on images or rows; the weight is known at import. */
export const conv: Convert = (node) => {
  const picture = pictureOf(node)
  const { weight, kernel } = filterOf(node, picture)
  const op = {
    type: 'Conv',
    ...windowOf(node, picture, kernel),
    group: node.attributes.int('group') ?? 1,
    relu: false,
    reluLimit: -1,
  } as const
  const filter = picture.flat ? adopt(node, weight, 'image') : node.operand(1)
  finishPicture(node, picture, { op, inputs: [picture.layer, filter, ...bias(node)] })
}

/** ONNX keeps the filter as [ic, oc/group, kh, kw]; here it is [oc, ic/group, kh, kw], like a Conv's. */
export const convTranspose: Convert = (node) => {
  const picture = pictureOf(node)
  const { weight, kernel } = filterOf(node, picture)
  const group = node.attributes.int('group') ?? 1
  const [ic = 0, perGroup = 0] = weight.shape
  if (!(group > 0) || ic % group !== 0) node.refuse(`${ic} channels do not divide into ${group} groups`)
  const [kh, kw] = kernel
  const parts = reshapedConstant(weight, [group, ic / group, perGroup, kh, kw])
  const turned = permutedConstant(parts, [0, 2, 1, 3, 4])
  const filter = adopt(node, reshapedConstant(turned, [group * perGroup, ic / group, kh, kw]), 'turned')
  const op = { type: 'Deconv', ...deconvWindow(node, picture, kernel), group, relu: false, reluLimit: -1 } as const
  finishPicture(node, picture, { op, inputs: [picture.layer, filter, ...bias(node)] })
}

/** The filter, [.., .., kh, kw]. */
function filterOf(node: OnnxNode, { flat }: Picture): { weight: Constant; kernel: Pair } {
  const weight = node.known(1, 'its weight')
  const { shape } = weight
  if (weight.kind !== 'float') node.refuse('its weight holds integers')
  if (shape.length !== (flat ? 3 : 4)) node.refuse('only one- and two-dimensional convolutions are supported')
  const image: Shape = flat ? [shape[0]!, shape[1]!, 1, shape[2]!] : shape
  return { weight: reshapedConstant(weight, image), kernel: [image[2]!, image[3]!] }
}

const adopt = (node: OnnxNode, { shape, data }: Constant, how: string): string =>
  node.weight(`${node.tensorName(1)}_${how}`, shape, Float32Array.from(data))

function bias(node: OnnxNode): string[] {
  if (!node.has(2)) return []
  node.known(2, 'its bias')
  return [node.operand(2)]
}

/** `output_shape` and `auto_pad` made plain pads: what the full result has too much is cut off, an odd pixel by `auto_pad`. */
function deconvWindow(node: OnnxNode, picture: Picture, size: Pair) {
  const { shape, flat } = picture
  const pairOf = (name: string, otherwise: Pair): Pair => {
    const own = node.attributes.ints(name)
    const given = own && flat ? [otherwise[0], ...own] : (own ?? otherwise)
    if (given.length !== 2) node.refuse(`${name} [${own}] does not fit the image`)
    return given as unknown as Pair
  }
  const auto = node.attributes.string('auto_pad') || 'NOTSET'
  const same = auto.startsWith('SAME')
  const { kernel, strides, dilations, pads } = same
    ? { kernel: size, strides: pairOf('strides', [1, 1]), dilations: pairOf('dilations', [1, 1]), pads: [0, 0, 0, 0] }
    : windowOf(node, picture, size)
  const outputPadding = pairOf('output_padding', [0, 0])
  const given = node.attributes.ints('output_shape')
  const wanted = given?.slice(flat ? -1 : -2)
  if (!same && wanted === undefined) return { kernel, strides, dilations, pads: pads as unknown as Pads, outputPadding }
  const along = (axis: 0 | 1): Pair => {
    if (flat && axis === 0) return [0, 0]
    const full = (shape[2 + axis]! - 1) * strides[axis] + extentOf(kernel[axis], dilations[axis]) + outputPadding[axis]
    const total = full - (wanted ? wanted[flat ? 0 : axis]! : shape[2 + axis]! * strides[axis])
    if (total < 0) node.refuse(`output_shape [${wanted}] is larger than the full result`)
    const small = Math.floor(total / 2)
    return auto === 'SAME_UPPER' ? [small, total - small] : [total - small, small]
  }
  const [h, w] = [along(0), along(1)]
  return { kernel, strides, dilations, pads: [h[0], w[0], h[1], w[1]] as const, outputPadding }
}
