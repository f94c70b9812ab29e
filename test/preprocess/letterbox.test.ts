import { describe, expect, it } from 'vitest'
import { fitPicture, placePicture } from '../../src/preprocess/letterbox.js'
import { noise } from './noise.js'

describe('a letterbox', () => {
  it('cuts sizes and offsets to whole pixels', () => {
    // 427 / 2 = 213.5 -> 213 rows; (320 - 213) / 2 = 53.5 -> 53 above.
    const fit = fitPicture(640, 427, 320, 320, { keepAspectRatio: true, padType: 'center' })
    expect(fit).toEqual({ scaleX: 0.5, scaleY: 213 / 427, offsetX: 0, offsetY: 53, width: 640, height: 427 })
  })

  it('stands in the upper left corner when padding is normal', () => {
    const fit = fitPicture(100, 200, 64, 64, { keepAspectRatio: true, padType: 'normal' })
    expect(fit).toMatchObject({ scaleX: 0.32, offsetX: 0, offsetY: 0 })
  })

  it('stretches when the aspect ratio is not kept', () => {
    const fit = fitPicture(100, 50, 64, 64, { keepAspectRatio: false, padType: 'center' })
    expect(fit).toMatchObject({ scaleX: 0.64, scaleY: 1.28, offsetX: 0, offsetY: 0 })
  })

  it('keeps at least one row of a very wide picture', () => {
    const fit = fitPicture(5000, 2, 64, 64, { keepAspectRatio: true, padType: 'center' })
    expect(fit.scaleY).toBe(0.5)
    expect(placePicture(noise(5000 * 2 * 3), 3, fit, 64, 64, 0).length).toBe(64 * 64 * 3)
  })

  it('fills what the picture leaves with the pad value, and nothing else', () => {
    const fit = fitPicture(4, 2, 8, 8, { keepAspectRatio: true, padType: 'center' })
    const canvas = placePicture(new Uint8Array(4 * 2).fill(9), 1, fit, 8, 8, 114)
    const rows = Array.from({ length: 8 }, (_, y) => [...new Set(canvas.subarray(y * 8, y * 8 + 8))])
    expect(rows).toEqual([[114], [114], [9], [9], [9], [9], [114], [114]])
  })
})
