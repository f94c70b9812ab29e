import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { decodePicture } from '../../src/preprocess/picture.js'
import { resize } from '../../src/preprocess/resize.js'
import { shared } from '../shared.js'
import { noise } from './noise.js'
import reference from './opencv-resize.json' with { type: 'json' }

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const day = shared('example', 'demo', 'day.jpg')

describe('resizing gives the bytes of OpenCV', () => {
  it.each(reference.cases)('$width x $height x $channels to $newWidth x $newHeight', (c) => {
    const source = noise(c.width * c.height * c.channels)
    const got = resize(source, c.width, c.height, c.channels, c.newWidth, c.newHeight)
    expect(got.length).toBe(c.newWidth * c.newHeight * c.channels)
    expect(Buffer.from(got).toString('base64')).toBe(c.bytes)
  })

  it('leaves a picture of the right size alone', () => {
    const source = noise(5 * 4 * 3)
    expect(resize(source, 5, 4, 3, 5, 4)).toEqual(source)
  })

  // Digests of cv2.imread and cv2.resize, OpenCV 4.6.0, channels turned to RGB.
  it.skipIf(!day)('a photo: decoded, and at 224 x 224', async () => {
    const picture = await decodePicture(readFileSync(day!), 'day.jpg')
    expect(sha256(picture.data)).toBe('3a440f426ee3a293cb11ab4f09791769556a960b49a60719c58d74817e04a77c')
    const small = resize(picture.data, picture.width, picture.height, 3, 224, 224)
    expect(sha256(small)).toBe('beb156e58381af14aa253f33b9092b92cc95a790867aa3d7f13d0c4f93b68d77')
  })
})
