/** The image of all constants in global memory. */
import { globalAlign, globalBase, roundUp } from '../chip.js'
import type { Packed } from './kernel.js'

export interface Coefficients {
  /** The global address of a constant; it is taken into the image when it is first asked for. */
  place(packed: Packed): number
  /** A multiple of 4096 bytes. */
  image(): Uint8Array
}

export function startCoefficients(): Coefficients {
  const placed = new Map<Packed, number>()
  let bytes = 0
  return {
    place(packed) {
      const known = placed.get(packed)
      if (known !== undefined) return known
      const address = globalBase + bytes
      placed.set(packed, address)
      bytes += roundUp(packed.data.length, globalAlign)
      return address
    },
    image() {
      const image = new Uint8Array(bytes)
      for (const [{ data }, address] of placed) image.set(data, address - globalBase)
      return image
    },
  }
}
