/**
 * Which pictures decide the ranges: a single odd one can cost every other picture its resolution.
 *
 * A picture stands out in a tensor when its largest |x| is more than 5 % beyond that of every other picture. It sets the threshold
 * when even that lies above all other pictures: those levels are for it alone.
 */
import type { Warning } from '../events.js'
import type { TensorStatistics } from './statistics.js'
import type { Thresholds } from './threshold.js'

/** What is kept of one tensor in one picture. */
export interface Extent {
  readonly absMax: number
  /** Mean |x|. */
  readonly mean: number
  /** How many different |x| there are, those of a bin as one. */
  readonly sizes: number
}

/** In the order of the statistics. */
export type PictureExtents = ReadonlyMap<string, Extent>

export interface Influence {
  readonly tensors: readonly {
    readonly layer: string
    readonly threshold: number
    /** The largest |x|, the picture that has it, and the largest in all others. */
    readonly largest: number
    readonly picture: string
    readonly others: number
  }[]
  /** Those that are worth a warning first, then the most influential. */
  readonly pictures: readonly {
    readonly picture: string
    /** Tensors in which it stands out, and of how many of those it sets the threshold. */
    readonly stands_out: number
    readonly sets: number
    /**
     * How different its values are in size: |ln(mean |x| / median of all pictures)| in units of what is usual for the tensor, the median
     * over tensors. 1 is ordinary.
     */
    readonly unlike: number
    /** An input has a handful of values: one colour, or two with the border of a letterbox. */
    readonly blank: boolean
  }[]
}

const BEYOND = 1.05
/** Two colours in three channels. */
const BLANK = 6
/** With fewer pictures none is called strange. */
const FEW = 8
/** Above these a picture is worth a warning: a share of the tensors, and times the ordinary difference. */
const MUCH = 0.25
const STRANGE = 6

export const extentsOf = (statistics: ReadonlyMap<string, TensorStatistics>): PictureExtents =>
  new Map([...statistics].map(([layer, stats]) => [layer, extentOf(stats)]))

function extentOf({ absMax, exponent, histogram, count, zeros }: TensorStatistics): Extent {
  let sum = 0
  let sizes = zeros > 0 ? 1 : 0
  for (let k = 0; k < histogram.length; k++) {
    sum += histogram[k]! * (k + 0.5)
    if (histogram[k]! > 0) sizes++
  }
  return { absMax, mean: count > 0 ? (sum * 2 ** exponent) / count : 0, sizes }
}

/**
 * @param pictures names and extents of every picture, all with the same layers
 * @param inputs layers whose values are the picture itself
 */
export function influenceOf(
  pictures: ReadonlyMap<string, PictureExtents>,
  inputs: readonly string[],
  thresholds: Thresholds,
): Influence {
  const names = [...pictures.keys()]
  const all = [...pictures.values()]
  const standsOut = names.map(() => 0)
  const sets = names.map(() => 0)
  const differences = names.map((): number[] => [])
  const tensors: Influence['tensors'][number][] = []
  for (const layer of all[0]?.keys() ?? []) {
    const extents = all.map((picture) => picture.get(layer)!)
    let first = 0
    for (const [i, { absMax }] of extents.entries()) if (absMax > extents[first]!.absMax) first = i
    const largest = extents[first]!.absMax
    const others = extents.reduce((most, { absMax }, i) => (i === first ? most : Math.max(most, absMax)), 0)
    const { threshold } = thresholds.get(layer)!
    tensors.push({ layer, threshold, largest, picture: names[first]!, others })
    if (largest > BEYOND * others) {
      standsOut[first]!++
      if (threshold > others) sets[first]!++
    }
    const sizes = extents.map(({ mean }) => Math.log(Math.max(mean, Number.MIN_VALUE)))
    const middle = median(sizes)
    const usual = median(sizes.map((size) => Math.abs(size - middle)))
    if (usual > 0) for (const [i, size] of sizes.entries()) differences[i]!.push(Math.abs(size - middle) / usual)
  }
  const found = names.map((picture, i) => ({
    picture,
    stands_out: standsOut[i]!,
    sets: sets[i]!,
    unlike: round(median(differences[i]!)),
    blank: inputs.some((input) => {
      const extent = all[i]!.get(input)
      return extent !== undefined && extent.sizes <= BLANK
    }),
  }))
  return {
    tensors,
    pictures: found.sort(
      (a, b) =>
        suspicion(b, found.length, tensors.length) - suspicion(a, found.length, tensors.length) ||
        b.sets - a.sets ||
        b.stands_out - a.stands_out ||
        b.unlike - a.unlike,
    ),
  }
}

type PictureInfluence = Influence['pictures'][number]

/** 0 for an ordinary picture. With few pictures each of them sets something. */
function suspicion({ blank, sets, unlike }: PictureInfluence, pictures: number, tensors: number): number {
  if (blank) return 3
  if (pictures < FEW) return 0
  return sets > MUCH * tensors ? 2 : unlike > STRANGE ? 1 : 0
}

/** About pictures that a person should look at. */
export function inspectInfluence({ tensors, pictures }: Influence): Warning[] {
  return pictures.flatMap((found) => {
    const { picture, stands_out, sets, unlike } = found
    const warn = (message: string): Warning[] => [{ about: picture, message }]
    switch (suspicion(found, pictures.length, tensors.length)) {
      case 3:
        return warn('a calibration picture of hardly more than one colour: remove it from the data set')
      case 2:
        return warn(
          `sets ${sets} of ${tensors.length} thresholds alone: remove it, or add more pictures like it if the network is to see such`,
        )
      case 1:
        return warn(
          `its values differ ${unlike.toFixed(1)} times as much from the other pictures' as is usual${stands_out > 0 ? `, and it has the largest in ${stands_out} of ${tensors.length} tensors` : ''}: look at it`,
        )
      default:
        return []
    }
  })
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 0
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

const round = (value: number): number => Math.round(value * 1e3) / 1e3
