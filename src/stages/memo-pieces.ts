/** What stages keep in the memo, as bytes. Workers write these, the main process reads them. */
import type { Ranked } from '../detect/classification.js'
import type { Box } from '../detect/types.js'
import type { SampleLoss } from '../search/objective.js'
import type { Price } from '../search/price.js'

/** Little-endian doubles: SQNR, boxes (NaN for none), then SQNR and cosine of each output. */
export function encodeLoss({ sqnr, boxes = NaN, outputs }: SampleLoss): Uint8Array {
  const numbers = [sqnr, boxes, ...outputs.flatMap((output) => [output.sqnr, output.cosine])]
  const piece = new Uint8Array(8 * numbers.length)
  const view = new DataView(piece.buffer)
  for (const [i, value] of numbers.entries()) view.setFloat64(8 * i, value, true)
  return piece
}

export function decodeLoss(piece: Uint8Array): SampleLoss {
  const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength)
  const number = (i: number): number => view.getFloat64(8 * i, true)
  const boxes = number(1)
  return {
    sqnr: number(0),
    boxes: Number.isNaN(boxes) ? undefined : boxes,
    outputs: Array.from({ length: piece.byteLength / 16 - 1 }, (_, i) => ({
      sqnr: number(2 * i + 2),
      cosine: number(2 * i + 3),
    })),
  }
}

/** JSON. */
export const encodePrice = (price: Price): Uint8Array => new TextEncoder().encode(JSON.stringify(price))

export const decodePrice = (piece: Uint8Array): Price => JSON.parse(new TextDecoder().decode(piece)) as Price

/** What a variant finds on one picture. */
export interface Finding {
  /** Of the picture, in pixels. */
  readonly width: number
  readonly height: number
  /** Down to the least score that mAP looks at, best first. */
  readonly boxes: readonly Box[]
  /** Of a classifier, best first. */
  readonly ranking?: readonly Ranked[]
  /** Outputs against the float model's, dB; null where they are equal or for the float model itself. */
  readonly sqnr: number | null
}

/** JSON. */
export const encodeFinding = (finding: Finding): Uint8Array => new TextEncoder().encode(JSON.stringify(finding))

export const decodeFinding = (piece: Uint8Array): Finding => JSON.parse(new TextDecoder().decode(piece)) as Finding
