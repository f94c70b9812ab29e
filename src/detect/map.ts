/**
 * Average precision: how many of the labelled objects are found, and how many false ones come with them, over all scores.
 *
 * Detections of all pictures, best first, each take the free object of their class and picture that they overlap most, if by
 * at least the IoU threshold; others are false. What lies in a crowd is left out. AP is the mean of the highest precision at
 * recalls 0, 0.01 ... 1 (COCO), or the area under the whole curve made monotone (VOC since 2010).
 */
import { area, type Box, intersection, iou, type Truth } from './types.js'

/** One picture: what was found, best first, and what is there. */
export interface Judged {
  readonly found: readonly Box[]
  readonly truth: readonly Truth[]
}

interface ClassPrecision {
  readonly classId: number
  /** Labelled objects, without crowds. */
  readonly objects: number
  readonly ap50: number
  readonly ap75: number
  /** Mean over IoU 0.5, 0.55 ... 0.95. */
  readonly ap: number
  /** Area under the monotone curve at IoU 0.5. */
  readonly area50: number
}

/** Means over the classes that occur in the labels; 0 when none does. */
export interface Precision {
  readonly map50: number
  readonly map75: number
  readonly map: number
  readonly area50: number
  /** Those that occur, by number. */
  readonly classes: readonly ClassPrecision[]
}

const THRESHOLDS = Array.from({ length: 10 }, (_, i) => (50 + 5 * i) / 100)

/** @param classes how many there are; detections and labels of others are not looked at */
export function meanPrecision(pictures: readonly Judged[], classes: number): Precision {
  const each: ClassPrecision[] = []
  for (let classId = 0; classId < classes; classId++) {
    const overlaps = pictures.map((picture) => overlapsOf(picture, classId))
    const objects = overlaps.reduce((sum, { truths }) => sum + truths, 0)
    if (objects === 0) continue
    const curves = THRESHOLDS.map((threshold) => rightOnes(overlaps, threshold))
    const aps = curves.map((curve) => interpolated(curve, objects))
    each.push({
      classId,
      objects,
      ap50: aps[0]!,
      ap75: aps[5]!,
      ap: mean(aps),
      area50: monotoneArea(curves[0]!, objects),
    })
  }
  return {
    map50: mean(each.map((c) => c.ap50)),
    map75: mean(each.map((c) => c.ap75)),
    map: mean(each.map((c) => c.ap)),
    area50: mean(each.map((c) => c.area50)),
    classes: each,
  }
}

/** One class in one picture: detections, best first, and how each overlaps the objects and, at most, a crowd. */
interface Overlaps {
  readonly truths: number
  readonly found: readonly { readonly score: number; readonly ious: readonly number[]; readonly inCrowd: number }[]
}

function overlapsOf({ found, truth }: Judged, classId: number): Overlaps {
  const own = truth.filter((t) => t.classId === classId)
  const objects = own.filter((t) => !t.crowd)
  const crowds = own.filter((t) => t.crowd)
  return {
    truths: objects.length,
    found: found
      .filter((box) => box.classId === classId)
      .sort((a, b) => b.score - a.score)
      .map((box) => ({
        score: box.score,
        ious: objects.map((object) => iou(object, box)),
        inCrowd: crowds.reduce((most, crowd) => Math.max(most, intersection(crowd, box) / area(box)), 0),
      })),
  }
}

/** Right or wrong, over all pictures, best first; of equal scores the earlier picture's first. */
function rightOnes(pictures: readonly Overlaps[], threshold: number): boolean[] {
  const judged: { score: number; right: boolean }[] = []
  for (const { truths, found } of pictures) {
    const taken = new Uint8Array(truths)
    for (const { score, ious, inCrowd } of found) {
      let best = -1
      for (let i = 0; i < truths; i++)
        if (taken[i] === 0 && ious[i]! >= threshold && (best < 0 || ious[i]! > ious[best]!)) best = i
      if (best >= 0) taken[best] = 1
      else if (inCrowd >= threshold) continue
      judged.push({ score, right: best >= 0 })
    }
  }
  return judged.sort((a, b) => b.score - a.score).map(({ right }) => right)
}

/** Precision after each detection, made monotone: the best that this or any higher recall has. */
function envelope(right: readonly boolean[]): Float64Array {
  const precision = new Float64Array(right.length)
  let hits = 0
  for (let i = 0; i < right.length; i++) {
    if (right[i]) hits++
    precision[i] = hits / (i + 1)
  }
  for (let i = right.length - 2; i >= 0; i--) precision[i] = Math.max(precision[i]!, precision[i + 1]!)
  return precision
}

function interpolated(right: readonly boolean[], objects: number): number {
  const precision = envelope(right)
  let sum = 0
  let hits = 0
  let point = 0
  for (let i = 0; i < right.length; i++) {
    if (!right[i]) continue
    hits++
    // Recall reaches point / 100; in whole numbers, for 0.57 * 100 is not 57.
    for (; point <= 100 && hits * 100 >= point * objects; point++) sum += precision[i]!
  }
  return sum / 101
}

function monotoneArea(right: readonly boolean[], objects: number): number {
  const precision = envelope(right)
  return right.reduce((sum, hit, i) => (hit ? sum + precision[i]! : sum), 0) / objects
}

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
