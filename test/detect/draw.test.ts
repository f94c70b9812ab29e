import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { drawText, textWidth } from '../../src/detect/canvas.js'
import { caption, printed } from '../../src/detect/classes.js'
import { drawBoxes } from '../../src/detect/draw.js'
import { glyphOf } from '../../src/detect/font.js'
import type { Box } from '../../src/detect/types.js'
import type { Picture } from '../../src/preprocess/picture.js'

const blank = (width: number, height: number): Picture => ({
  width,
  height,
  data: new Uint8Array(width * height * 3).fill(90),
})
const box = (x0: number, y0: number, x1: number, y1: number, classId = 0): Box => ({
  x0,
  y0,
  x1,
  y1,
  score: 0.817,
  classId,
})
const pixel = ({ data, width }: Picture, x: number, y: number) => [
  ...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
]
const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))

describe('the typeface', () => {
  it('has a form of its own for every printable character', () => {
    const forms = PRINTABLE.map((character) => JSON.stringify(glyphOf(character).segments))
    expect(new Set(forms).size).toBe(95)
    expect(glyphOf('é')).toEqual(glyphOf('?'))
  })

  it('stays between its lines', () => {
    for (const character of PRINTABLE)
      for (const [x0, y0, x1, y1] of glyphOf(character).segments) {
        expect(Math.min(x0, x1, y0, y1), character).toBeGreaterThanOrEqual(0)
        expect(Math.max(y0, y1), character).toBeLessThanOrEqual(12)
      }
  })

  it('draws inside the width that it tells', () => {
    for (const capHeight of [8, 11, 20]) {
      const text = 'Wg%81@m'
      const width = textWidth(text, capHeight)
      const page = blank(width + 20, 60)
      drawText(page, text, 10, 10, capHeight, [255, 255, 255])
      const inked: number[] = []
      for (let y = 0; y < 60; y++) for (let x = 0; x < width + 20; x++) if (pixel(page, x, y)[0]! > 95) inked.push(x)
      expect(Math.min(...inked)).toBeGreaterThanOrEqual(9)
      expect(Math.max(...inked)).toBeLessThanOrEqual(width + 11)
      expect(Math.max(...inked)).toBeGreaterThan(width)
    }
  })
})

describe('drawn boxes', () => {
  it('frame their object and leave its inside alone', () => {
    const page = blank(320, 240)
    const drawn = drawBoxes(page, [box(100, 100, 200, 180)], ['car'])
    expect(pixel(drawn, 150, 179)).not.toEqual([90, 90, 90])
    expect(pixel(drawn, 100, 150)).toEqual(pixel(drawn, 199, 150))
    expect(pixel(drawn, 150, 150)).toEqual([90, 90, 90])
    expect(pixel(drawn, 250, 200)).toEqual([90, 90, 90])
    expect(page.data.every((value) => value === 90)).toBe(true)
  })

  it('have a colour for each class', () => {
    const drawn = drawBoxes(blank(320, 240), [box(20, 60, 80, 120, 0), box(120, 60, 180, 120, 1)], ['car', 'bus'])
    expect(pixel(drawn, 20, 90)).not.toEqual(pixel(drawn, 120, 90))
  })

  it('are clipped at the borders', () => {
    const wild = [
      box(-50, -50, 400, 300),
      box(0, 0, 320, 240),
      box(310, 230, 320, 240),
      box(0, 0, 1, 1),
      box(5.4, 5.4, 5.45, 5.45),
    ]
    for (const [width, height] of [
      [320, 240],
      [20, 10],
      [1, 1],
    ] as const) {
      const drawn = drawBoxes(blank(width, height), wild, [])
      expect(drawn.data.length).toBe(width * height * 3)
      expect(drawn.data.some((value) => value !== 90)).toBe(true)
    }
  })

  it('have captions that do not cover each other', () => {
    // Two classes on one object, as a truck that may be a bus.
    const [truck, bus] = [box(100, 100, 200, 180, 0), { ...box(100, 100, 200, 180, 1), score: 0.5 }]
    const alone = drawBoxes(blank(320, 240), [truck], ['truck', 'bus'])
    const both = drawBoxes(blank(320, 240), [bus, truck], ['truck', 'bus'])
    for (let y = 86; y < 100; y++) for (let x = 101; x < 160; x++) expect(pixel(both, x, y)).toEqual(pixel(alone, x, y))
    expect(Buffer.from(both.data).equals(Buffer.from(alone.data))).toBe(false)
  })

  it('are the same bytes on every machine', () => {
    const drawn = drawBoxes(blank(320, 240), [box(30, 40, 200, 180), box(150, 90, 300, 220, 4)], ['traffic light'])
    expect(createHash('sha256').update(drawn.data).digest('hex')).toBe(
      '7a70319080b6135713939af12eac68d360d00fa41a7eb693033468c21c9c37a5',
    )
  })
})

it('a detection is written as the vendor writes it', () => {
  expect(printed(box(0, 0, 1, 1), ['car'])).toBe('car:81.7%')
  expect(caption({ ...box(0, 0, 1, 1), score: 1 }, ['car'])).toBe('car 100.0%')
  expect(printed(box(0, 0, 1, 1, 7), ['car'])).toBe('class 7:81.7%')
})
