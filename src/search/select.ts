/** Which layers to keep in float: a greedy search in which every step is measured on the whole set. */

/** The network with a set of layers in float. Smaller is better for both. */
export interface Measured {
  /** -SQNR of the outputs, dB. */
  readonly sqnr: number
  /** What the search makes small: the same, or the distance of the boxes from the float model's. */
  readonly loss: number
}

/** Layers that are tried together. */
export interface Candidate {
  readonly layers: readonly string[]
  /** How much less the loss is with these alone in float. Need not be exact: it decides what is tried first. */
  readonly gain: number
}

export interface Step extends Measured {
  /** The whole set after the step. */
  readonly layers: readonly string[]
  readonly added: readonly string[]
  readonly dropped: readonly string[]
  /** Of the loss, as a share of the all-INT8 loss. */
  readonly improvement: number
}

/**
 * So many candidates are measured at each step: those that promise most per layer that they add. At most half of them share layers
 * with what was chosen: what those promise is in part had already.
 */
const tried = 12

/**
 * How much smaller the loss got, as a share of the all-INT8 loss: 0.05 says that a loss of -20 dB became -21, or a distance of
 * 0.20 became 0.19. Negative where it got worse.
 */
export function improvement(int8Loss: number, before: number, after: number): number {
  if (before === after || Number.isNaN(after)) return 0
  if (!Number.isFinite(int8Loss) || !Number.isFinite(before) || int8Loss === 0)
    return after < before ? Infinity : -Infinity
  return (before - after) / Math.abs(int8Loss)
}

/**
 * Starts with all INT8. Of the most promising candidates, each step adds the one that improves the loss most per added layer, if
 * that is at least `minImprovement` of the all-INT8 loss (and more than nothing), and if the SQNR is no worse: boxes of a few pictures
 * that come closer while the outputs go away are luck. When nothing more is found, layers without which the loss is no worse are
 * dropped, and the search goes on if there were any. So the result is never worse than all INT8, in loss and in SQNR; it is empty when
 * nothing pays. Of equals the smaller set wins, then the first.
 * @param candidates in graph order
 * @param complete a set with what must go float along with it, in graph order
 * @param measure mean over samples, for each set
 * @param minImprovement a share, not percent
 */
export async function selectLayers(search: {
  readonly candidates: readonly Candidate[]
  readonly int8: Measured
  readonly complete: (layers: readonly string[]) => readonly string[]
  readonly measure: (sets: readonly (readonly string[])[]) => Promise<readonly Measured[]>
  readonly minImprovement: number
  readonly maxLayers: number
}): Promise<Step[]> {
  const { candidates, int8, complete, measure, minImprovement, maxLayers } = search
  const steps: Step[] = []
  const now = (): Measured & { readonly layers: readonly string[] } => steps.at(-1) ?? { ...int8, layers: [] }

  async function add(): Promise<boolean> {
    const { layers: set, loss, sqnr: before } = now()
    const promising = candidates
      .map(({ layers, gain }) => {
        const grown = complete([...set, ...layers])
        const overlaps = layers.some((layer) => set.includes(layer))
        return { layers: grown, overlaps, promise: gain / (grown.length - set.length) }
      })
      .filter(({ layers }) => layers.length > set.length && layers.length <= maxLayers)
      .sort((a, b) => b.promise - a.promise)
    const setsOf = (some: typeof promising) => distinct(some.map(({ layers }) => layers))
    const overlapping = setsOf(promising.filter(({ overlaps }) => overlaps)).slice(0, tried / 2)
    const apart = setsOf(promising.filter(({ overlaps }) => !overlaps)).slice(0, tried - overlapping.length)
    const sets = distinct([...overlapping, ...apart])
    const measured = await measure(sets)
    const better = sets
      .map((layers, i) => {
        const gained = improvement(int8.loss, loss, measured[i]!.loss)
        return { layers, ...measured[i]!, gained, perLayer: gained / (layers.length - set.length) }
      })
      .filter(({ gained, sqnr }) => gained > 0 && gained >= minImprovement && sqnr <= before)
      .sort((a, b) => (a.perLayer === b.perLayer ? a.layers.length - b.layers.length : b.perLayer - a.perLayer))
    const best = better[0]
    if (best) take(best)
    return best !== undefined
  }

  async function drop(): Promise<boolean> {
    const { layers: set, loss } = now()
    const sets = distinct(set.map((layer) => complete(set.filter((other) => other !== layer)))).filter(
      (layers) => layers.length > 0 && layers.length < set.length,
    )
    const measured = await measure(sets)
    const best = sets
      .map((layers, i) => ({ layers, ...measured[i]! }))
      .filter((one) => one.loss <= loss && one.sqnr <= int8.sqnr)
      .sort((a, b) => (a.loss === b.loss ? a.layers.length - b.layers.length : a.loss - b.loss))[0]
    if (best) take(best)
    return best !== undefined
  }

  function take({ layers, loss, sqnr }: Measured & { readonly layers: readonly string[] }): void {
    const before = now()
    steps.push({
      layers,
      added: layers.filter((layer) => !before.layers.includes(layer)),
      dropped: before.layers.filter((layer) => !layers.includes(layer)),
      loss,
      sqnr,
      improvement: improvement(int8.loss, before.loss, loss),
    })
  }

  // Ends: what is added makes the loss smaller, what is dropped makes the set smaller and the loss no larger.
  for (;;) {
    while (await add());
    let dropped = false
    while (now().layers.length > 1 && (await drop())) dropped = true
    if (!dropped) return steps
  }
}

function distinct(sets: readonly (readonly string[])[]): (readonly string[])[] {
  return [...new Map(sets.map((set) => [JSON.stringify(set), set])).values()]
}
