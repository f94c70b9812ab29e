/** Which layers to keep in float: a greedy search in which every step is measured on the whole choice, and priced on the chip. */
import { type Choice, choiceKey, type FloatMode, int8Only } from './choice.js'

/** The network with some layers in float. Smaller is better for both. */
export interface Measured {
  /** -SQNR of the outputs, dB. */
  readonly sqnr: number
  /** What the search makes small. */
  readonly loss: number
}

/** Layers that are tried together. */
export interface Candidate {
  readonly layers: readonly string[]
  /** How much less the loss is with these alone in float, as a share of the all-INT8 loss. Need not be exact: it decides what is measured. */
  readonly gain: number
}

/** A choice of which all is known. */
export interface Known extends Measured {
  readonly choice: Choice
  /** Estimated cycles of its program. */
  readonly cycles: number
}

export interface Step extends Known {
  /** So many choices were measured for it that had not been before. */
  readonly measured: number
  /** A step that adds and drops takes another choice for the one before. A layer that goes to another precision is dropped and added. */
  readonly added: readonly string[]
  readonly dropped: readonly string[]
  /** Of the loss, as a share of the all-INT8 loss. */
  readonly improvement: number
}

export interface Limits {
  /** A share, not percent. */
  readonly minImprovement: number
  readonly maxLayers: number
  /** Estimated cycles of the program. */
  readonly maxCycles: number
}

/**
 * So many candidates are measured at each step: those that promise most for what they cost. At most half of them share layers
 * with what was chosen: what those promise is in part had already.
 */
const tried = 12
/** When none of them pays, so many that gain most by themselves are measured together with what was chosen, and instead of it. */
const triedTogether = 24
const triedInstead = 12
/** So many of the best of a measurement are tried in other precisions too, where there are several. */
const varied = 3
/** So many of the best are priced by their programs at a time, until one fits. */
const priced = 2
/** What a candidate costs at least, as a share of the all-INT8 time: else one that costs nothing would win whatever it gains. */
const leastCost = 0.01
/** A program may be so much faster than its cheap price: what is dearer by that price than the limit times this is not looked at. */
const tooDear = 1.1
/** Of whole stretches more: in a network that is all float the cheap price was up to 16 % too high. */
const tooDearInstead = 1.2
/** So much more time, as a share of the all-INT8 time, is taken to be there to be spent where no limit says so. */
const usualTime = 0.5

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
 * Starts with all INT8. Of the most promising candidates, each step adds the one that improves the loss most for what it costs, if
 * that is at least `minImprovement` of the all-INT8 loss (and more than nothing), if it keeps to the limits, and if `guarded` the SQNR is
 * no worse: boxes of a few pictures that come closer while the outputs go away are luck. When nothing more is found, layers without
 * which the loss is no worse and the program no slower are dropped, and the search goes on if there were any. If not, small steps may
 * have been in the way of a large one: candidates that promise much whatever they cost are measured with what was chosen, and instead of
 * it, and the search goes on from what pays.
 *
 * Every step makes the loss smaller, or the choice smaller and the loss no larger. So the result is never worse than all INT8 (it is empty when
 * nothing pays), nor than what adding and dropping alone find; and no candidate that was tried instead and keeps to the limits is better
 * by `minImprovement`. Of equals the smaller choice wins, then the first. A step measures up to 12 choices, and where none of those pays
 * one per layer that may be dropped and up to 36 more; of every dozen, 3 once more for each further precision.
 * @param candidates in graph order
 * @param modes that a layer may be float in; the first is tried first
 * @param complete a choice with what must go float along with it, in graph order
 * @param measure mean over samples, for each choice
 * @param cheap cycles of a choice, roughly @param exact of its program
 * @param enough asked for all INT8 and after every step: the search ends where it says so
 * @returns the steps; every choice that was priced by its program, all INT8 first; how many choices were measured
 */
export async function selectLayers(search: {
  readonly candidates: readonly Candidate[]
  readonly int8: Measured
  readonly modes: readonly [FloatMode, ...FloatMode[]]
  readonly complete: (choice: Choice) => Choice
  readonly measure: (choices: readonly Choice[]) => Promise<readonly Measured[]>
  readonly cheap: (choice: Choice) => number
  readonly exact: (choices: readonly Choice[]) => Promise<readonly number[]>
  readonly limits: Limits
  readonly guarded: boolean
  readonly enough?: (known: Known) => Promise<boolean>
}): Promise<{ readonly steps: readonly Step[]; readonly known: readonly Known[]; readonly measured: number }> {
  const { candidates, modes, complete, cheap, exact, limits, guarded, enough } = search
  const int8: Known = { ...search.int8, choice: int8Only, cycles: (await exact([int8Only]))[0]! }
  const floor = leastCost * int8.cycles
  const steps: Step[] = []
  const known = new Map<string, Known>([[choiceKey(int8Only), int8]])
  const measured = new Set<string>()
  /** What was looked at and not taken since the last step: it need not be looked at again before the next. */
  const settled = new Set<string>()
  const now = (): Known => steps.at(-1) ?? int8
  const most = Number.isFinite(limits.maxCycles) ? limits.maxCycles : (1 + usualTime) * int8.cycles
  const budget = Math.max(floor, most - int8.cycles)
  /** What going from what is chosen to more costs: the share of the layers or of the time that may be spent, whichever is scarcer. */
  const costOf = (after: Choice, cyclesBefore: number, cyclesAfter: number): number =>
    Math.max((after.size - now().choice.size) / limits.maxLayers, Math.max(floor, cyclesAfter - cyclesBefore) / budget)

  interface Better extends Measured {
    readonly choice: Choice
    readonly gained: number
    /** Gained for what it costs, by the cheap price. */
    readonly rate: number
  }

  const byRate = (a: Better, b: Better): number => (a.rate === b.rate ? a.choice.size - b.choice.size : b.rate - a.rate)

  async function measure(choices: readonly Choice[]): Promise<readonly Measured[]> {
    for (const choice of choices) measured.add(choiceKey(choice))
    return choices.length === 0 ? [] : search.measure(choices)
  }

  const pays = (gained: number): boolean => gained > 0 && gained >= limits.minImprovement
  const allowed = (choice: Choice, most = tooDear): boolean =>
    choice.size <= limits.maxLayers && cheap(choice) <= Math.max(most * limits.maxCycles, cheap(now().choice))

  async function betterOf(choices: readonly Choice[]): Promise<Better[]> {
    const before = now()
    const losses = await measure(choices)
    for (const choice of choices) settled.add(choiceKey(choice))
    return choices
      .map((choice, i) => {
        const gained = improvement(int8.loss, before.loss, losses[i]!.loss)
        return { choice, ...losses[i]!, gained, rate: gained / costOf(choice, cheap(before.choice), cheap(choice)) }
      })
      .filter(({ gained, sqnr }) => pays(gained) && !(guarded && sqnr > before.sqnr))
      .sort(byRate)
  }

  /** The best of the choices, if any pays; where there are several precisions, the best of them are tried in those too. */
  async function takeBest(choices: readonly Choice[]): Promise<boolean> {
    const before = now().choice
    const better = await betterOf(choices)
    if (modes.length > 1)
      better.push(
        ...(await betterOf(
          better
            .slice(0, varied)
            .flatMap(({ choice }) =>
              modes
                .slice(1)
                .map((mode) =>
                  complete(new Map([...choice.keys()].map((layer) => [layer, before.get(layer) ?? mode]))),
                ),
            ),
        )),
      )
    const best = await cheapest(better.sort(byRate))
    if (best) take(best)
    return best !== undefined
  }

  /** Each candidate with what is chosen. */
  const together = (choice: Choice): Choice[] =>
    candidates.map(({ layers }) => complete(new Map([...layers.map((layer) => [layer, modes[0]] as const), ...choice])))
  const alone = together(int8Only)

  async function add(): Promise<boolean> {
    const { choice } = now()
    const promising = together(choice)
      .map((more, i) => {
        const { layers, gain } = candidates[i]!
        const overlaps = layers.some((layer) => choice.has(layer))
        return { choice: more, overlaps, promise: gain / costOf(more, cheap(choice), cheap(more)) }
      })
      .filter(({ choice: more }) => more.size > choice.size && allowed(more))
      .sort((a, b) => b.promise - a.promise)
    const choicesOf = (some: typeof promising) => distinct(some.map((one) => one.choice))
    const overlapping = choicesOf(promising.filter(({ overlaps }) => overlaps)).slice(0, tried / 2)
    const apart = choicesOf(promising.filter(({ overlaps }) => !overlaps)).slice(0, tried - overlapping.length)
    return takeBest(distinct([...overlapping, ...apart]))
  }

  /** Small steps get in the way of large ones: by what candidates gain, whatever it costs, with what is chosen or instead of it. */
  async function widen(): Promise<boolean> {
    const { choice, loss } = now()
    const had = improvement(int8.loss, int8.loss, loss)
    const added = together(choice).map((more, i): Hope => {
      const { layers, gain } = candidates[i]!
      // Where half of the layers are chosen, half of the gain was had.
      return { choice: more, hoped: (gain * layers.filter((layer) => !choice.has(layer)).length) / layers.length }
    })
    const instead = alone.map((other, i): Hope => ({ choice: other, hoped: candidates[i]!.gain - had }))
    const hopes = [
      ...likeliest(added, triedTogether, tooDear),
      ...likeliest(instead, triedInstead, tooDearInstead),
    ].sort(byHope)
    const choices = distinct(hopes.map((one) => one.choice))
    for (let at = 0; at < choices.length; at += tried) if (await takeBest(choices.slice(at, at + tried))) return true
    return false
  }

  /** A choice, and how much less the loss may be with it. */
  interface Hope {
    readonly choice: Choice
    readonly hoped: number
  }

  const byHope = (a: Hope, b: Hope): number => b.hoped - a.hoped

  function likeliest(hopes: readonly Hope[], most: number, dearest: number): Hope[] {
    const likely = hopes
      .filter((one) => pays(one.hoped) && allowed(one.choice, dearest) && !settled.has(choiceKey(one.choice)))
      .sort(byHope)
    const kept = new Set(distinct(likely.map((one) => one.choice)).slice(0, most))
    return likely.filter((one) => kept.has(one.choice))
  }

  /** Of the best by the cheap price, the best by the price of their programs. */
  async function cheapest(better: readonly Better[]): Promise<Known | undefined> {
    for (let at = 0; at < better.length; at += priced) {
      const some = better.slice(at, at + priced)
      const cycles = await exact(some.map(({ choice }) => choice))
      const [best] = some
        .map((one, i) => ({
          ...one,
          cycles: cycles[i]!,
          rate: one.gained / costOf(one.choice, now().cycles, cycles[i]!),
        }))
        .map((one) => remember(one))
        .filter((one) => one.cycles <= limits.maxCycles)
        .sort(byRate)
      if (best) return best
    }
    return undefined
  }

  /** One layer after the other; what cannot go at first is not asked again. */
  async function drop(): Promise<boolean> {
    let layers = [...now().choice.keys()]
    for (let dropped = false; ; dropped = true) {
      const { choice, loss, cycles } = now()
      const without = layers
        .map((layer) => ({ layer, choice: complete(new Map([...choice].filter(([other]) => other !== layer))) }))
        .filter(
          ({ choice: { size }, choice: smaller }) => size > 0 && size < choice.size && cheap(smaller) <= cheap(choice),
        )
      const smaller = [...new Map(without.map((one) => [choiceKey(one.choice), one])).values()]
      const losses = await measure(smaller.map((one) => one.choice))
      const idle = smaller
        .map((one, i) => ({ ...one, ...losses[i]! }))
        .filter((one) => one.loss <= loss && !(guarded && one.sqnr > int8.sqnr))
        .sort((a, b) => (a.loss === b.loss ? a.choice.size - b.choice.size : a.loss - b.loss))
      const [best, ...others] = idle
      if (!best) return dropped
      const next = remember({ ...best, cycles: (await exact([best.choice]))[0]! })
      if (next.cycles > cycles) return dropped
      take(next)
      layers = others.map(({ layer }) => layer).filter((layer) => next.choice.has(layer))
    }
  }

  function remember<T extends Known>(one: T): T {
    const { choice, loss, sqnr, cycles } = one
    known.set(choiceKey(choice), { choice, loss, sqnr, cycles })
    return one
  }

  function take({ choice, loss, sqnr, cycles }: Known): void {
    const before = now()
    const differs = (a: Choice, b: Choice): string[] =>
      [...a].flatMap(([layer, mode]) => (b.get(layer) === mode ? [] : [layer]))
    settled.clear()
    steps.push({
      choice,
      loss,
      sqnr,
      cycles,
      added: differs(choice, before.choice),
      dropped: differs(before.choice, choice),
      measured: measured.size - steps.reduce((sum, step) => sum + step.measured, 0),
      improvement: improvement(int8.loss, before.loss, loss),
    })
  }

  const ends = async (): Promise<boolean> => (await enough?.(now())) === true
  // Ends: the loss gets smaller, or the choice does and the loss no larger.
  let end = await ends()
  while (!end) {
    while (!end && (await add())) end = await ends()
    if (end || !((await drop()) || (await widen()))) break
    end = await ends()
  }
  return { steps, known: [...known.values()], measured: measured.size }
}

const distinct = (choices: readonly Choice[]): Choice[] => [
  ...new Map(choices.map((choice) => [choiceKey(choice), choice])).values(),
]
