/** Choices of which none is both faster and better than another. */

export interface Point {
  /** Estimated cycles of the program. */
  readonly cycles: number
  readonly loss: number
  /** How many layers are float. */
  readonly size: number
}

/** Fastest first, so that the loss falls. Of equals the first. */
export function paretoFront<T extends Point>(points: readonly T[]): T[] {
  const sorted = [...points].sort((a, b) => a.cycles - b.cycles || a.loss - b.loss || a.size - b.size)
  let least = Infinity
  return sorted.filter(({ loss }, index) => {
    const better = loss < least || index === 0
    if (better) least = loss
    return better
  })
}

/** The best point of a front that is allowed; undefined where none is. */
export const bestOf = <T extends Point>(front: readonly T[], allowed: (point: T) => boolean): T | undefined =>
  front.findLast(allowed)

/**
 * Where a search ends, unless it met a choice on its way that is better and no slower: a step takes what gains most for its layers, so
 * what it passed over may still be that.
 */
export const noWorse = <T extends Point>(front: readonly T[], end: T, allowed: (point: T) => boolean): T => {
  const better = bestOf(front, (point) => point.cycles <= end.cycles && point.loss < end.loss && allowed(point))
  return better ?? end
}
