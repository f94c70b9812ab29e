import { readFileSync } from 'node:fs'
import sharp from 'sharp'
import { describe, expect, it } from 'vitest'
import type { Preprocess } from '../../src/ir/graph.js'
import { readNpz, writeNpy, writeNpz } from '../../src/ir/npz.js'
import { loadSample, preparePicture } from '../../src/preprocess/sample.js'
import { isSampleFile } from '../../src/preprocess/sample-file.js'
import { shared } from '../shared.js'

const plain: Preprocess = {
  pixelFormat: 'rgb',
  mean: [0, 0, 0],
  scale: [1, 1, 1],
  keepAspectRatio: false,
  padValue: 0,
  padType: 'center',
}
const two = { width: 2, height: 1, data: Uint8Array.of(10, 20, 30, 40, 50, 60) }

describe('a picture becomes a tensor', () => {
  it('in planes, with mean and scale in the order of the pixel format', () => {
    const spec: Preprocess = { ...plain, pixelFormat: 'bgr', mean: [1, 2, 3], scale: [0.5, 1, 2] }
    const { tensor } = preparePicture(two, spec, [1, 3, 1, 2])
    // b - 1 halved, g - 2, r - 3 doubled
    expect([...tensor.data]).toEqual([14.5, 29.5, 18, 48, 14, 74])
  })

  it('in float32 arithmetic', () => {
    const { tensor } = preparePicture(
      two,
      { ...plain, mean: [0.1, 0.1, 0.1], scale: [0.0039216, 1 / 3, 1] },
      [1, 3, 1, 2],
    )
    const f = Math.fround
    expect(tensor.data[0]).toBe(f(f(10 - f(0.1)) * f(0.0039216)))
    expect(tensor.data[3]).toBe(f(f(50 - f(0.1)) * f(1 / 3)))
  })

  it('gray by luma', () => {
    const { tensor } = preparePicture(two, { ...plain, pixelFormat: 'gray' }, [1, 1, 1, 2])
    // 0.299 r + 0.587 g + 0.114 b = 18.15 and 48.15
    expect([...tensor.data]).toEqual([18, 48])
  })

  it('for every place of the batch', () => {
    const { tensor } = preparePicture(two, plain, [3, 3, 1, 2])
    expect([...tensor.data.subarray(0, 6)]).toEqual([10, 40, 20, 50, 30, 60])
    expect(tensor.data.subarray(6, 12)).toEqual(tensor.data.subarray(0, 6))
    expect(tensor.data.subarray(12)).toEqual(tensor.data.subarray(0, 6))
  })

  it('unless the input has no room for its channels', () => {
    expect(() => preparePicture(two, plain, [1, 4, 8, 8])).toThrow('shape [1, 4, 8, 8] cannot take a rgb picture')
    expect(() => preparePicture(two, plain, [3, 8, 8])).toThrow('cannot take')
  })
})

describe('the inputs are those of the vendor’s tools, to the bit', () => {
  const scale = [0.0039216, 0.0039216, 0.0039216]
  const letterbox: Preprocess = { ...plain, scale, keepAspectRatio: true, padValue: 128 }
  const cases = [
    ['street_tiny', 'input_1', 256, letterbox, ['example', 'demo', 'day.jpg']],
    ['yolov3_tiny_rand', 'input_1', 416, letterbox, ['zoo', 'images', 'coco100', '000000000632.jpg']],
    ['yolo_lite_coco', 'data', 224, { ...plain, scale }, ['zoo', 'images', 'coco100', '000000000632.jpg']],
  ] as const
  for (const [model, name, size, preprocess, path] of cases) {
    const golden = shared('golden', model, 'input_f32.npz')
    const photo = shared(...path)
    it.skipIf(!golden || !photo)(model, async () => {
      const expected = readNpz(readFileSync(golden!), golden!).get(name)!
      const sample = await loadSample(readFileSync(photo!), photo!, [{ name, shape: [1, 3, size, size], preprocess }])
      expect(sample.feeds[name]!.shape).toEqual(expected.shape)
      expect(Buffer.from(sample.feeds[name]!.data.buffer).equals(Buffer.from(expected.data.buffer))).toBe(true)
    })
  }
})

describe('a sample file', () => {
  const inputs = [{ name: 'x', shape: [1, 2] }]
  const array = (values: number[], shape: number[]) => ({ shape, data: Float32Array.from(values) })

  it('is known by its ending', () => {
    expect(['a.jpg', 'b.JPEG', 'c.png', 'd.bmp', 'e.webp', 'f.jfif', 'g.npy', 'h.npz'].every(isSampleFile)).toBe(true)
    expect(['a.txt', 'labels.json', 'jpg', '.DS_Store'].some(isSampleFile)).toBe(false)
  })

  it('may hold arrays, taken as they are', async () => {
    const npz = writeNpz([
      ['other', array([7], [1])],
      ['x', array([1, 2], [1, 2])],
    ])
    const fromNpz = await loadSample(npz, 'a.npz', inputs)
    const fromNpy = await loadSample(writeNpy(array([1, 2], [1, 2])), 'a.npy', inputs)
    expect(fromNpz).toEqual({ feeds: { x: array([1, 2], [1, 2]) } })
    expect(fromNpy).toEqual(fromNpz)
  })

  it('gives every input its picture', async () => {
    const png = await sharp(two.data, { raw: { width: 2, height: 1, channels: 3 } })
      .png()
      .toBuffer()
    const sample = await loadSample(png, 'a.png', [
      { name: 'small', shape: [1, 3, 1, 2], preprocess: plain },
      { name: 'gray', shape: [1, 1, 1, 2], preprocess: { ...plain, pixelFormat: 'gray' } },
    ])
    expect([...sample.feeds.small!.data]).toEqual([10, 40, 20, 50, 30, 60])
    expect([...sample.feeds.gray!.data]).toEqual([18, 48])
    expect(sample.fit).toMatchObject({ width: 2, height: 1, scaleX: 1 })
    expect([...sample.picture!.data]).toEqual([...two.data])
  })

  it('is refused with a reason', async () => {
    const why = async (bytes: Uint8Array, file: string, to: { name: string; shape: number[] }[] = inputs) =>
      await expect(loadSample(bytes, file, to)).rejects
    const npz = writeNpz([['y', array([1, 2], [1, 2])]])
    await (await why(npz, 'a.npz')).toThrow("a.npz: no array 'x' (there is y)")
    await (await why(writeNpy(array([1, 2], [2])), 'a.npy')).toThrow("a.npy: array of shape [2] for input 'x' [1, 2]")
    await (await why(writeNpy(array([1, NaN], [1, 2])), 'a.npy')).toThrow('a.npy: element 1 is NaN')
    const both = [...inputs, { name: 'y', shape: [1, 2] }]
    await (await why(writeNpy(array([1, 2], [1, 2])), 'a.npy', both)).toThrow('a.npy: one array for 2 inputs')
    await (await why(new Uint8Array(4), 'a.txt')).toThrow('a.txt: this kind of file is no sample')
    const png = await sharp({ create: { width: 2, height: 2, channels: 3, background: 'red' } })
      .png()
      .toBuffer()
    await (await why(png, 'a.png')).toThrow("a.png: input 'x' takes no picture")
  })
})
