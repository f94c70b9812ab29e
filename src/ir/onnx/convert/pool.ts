import type { Pads, Pair } from '../../graph.js'
import { sameShape } from '../../shapes.js'
import { type Convert, integers, type OnnxNode, wholeAxis } from '../node.js'
import { ceilPads, imageSize, type Window, windowOf } from './window.js'

type PoolWindow = Pick<Window, 'kernel' | 'strides' | 'pads'>

function poolWindow(node: OnnxNode): PoolWindow {
  const window = windowOf(node)
  const { kernel, strides, dilations } = window
  if (!sameShape(dilations, [1, 1])) node.refuse(`dilations [${dilations}] are not supported in pools`)
  const ceil = node.attributes.int('ceil_mode') === 1
  return { kernel, strides, pads: ceil ? ceilPads(imageSize(node, node.shape(0)), window) : window.pads }
}

export const maxPool: Convert = (node) => node.add({ type: 'MaxPool', ...poolWindow(node) }, [node.value(0)])

export const averagePool: Convert = (node) => {
  const window = poolWindow(node)
  const countIncludePad = node.attributes.int('count_include_pad') === 1
  // What ceil_mode adds is never counted, what `pads` adds is: one pad cannot say both.
  if (countIncludePad && !sameShape(window.pads, windowOf(node).pads))
    node.refuse('ceil_mode together with count_include_pad is not supported')
  node.add({ type: 'AvgPool', ...window, countIncludePad, keepDims: true }, [node.value(0)])
}

/** The mean of every channel's image, as a pool of the image's size. */
const globalPool = (node: OnnxNode, keepDims: boolean): void => {
  const kernel: Pair = imageSize(node, node.shape(0))
  const pads: Pads = [0, 0, 0, 0]
  node.add({ type: 'AvgPool', kernel, strides: [1, 1], pads, countIncludePad: true, keepDims }, [node.value(0)])
}

export const globalAveragePool: Convert = (node) => globalPool(node, true)

export const reduceMean: Convert = (node) => {
  const rank = node.shape(0).length
  const axes = integers(node, 'axes', 1)?.map((axis) => wholeAxis(node, axis, rank))
  if (rank !== 4 || !axes || !sameShape(axes.toSorted(), [2, 3]))
    node.refuse('only the mean over height and width of [n, c, h, w] is supported')
  globalPool(node, node.attributes.int('keepdims') !== 0)
}
