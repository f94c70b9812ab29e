/** Where a picture lies in the network's input, and the input's 8-bit canvas. */
import type { Preprocess } from '../ir/graph.js'
import { resize } from './resize.js'

/**
 * How a picture was put into the network's input. A place in the picture: (x - offsetX) / scaleX, likewise y, in pixels whose
 * centres lie at halves.
 */
export interface Fit {
  /** Input pixels per picture pixel. */
  readonly scaleX: number
  readonly scaleY: number
  /** Input pixels left of and above the picture. */
  readonly offsetX: number
  readonly offsetY: number
  /** Of the picture, in its own pixels. */
  readonly width: number
  readonly height: number
}

/**
 * Stretch, or letterbox by the vendor's rule: the smaller of both scales in double, sizes cut to whole pixels (at least one),
 * the middle cut to whole pixels. Scales are those of the cut sizes, so that boxes come back exactly.
 * @param inputWidth of the network's input, as inputHeight
 */
export function fitPicture(
  width: number,
  height: number,
  inputWidth: number,
  inputHeight: number,
  spec: Pick<Preprocess, 'keepAspectRatio' | 'padType'>,
): Fit {
  if (!spec.keepAspectRatio)
    return { scaleX: inputWidth / width, scaleY: inputHeight / height, offsetX: 0, offsetY: 0, width, height }
  const scale = Math.min(inputWidth / width, inputHeight / height)
  const newWidth = Math.max(1, Math.trunc(width * scale))
  const newHeight = Math.max(1, Math.trunc(height * scale))
  const centre = spec.padType === 'center'
  return {
    scaleX: newWidth / width,
    scaleY: newHeight / height,
    offsetX: centre ? Math.floor((inputWidth - newWidth) / 2) : 0,
    offsetY: centre ? Math.floor((inputHeight - newHeight) / 2) : 0,
    width,
    height,
  }
}

/**
 * The picture resized to its fit, on a canvas of the input's size filled with `padValue`.
 * @param data height x width x channels of the picture, uint8
 * @returns inputHeight x inputWidth x channels, uint8
 */
export function placePicture(
  data: Uint8Array,
  channels: number,
  fit: Fit,
  inputWidth: number,
  inputHeight: number,
  padValue: number,
): Uint8Array {
  const newWidth = Math.round(fit.width * fit.scaleX)
  const newHeight = Math.round(fit.height * fit.scaleY)
  const resized = resize(data, fit.width, fit.height, channels, newWidth, newHeight)
  if (newWidth === inputWidth && newHeight === inputHeight) return resized
  const canvas = new Uint8Array(inputWidth * inputHeight * channels).fill(padValue)
  const row = newWidth * channels
  for (let y = 0; y < newHeight; y++) {
    const to = ((y + fit.offsetY) * inputWidth + fit.offsetX) * channels
    canvas.set(resized.subarray(y * row, (y + 1) * row), to)
  }
  return canvas
}
