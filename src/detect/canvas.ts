/** What labels are drawn with, on an 8-bit RGB buffer: everything is clipped at the borders and blended by coverage. */
import type { Picture } from '../preprocess/picture.js'
import { CAP_HEIGHT, type Glyph, glyphOf } from './font.js'

export type Colour = readonly [number, number, number]

/** Of the typeface's strokes, and between its glyphs, in its units. */
const STROKE = 1.35
const GAP = 2.1

/** A filled rectangle of whole pixels, x1 and y1 exclusive; `opacity` 0..1. */
export function fillRect(
  picture: Picture,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  colour: Colour,
  opacity = 1,
): void {
  for (let y = Math.max(y0, 0); y < Math.min(y1, picture.height); y++)
    for (let x = Math.max(x0, 0); x < Math.min(x1, picture.width); x++) blendPixel(picture, x, y, colour, opacity)
}

/** The border of a rectangle, `width` pixels inwards. */
export function strokeRect(
  picture: Picture,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  width: number,
  colour: Colour,
  opacity = 1,
): void {
  const top = Math.min(y0 + width, y1)
  const bottom = Math.max(y1 - width, top)
  fillRect(picture, x0, y0, x1, top, colour, opacity)
  fillRect(picture, x0, bottom, x1, y1, colour, opacity)
  fillRect(picture, x0, top, Math.min(x0 + width, x1), bottom, colour, opacity)
  fillRect(picture, Math.max(x1 - width, x0 + width), top, x1, bottom, colour, opacity)
}

/** In pixels, for capitals of that height. */
export function textWidth(text: string, capHeight: number): number {
  const units = [...text].reduce((sum, character) => sum + glyphOf(character).width + GAP, -GAP)
  return Math.ceil((units + STROKE) * (capHeight / CAP_HEIGHT))
}

/** One line, (x, y) the upper left corner of its capitals. */
export function drawText(
  picture: Picture,
  text: string,
  x: number,
  y: number,
  capHeight: number,
  colour: Colour,
): void {
  const unit = capHeight / CAP_HEIGHT
  let left = x + (STROKE / 2) * unit
  for (const character of text) {
    const glyph = glyphOf(character)
    drawGlyph(picture, glyph, left, y, unit, colour)
    left += (glyph.width + GAP) * unit
  }
}

/** A pixel is covered as far as its centre lies within half a stroke of the nearest piece, softened over one pixel. */
function drawGlyph(picture: Picture, glyph: Glyph, left: number, top: number, unit: number, colour: Colour): void {
  const radius = (STROKE / 2) * unit
  const reach = Math.ceil(radius + 1)
  // Strokes along the top of capitals and along the base line fill whole pixels: the letter is drawn between their outer edges.
  const scaleY = (CAP_HEIGHT * unit - 2 * radius) / CAP_HEIGHT
  const lines = glyph.segments.map(
    ([x0, y0, x1, y1]) =>
      [left + x0 * unit, top + radius + y0 * scaleY, left + x1 * unit, top + radius + y1 * scaleY] as const,
  )
  const xEnd = Math.min(Math.ceil(left + glyph.width * unit) + reach, picture.width)
  const yEnd = Math.min(Math.ceil(top + (CAP_HEIGHT + 4) * unit) + reach, picture.height)
  for (let y = Math.max(Math.floor(top) - reach, 0); y < yEnd; y++)
    for (let x = Math.max(Math.floor(left) - reach, 0); x < xEnd; x++) {
      let nearest = Infinity
      for (const line of lines) nearest = Math.min(nearest, distance(x + 0.5, y + 0.5, line))
      const cover = Math.min(radius + 0.5 - nearest, 1)
      if (cover > 0) blendPixel(picture, x, y, colour, cover)
    }
}

function distance(x: number, y: number, [x0, y0, x1, y1]: readonly [number, number, number, number]): number {
  const dx = x1 - x0
  const dy = y1 - y0
  const length = dx * dx + dy * dy
  const along = length === 0 ? 0 : Math.min(Math.max(((x - x0) * dx + (y - y0) * dy) / length, 0), 1)
  const ex = x - x0 - along * dx
  const ey = y - y0 - along * dy
  return Math.sqrt(ex * ex + ey * ey)
}

function blendPixel({ data, width }: Picture, x: number, y: number, colour: Colour, opacity: number): void {
  const at = (y * width + x) * 3
  for (let c = 0; c < 3; c++) data[at + c] = Math.round(data[at + c]! + (colour[c]! - data[at + c]!) * opacity)
}
