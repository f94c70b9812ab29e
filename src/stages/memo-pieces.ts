/** What stages keep in the memo, as bytes. Workers write these, the main process reads them. */
import type { Box } from '../detect/types.js'

/** One picture with a set of layers in float. */
export interface Loss {
  /** -SQNR of the outputs, dB. */
  readonly sqnr: number
  /** Distance of the boxes from the float model's; undefined without a detector. */
  readonly boxes: number | undefined
}

/** Two little-endian doubles; NaN for no boxes. */
export function encodeLoss({ sqnr, boxes = NaN }: Loss): Uint8Array {
  const piece = new Uint8Array(16)
  const view = new DataView(piece.buffer)
  view.setFloat64(0, sqnr, true)
  view.setFloat64(8, boxes, true)
  return piece
}

export function decodeLoss(piece: Uint8Array): Loss {
  const view = new DataView(piece.buffer, piece.byteOffset, 16)
  const boxes = view.getFloat64(8, true)
  return { sqnr: view.getFloat64(0, true), boxes: Number.isNaN(boxes) ? undefined : boxes }
}

/** What a variant finds on one picture. */
export interface Finding {
  /** Of the picture, in pixels. */
  readonly width: number
  readonly height: number
  /** Down to the least score that mAP looks at, best first. */
  readonly boxes: readonly Box[]
  /** Outputs against the float model's, dB; null where they are equal or for the float model itself. */
  readonly sqnr: number | null
}

/** JSON. */
export const encodeFinding = (finding: Finding): Uint8Array => new TextEncoder().encode(JSON.stringify(finding))

export const decodeFinding = (piece: Uint8Array): Finding => JSON.parse(new TextDecoder().decode(piece)) as Finding
