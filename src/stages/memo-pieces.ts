/** What stages keep in the memo, as bytes. Workers write these, the main process reads them. */
import type { Box } from '../detect/types.js'

/** One picture's loss with a set of layers in float: 8 bytes, a little-endian double. */
export function encodeLoss(loss: number): Uint8Array {
  const piece = new Uint8Array(8)
  new DataView(piece.buffer).setFloat64(0, loss, true)
  return piece
}

export const decodeLoss = (piece: Uint8Array): number =>
  new DataView(piece.buffer, piece.byteOffset, 8).getFloat64(0, true)

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
