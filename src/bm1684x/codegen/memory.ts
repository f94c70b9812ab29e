/** Global memory behind the coefficients: tensors share places when they do not live at the same time. */
import { globalAlign, roundUp } from '../chip.js'

export interface Life {
  readonly name: string
  readonly bytes: number
  /** When it is first written and last read; both included. */
  readonly first: number
  readonly last: number
}

/** @returns offsets, and the bytes that all of them take */
export function placeTensors(lives: readonly Life[]): {
  readonly offsets: ReadonlyMap<string, number>
  readonly bytes: number
} {
  const offsets = new Map<string, number>()
  const placed: (Life & { readonly from: number; readonly to: number })[] = []
  let total = 0
  for (const life of [...lives].sort((a, b) => b.bytes - a.bytes || a.first - b.first || (a.name < b.name ? -1 : 1))) {
    const size = roundUp(life.bytes, globalAlign)
    const others = placed
      .filter(({ first, last }) => first <= life.last && life.first <= last)
      .sort((a, b) => a.from - b.from)
    let from = 0
    for (const other of others) {
      if (other.from - from >= size) break
      from = Math.max(from, other.to)
    }
    placed.push({ ...life, from, to: from + size })
    offsets.set(life.name, from)
    total = Math.max(total, from + size)
  }
  return { offsets, bytes: total }
}
