import { type Convert, integers, type OnnxNode } from '../node.js'
import { imageSize } from './window.js'

/** Resize and Upsample: nearest, by whole factors, picking pixels as out[y] = in[floor(y / factor)]. */
export const resize: Convert = (node) => {
  const shape = node.shape(0)
  imageSize(node, shape)
  const scales = scalesOf(node)
  const [n, c, scaleH, scaleW] = scales as [number, number, number, number]
  if (
    scales.length !== 4 ||
    n !== 1 ||
    c !== 1 ||
    ![scaleH, scaleW].every((s) => Number.isInteger(s) && s > 0 && s <= 64)
  )
    node.refuse(`scales [${scales}], but only whole factors of height and width are supported`)
  const mode = node.attributes.string('mode') || 'nearest'
  if (mode !== 'nearest') node.refuse(`mode ${mode}, but only nearest is supported`)
  for (const scale of [scaleH, scaleW])
    if (!repeats(node, scale))
      node.refuse('these settings pick other pixels than plain repetition', 'export with mode nearest')
  node.add({ type: 'Upsample', scaleH, scaleW }, [node.value(0)])
}

/** One factor per axis, wherever the opset keeps them. */
function scalesOf(node: OnnxNode): number[] {
  const shape = node.shape(0)
  const old = node.attributes.floats('scales')
  if (old) return old
  // Upsample and Resize-10: (x, scales); since 11: (x, roi, scales, sizes). An absent operand may be an empty tensor.
  const [scales, sizes] = node.type === 'Upsample' || node.opset < 11 ? [1, 3] : [2, 3]
  const axes = node.attributes.ints('axes') ?? shape.map((_, axis) => axis)
  const perAxis = (given: number[]): number[] => shape.map((_, axis) => given[axes.indexOf(axis)] ?? 1)
  if (node.has(scales)) {
    const given = Array.from(node.known(scales, 'its scales').data)
    if (given.length > 0) return perAxis(given)
  }
  const policy = node.attributes.string('keep_aspect_ratio_policy') || 'stretch'
  if (policy !== 'stretch') node.refuse(`keep_aspect_ratio_policy ${policy} is not supported`)
  const target = integers(node, 'sizes', sizes) ?? node.refuse('has neither scales nor sizes')
  return perAxis(target.map((n, i) => n / (shape[axes[i]!] ?? Number.NaN)))
}

/**
 * Whether ONNX's coordinate rules come to floor(y / scale). The pattern repeats with every input pixel, so some output pixels
 * in the middle and at the start tell. A coordinate before the first pixel is clamped to it.
 */
function repeats(node: OnnxNode, scale: number): boolean {
  const plain = node.type === 'Upsample' || node.opset < 11
  const transform = node.attributes.string('coordinate_transformation_mode') || (plain ? 'asymmetric' : 'half_pixel')
  const rounding = node.attributes.string('nearest_mode') || (plain ? 'floor' : 'round_prefer_floor')
  const halfPixel = (y: number): number => (y + 0.5) / scale - 0.5
  const coordinate: Record<string, (y: number) => number> = {
    asymmetric: (y) => y / scale,
    half_pixel: halfPixel,
    half_pixel_symmetric: halfPixel,
    // Differs from half_pixel only for a result of one pixel.
    pytorch_half_pixel: halfPixel,
  }
  const round: Record<string, (x: number) => number> = {
    floor: Math.floor,
    ceil: Math.ceil,
    round_prefer_floor: (x) => Math.ceil(x - 0.5),
    round_prefer_ceil: (x) => Math.floor(x + 0.5),
  }
  const [at, pick] = [coordinate[transform], round[rounding]]
  if (!at || !pick) return false
  return Array.from({ length: 4 * scale }, (_, y) => y).every((y) => Math.max(pick(at(y)), 0) === Math.floor(y / scale))
}
