/** Detections on a picture. */
import type { Picture } from '../preprocess/picture.js'
import { type Colour, drawText, fillRect, strokeRect, textWidth } from './canvas.js'
import { caption } from './classes.js'
import type { Box } from './types.js'

/** Neighbours in a class list get colours far apart; all of them stand out from streets, skies and rooms. */
const PALETTE: readonly Colour[] = [
  [255, 82, 82],
  [64, 156, 255],
  [255, 193, 7],
  [46, 204, 113],
  [213, 94, 255],
  [255, 138, 48],
  [26, 208, 208],
  [255, 105, 180],
  [174, 224, 51],
  [140, 128, 255],
  [255, 224, 130],
  [90, 220, 255],
  [255, 160, 140],
  [120, 200, 140],
]
const BLACK: Colour = [16, 16, 16]
const WHITE: Colour = [255, 255, 255]

/** Whole pixels, right and lower edge exclusive. */
interface Area {
  readonly x0: number
  readonly y0: number
  readonly x1: number
  readonly y1: number
}

/**
 * Draws boxes with captions such as `car 81.7%`, the best one on top; line and letters grow with the picture. A caption stands
 * above its box, or where there is room that no better one took.
 * @returns a new picture; the given one is left alone
 */
export function drawBoxes(picture: Picture, boxes: readonly Box[], classes: readonly string[]): Picture {
  const drawn: Picture = { ...picture, data: picture.data.slice() }
  const line = Math.max(1, Math.round((picture.width + picture.height) / 550))
  const capHeight = Math.max(8, 4 + 3 * line)
  const best = [...boxes].sort((a, b) => b.score - a.score)
  for (const box of best.toReversed()) {
    const { x0, y0, x1, y1 } = pixels(box)
    // A thin shadow inside and outside keeps the line visible on a ground of its own colour.
    strokeRect(drawn, x0 - 1, y0 - 1, x1 + 1, y1 + 1, 1, BLACK, 0.35)
    strokeRect(drawn, x0 + line, y0 + line, x1 - line, y1 - line, 1, BLACK, 0.35)
    strokeRect(drawn, x0, y0, x1, y1, line, colourOf(box))
  }
  const taken: Area[] = []
  for (const box of best) {
    const text = caption(box, classes)
    const area = placeCaption(pixels(box), textWidth(text, capHeight), capHeight, line, drawn, taken)
    taken.push(area)
    const colour = colourOf(box)
    fillRect(drawn, area.x0, area.y0, area.x1, area.y1, colour)
    const pad = padding(capHeight)
    drawText(drawn, text, area.x0 + pad + 1, area.y0 + pad, capHeight, isLight(colour) ? BLACK : WHITE)
  }
  return drawn
}

/**
 * Names of the whole picture in its upper left corner, the best one on top, as `tabby 22.5%`.
 * @returns a new picture; the given one is left alone
 */
export function drawNames(
  picture: Picture,
  names: readonly Pick<Box, 'classId' | 'score'>[],
  classes: readonly string[],
): Picture {
  const drawn: Picture = { ...picture, data: picture.data.slice() }
  const capHeight = Math.max(8, Math.round(Math.min(picture.width, picture.height) / 30))
  const pad = padding(capHeight)
  const height = capHeight + 2 * pad + Math.round(capHeight / 3)
  for (const [line, name] of names.entries()) {
    const text = caption(name, classes)
    fillRect(drawn, 0, line * height, textWidth(text, capHeight) + 2 * pad, (line + 1) * height, BLACK, 0.7)
    drawText(drawn, text, pad, line * height + pad, capHeight, WHITE)
  }
  return drawn
}

const padding = (capHeight: number): number => Math.round(capHeight * 0.35)
const colourOf = (box: Box): Colour => PALETTE[box.classId % PALETTE.length]!
const isLight = ([r, g, b]: Colour): boolean => 0.299 * r + 0.587 * g + 0.114 * b > 120

function pixels(box: Box): Area {
  return { x0: Math.round(box.x0), y0: Math.round(box.y0), x1: Math.round(box.x1), y1: Math.round(box.y1) }
}

function placeCaption(
  box: Area,
  textWidth: number,
  capHeight: number,
  line: number,
  picture: Picture,
  taken: readonly Area[],
): Area {
  const width = textWidth + 2 * padding(capHeight) + 2
  const height = capHeight + 2 * padding(capHeight)
  const left = Math.max(Math.min(box.x0, picture.width - width), 0)
  const right = Math.max(box.x1 - width, 0)
  const tops = [box.y0 - height + line, box.y0, box.y1 - line, box.y1 - height, box.y0 + height]
  const places = tops.flatMap((y0) => [left, right].map((x0) => ({ x0, y0, x1: x0 + width, y1: y0 + height })))
  const inside = places.filter((place) => place.y0 >= 0 && place.y1 <= picture.height)
  return inside.find((place) => !taken.some((other) => overlap(place, other))) ?? inside[0] ?? places[1]!
}

const overlap = (a: Area, b: Area): boolean => a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1
