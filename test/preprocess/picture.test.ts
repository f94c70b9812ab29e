import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import { decodePicture, encodeJpeg } from '../../src/preprocess/picture.js'

const WIDTH = 32
const HEIGHT = 24
/** Every pixel tells where it is. */
const pixels = Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, i) => {
  const pixel = Math.floor(i / 3)
  return [(pixel % WIDTH) * 8, Math.floor(pixel / WIDTH) * 10, 100][i % 3]!
})
const made = () => sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
const one = (data: number[], width: number, channels: 1 | 2 | 4) =>
  sharp(Uint8Array.from(data), { raw: { width, height: 1, channels } })

describe('a picture is decoded', () => {
  it('from PNG and WebP without loss', async () => {
    for (const bytes of [await made().png().toBuffer(), await made().webp({ lossless: true }).toBuffer()]) {
      const picture = await decodePicture(bytes, 'a')
      expect([picture.width, picture.height]).toEqual([WIDTH, HEIGHT])
      expect([...picture.data]).toEqual([...pixels])
    }
  })

  it('turned as its EXIF orientation says', async () => {
    const bytes = await made().withMetadata({ orientation: 6 }).png().toBuffer()
    const { width, height, data } = await decodePicture(bytes, 'a.png')
    expect([width, height]).toEqual([HEIGHT, WIDTH])
    // Turned right by a quarter: the upper left pixel was the lower left one.
    expect([...data.subarray(0, 3)]).toEqual([0, (HEIGHT - 1) * 10, 100])
    expect([...data.subarray((HEIGHT - 1) * 3, HEIGHT * 3)]).toEqual([0, 0, 100])
  })

  it('without its alpha, and without blending by it', async () => {
    const bytes = await one([10, 20, 30, 0, 200, 100, 50, 128], 2, 4).png().toBuffer()
    expect([...(await decodePicture(bytes, 'a.png')).data]).toEqual([10, 20, 30, 200, 100, 50])
  })

  it('from gray, with and without alpha, as three equal channels', async () => {
    const gray = await one([0, 90, 255], 3, 1).png().toBuffer()
    const grayAlpha = await one([0, 0, 90, 7, 255, 255], 3, 2).png().toBuffer()
    for (const bytes of [gray, grayAlpha])
      expect([...(await decodePicture(bytes, 'a.png')).data]).toEqual([0, 0, 0, 90, 90, 90, 255, 255, 255])
  })

  it('from 16 bits by the upper eight', async () => {
    // cv2.imencode('.png', numpy.uint16([[[258, 1000, 65535], [40000, 255, 256]]])), which is B G R.
    const png =
      'iVBORw0KGgoAAAANSUhEUgAAAAIAAAABEAIAAAAr0DSeAAAAFUlEQVQIHWP8/5/5BSMTE+Nf8dl2ACUdBN4GMPKqAAAAAElFTkSuQmCC'
    const bytes = Buffer.from(png, 'base64')
    expect([...(await decodePicture(bytes, 'a.png')).data]).toEqual([255, 3, 1, 1, 0, 156])
  })

  it('from CMYK', async () => {
    const bytes = await made().flatten().toColourspace('cmyk').jpeg().toBuffer()
    const { data } = await decodePicture(bytes, 'a.jpg')
    expect(data.length).toBe(pixels.length)
    const [left, right] = [data[(12 * WIDTH + 2) * 3]!, data[(12 * WIDTH + 29) * 3]!]
    expect(right).toBeGreaterThan(left + 100)
  })

  it('without applying a colour profile', async () => {
    const bytes = await made().withIccProfile('p3').png().toBuffer()
    const stored = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer()
    expect([...(await decodePicture(bytes, 'a.png')).data]).toEqual([...stored])
  })

  it('from a bitmap, bottom row first', async () => {
    // cv2.imencode('.bmp', numpy.arange(18, dtype=uint8).reshape(2, 3, 3) * 10), which is B G R.
    const bmp =
      'Qk1OAAAAAAAAADYAAAAoAAAAAwAAAAIAAAABABgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWmRueIKMlqCqAAAAAAoUHigyPEZQAAAA'
    const picture = await decodePicture(Buffer.from(bmp, 'base64'), 'a.bmp')
    expect([picture.width, picture.height]).toEqual([3, 2])
    expect([...picture.data]).toEqual([20, 10, 0, 50, 40, 30, 80, 70, 60, 110, 100, 90, 140, 130, 120, 170, 160, 150])
  })
})

describe('what is no picture is refused by name', () => {
  const refused = async (bytes: Uint8Array, file: string) =>
    await expect(decodePicture(bytes, file)).rejects.toMatchObject({
      name: 'QuantError',
      code: 'input',
      place: { file },
      message: expect.stringContaining(file),
    })

  it('an empty file, a text, a few bytes', async () => {
    await refused(new Uint8Array(0), 'empty.jpg')
    await refused(Buffer.from('BM'), 'two.bmp')
    await refused(Buffer.from('no picture, only words'), 'words.jpg')
    await refused(Uint8Array.of(0xff, 0xd8, 0xff), 'start.jpg')
  })

  it.each([0.1, 0.5, 0.9])('a file cut off at %d of its length', async (part) => {
    const whole = {
      jpg: await made().jpeg().toBuffer(),
      progressive: await made().jpeg({ progressive: true }).toBuffer(),
      png: await made().png().toBuffer(),
      webp: await made().webp().toBuffer(),
    }
    for (const [file, bytes] of Object.entries(whole)) await refused(bytes.subarray(0, bytes.length * part), file)
  })

  it('bitmaps that are compressed or of odd depth', async () => {
    const bmp = Buffer.alloc(100)
    bmp.write('BM')
    bmp.writeUInt32LE(54, 10)
    bmp.writeUInt32LE(40, 14)
    bmp.writeInt32LE(2, 18)
    bmp.writeInt32LE(2, 22)
    bmp.writeUInt16LE(4, 28)
    await refused(bmp, 'four-bits.bmp')
    bmp.writeUInt16LE(8, 28)
    bmp.writeUInt32LE(1, 30)
    await refused(bmp, 'run-length.bmp')
    bmp.writeUInt32LE(0, 30)
    bmp.writeInt32LE(2 ** 30, 18)
    await refused(bmp, 'huge.bmp')
  })
})

it('a picture survives encoding as JPEG nearly unchanged', async () => {
  const bytes = await encodeJpeg({ width: WIDTH, height: HEIGHT, data: pixels }, 95)
  const again = await decodePicture(bytes, 'a.jpg')
  const differences = again.data.map((value, i) => Math.abs(value - pixels[i]!))
  expect(Math.max(...differences)).toBeLessThan(20)
})
