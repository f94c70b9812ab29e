/** Constants in 8 bit: to the nearest, halves away from zero, cut off at the ends, whatever the size. */
import { expect, test } from 'vitest'
import { atScale } from '../../src/quantize/lower/filter.js'

const justBelowHalf = 0.5 - 2 ** -25
const values: readonly (readonly [value: number, i8: number, u8: number])[] = [
  [0, 0, 0],
  [-0, 0, 0],
  [0.5, 1, 1],
  [-0.5, -1, 0],
  [justBelowHalf, 0, 0],
  [-justBelowHalf, 0, 0],
  [1.5, 2, 2],
  [-1.5, -2, 0],
  [2.5, 3, 3],
  [-126.5, -127, 0],
  [126.5, 127, 127],
  [127.4, 127, 127],
  [127.5, 127, 128],
  [-127.5, -128, 0],
  [-128.5, -128, 0],
  [254.5, 127, 255],
  [255.5, 127, 255],
  [2 ** 31 + 512, 127, 255],
  [2 ** 32, 127, 255],
  [1e30, 127, 255],
  [-1e30, -128, 0],
]

test.each(['i8', 'u8'] as const)('%s', (kind) => {
  const weight = { shape: [values.length], data: Float32Array.from(values, ([value]) => value) }
  const { data } = atScale('c', weight, { kind, scale: 1 })
  expect([...data]).toEqual(values.map(([, i8, u8]) => (kind === 'i8' ? i8 : u8)))
})
