/** Files of a data set as network inputs: the one definition for calibration, search and detection. */
import { QuantError } from '../errors.js'
import { type Preprocess, sizeOf, type Tensor } from '../ir/graph.js'
import { type NpyArray, readNpy, readNpz } from '../ir/npz.js'
import { type Fit, fitPicture, placePicture } from './letterbox.js'
import { decodePicture, type Picture } from './picture.js'
import { ARRAY_FILE, PICTURE_FILE } from './sample-file.js'

/** What a sample must fill. `preprocess` is absent for inputs that are no pictures. */
export interface SampleInput {
  readonly name: string
  readonly shape: readonly number[]
  readonly preprocess?: Preprocess | undefined
}

export interface Sample {
  /** One tensor per input, float32, of the input's shape. */
  readonly feeds: Record<string, Tensor>
  /** Only of pictures. The fit is the first input's. */
  readonly picture?: Picture
  readonly fit?: Fit
}

/**
 * Resize or letterbox, channel order, (x - mean) * scale in float32; the picture is repeated to fill the batch.
 * @param shape [n, c, h, w], c = 1 for gray and 3 otherwise
 * @throws QuantError 'model' when the shape cannot hold a picture of that pixel format
 */
export function preparePicture(
  picture: Picture,
  spec: Preprocess,
  shape: readonly number[],
): { tensor: Tensor; fit: Fit } {
  const gray = spec.pixelFormat === 'gray'
  const channels = gray ? 1 : 3
  const [batch = 0, c, height = 0, width = 0] = shape
  if (shape.length !== 4 || c !== channels || sizeOf(shape) === 0)
    throw new QuantError('model', `an input of shape [${shape.join(', ')}] cannot take a ${spec.pixelFormat} picture`, {
      hint: `pictures need [n, ${channels}, height, width]; see preprocess.pixel_format`,
    })
  const fit = fitPicture(picture.width, picture.height, width, height, spec)
  const source = gray ? toGray(picture.data) : picture.data
  const canvas = placePicture(source, channels, fit, width, height, spec.padValue)

  const plane = width * height
  const data = new Float32Array(sizeOf(shape))
  for (let to = 0; to < channels; to++) {
    const from = spec.pixelFormat === 'bgr' ? 2 - to : to
    const table = levels(spec.mean[to] ?? 0, spec.scale[to] ?? 1)
    for (let i = 0, at = from; i < plane; i++, at += channels) data[to * plane + i] = table[canvas[at]!]!
  }
  for (let n = 1; n < batch; n++) data.copyWithin(n * channels * plane, 0, channels * plane)
  return { tensor: { shape, data }, fit }
}

/**
 * One file as network input. A picture feeds every input; .npz arrays go to the inputs of their names, a .npy array to the
 * only input. Arrays are taken as they are: preprocessed, in the input's shape.
 * @param file names the bytes in errors; its ending decides what they are
 * @throws QuantError 'input' naming the file
 */
export async function loadSample(bytes: Uint8Array, file: string, inputs: readonly SampleInput[]): Promise<Sample> {
  if (ARRAY_FILE.test(file)) return { feeds: arrayFeeds(bytes, file, inputs) }
  if (!PICTURE_FILE.test(file))
    throw bad(file, 'this kind of file is no sample', 'give pictures (jpg, png, webp, bmp) or arrays (npy, npz)')
  const picture = await decodePicture(bytes, file)
  const feeds: Record<string, Tensor> = {}
  let first: Fit | undefined
  for (const { name, shape, preprocess } of inputs) {
    if (preprocess === undefined)
      throw bad(file, `input '${name}' takes no picture`, `give .npz files with an array for each input`)
    const { tensor, fit } = preparePicture(picture, preprocess, shape)
    feeds[name] = tensor
    first ??= fit
  }
  return first === undefined ? { feeds, picture } : { feeds, picture, fit: first }
}

function arrayFeeds(bytes: Uint8Array, file: string, inputs: readonly SampleInput[]): Record<string, Tensor> {
  const single = /\.npy$/i.test(file)
  if (single && inputs.length !== 1)
    throw bad(file, `one array for ${inputs.length} inputs`, 'give .npz files with an array for each input')
  const arrays = single ? undefined : readNpz(bytes, file)
  const feeds: Record<string, Tensor> = {}
  for (const { name, shape } of inputs) {
    const array = arrays ? arrays.get(name) : readNpy(bytes, file)
    if (array === undefined)
      throw bad(
        file,
        `no array '${name}' (there is ${[...(arrays?.keys() ?? [])].join(', ') || 'none'})`,
        'name the arrays like the inputs',
      )
    if (array.shape.join() !== shape.join())
      throw bad(
        file,
        `array of shape [${array.shape.join(', ')}] for input '${name}' [${shape.join(', ')}]`,
        'arrays are not resized: store them in the shape of the input, preprocessed',
      )
    feeds[name] = { shape, data: toFloat32(array, file) }
  }
  return feeds
}

function toFloat32({ data }: NpyArray, file: string): Float32Array {
  const floats = data instanceof Float32Array ? data : Float32Array.from(data as ArrayLike<number>, Number)
  const at = floats.findIndex((value) => !Number.isFinite(value))
  if (at >= 0) throw bad(file, `element ${at} is ${floats[at]}`, 'samples must be finite numbers')
  return floats
}

const bad = (file: string, what: string, hint: string): QuantError =>
  new QuantError('input', `${file}: ${what}`, { place: { file }, hint })

/** What each of the 256 levels becomes. */
function levels(mean: number, scale: number): Float32Array {
  const m = Math.fround(mean)
  const s = Math.fround(scale)
  return Float32Array.from({ length: 256 }, (_, level) => Math.fround(level - m) * s)
}

/** Luma of BT.601, in OpenCV's fixed point (1/16384). */
function toGray(rgb: Uint8Array): Uint8Array {
  const out = new Uint8Array(rgb.length / 3)
  for (let i = 0, at = 0; i < out.length; i++, at += 3)
    out[i] = (rgb[at]! * 4899 + rgb[at + 1]! * 9617 + rgb[at + 2]! * 1868 + 8192) >> 14
  return out
}
