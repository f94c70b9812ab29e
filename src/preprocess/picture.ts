/** Pictures from bytes and back: the same pixels as OpenCV's imread, in RGB. */
import sharp from 'sharp'
import { QuantError } from '../errors.js'
import { decodeBmp, isBmp } from './bmp.js'

// One thread and no cache: memory stays flat over thousands of pictures, and work is spread over processes anyway.
sharp.concurrency(1)
sharp.cache(false)

/** 8-bit RGB, height x width x 3, row by row. */
export interface Picture {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}

/** 400 MB decoded: a few kilobytes of PNG can ask for any number. */
const mostPixels = 2 ** 27

/**
 * Decodes JPEG, PNG, WebP and BMP. As imread does, it turns the picture by its EXIF orientation and drops alpha and colour
 * profiles; gray and 16-bit pictures become 8-bit RGB. CMYK goes through a printing profile, where imread has a rougher rule.
 * @param file names the bytes in errors
 * @throws QuantError 'input' when the bytes are no whole picture
 */
export async function decodePicture(bytes: Uint8Array, file: string): Promise<Picture> {
  if (bytes.length === 0) throw badPicture(file, 'the file is empty')
  if (isBmp(bytes)) return decodeBmp(bytes, (what) => badPicture(file, what))
  try {
    const { data, info } = await sharp(bytes, { failOn: 'truncated', ignoreIcc: true, limitInputPixels: mostPixels })
      .autoOrient()
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true })
    return { width: info.width, height: info.height, data: toRgb(data, info.channels) }
  } catch (cause) {
    throw badPicture(file, why(cause), cause)
  }
}

/** Encodes as JPEG, without halving the colours' resolution: thin coloured lines stay sharp. `quality` from 1 to 100. */
export async function encodeJpeg(picture: Picture, quality: number): Promise<Uint8Array> {
  const { width, height, data } = picture
  return await sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg({ quality, chromaSubsampling: '4:4:4' })
    .toBuffer()
}

const badPicture = (file: string, what: string, cause?: unknown): QuantError =>
  new QuantError('input', `${file}: ${what}`, {
    place: { file },
    hint: 'give a whole JPEG, PNG, WebP or BMP picture, or take the file out of the folder',
    cause,
  })

function toRgb(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return data
  const out = new Uint8Array((data.length / channels) * 3)
  for (let from = 0, to = 0; from < data.length; from += channels, to += 3) out.fill(data[from]!, to, to + 3)
  return out
}

function why(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (message.includes('unsupported image format')) return 'not a picture'
  return `cannot be decoded (${message.trim().split('\n').at(-1)})`
}
