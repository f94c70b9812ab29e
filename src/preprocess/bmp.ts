/**
 * Windows bitmaps, which sharp does not read. 'BM', file size, 4 bytes, where the pixels start (u32 at 10); then the info
 * header: its size (u32 at 14), width (i32), height (i32, negative: top row first), planes (u16), bits per pixel (u16 at 28),
 * compression (u32), ..., number of colours (u32 at 46, 0: all). Rows are padded to 4 bytes; pixels and palette are B G R.
 */
import type { QuantError } from '../errors.js'
import type { Picture } from './picture.js'

export const isBmp = (bytes: Uint8Array): boolean => bytes[0] === 0x42 && bytes[1] === 0x4d

const BITFIELDS = 3

/**
 * Uncompressed bitmaps of 8 (palette), 24 and 32 bits per pixel.
 * @param bad makes the error that is thrown for others and for cut off files
 */
export function decodeBmp(bytes: Uint8Array, bad: (what: string) => QuantError): Picture {
  if (bytes.length < 54) throw bad('the bitmap is cut off')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const pixelsAt = view.getUint32(10, true)
  const headerSize = view.getUint32(14, true)
  const width = view.getInt32(18, true)
  const signedHeight = view.getInt32(22, true)
  const height = Math.abs(signedHeight)
  const bits = view.getUint16(28, true)
  const compression = view.getUint32(30, true)
  if (headerSize < 40 || ![8, 24, 32].includes(bits)) throw bad(`a bitmap of ${bits} bits is not supported`)
  if (compression !== 0 && !(compression === BITFIELDS && bits === 32))
    throw bad('compressed bitmaps are not supported')
  const rowLength = Math.ceil((width * bits) / 32) * 4
  if (width <= 0 || height === 0 || pixelsAt + rowLength * height > bytes.length) throw bad('the bitmap is cut off')

  const step = bits / 8
  const paletteAt = 14 + headerSize
  const data = new Uint8Array(width * height * 3)
  for (let y = 0, to = 0; y < height; y++) {
    let from = pixelsAt + (signedHeight < 0 ? y : height - 1 - y) * rowLength
    for (let x = 0; x < width; x++, from += step) {
      const at = bits === 8 ? paletteAt + bytes[from]! * 4 : from
      data[to++] = bytes[at + 2]!
      data[to++] = bytes[at + 1]!
      data[to++] = bytes[at]!
    }
  }
  return { width, height, data }
}
