import { agree, totalAgreement } from '../../detect/agreement.js'
import { printed } from '../../detect/classes.js'
import { drawBoxes } from '../../detect/draw.js'
import { readCocoLabels, readYoloLabels, stem } from '../../detect/labels.js'
import { meanPrecision } from '../../detect/map.js'
import type { Box, Truth } from '../../detect/types.js'
import * as disk from '../../disk.js'
import { decodePicture, encodeJpeg } from '../../preprocess/picture.js'
import type { Detections } from '../detect.js'
import type { Finding } from '../memo-pieces.js'
import type { Figures, Seen, Verification } from '../verification.js'

/** Findings of all variants -> verify.json and the drawn pictures. The first variant is the float model: the others are held against it. */
export async function judge(args: {
  name: string
  classes: readonly string[]
  /** Undefined: no detector, only the outputs are compared. */
  score: number | undefined
  detections: readonly string[]
  labelled: readonly string[]
  /** YOLO: picture -> label file (undefined where there is none). COCO: one file. */
  labels: { readonly yolo: Readonly<Record<string, string>> } | { readonly coco: string } | undefined
  classMap: readonly number[] | undefined
  drawings: readonly {
    readonly variant: string
    readonly picture: string
    readonly from: string
    readonly to: string
  }[]
  verify: string
}): Promise<Verification> {
  const variants = args.detections.map((file) => JSON.parse(disk.readText(file)) as Detections)
  const float = variants[0]!
  const truth = readTruth(args, float)
  const score = args.score ?? 1
  const figures = variants.map((variant) => figuresOf(variant, float))
  const verification: Verification = {
    model: args.name,
    score: args.score ?? null,
    labelled: args.labelled.length,
    variants: Object.fromEntries(
      variants.map(({ variant }, index) => [variant, withDrops(figures[index]!, figures[0]!)]),
    ),
    pictures: Object.fromEntries(
      [...new Set(args.drawings.map(({ picture }) => picture))].map((picture) => [
        picture,
        Object.fromEntries(variants.map((one) => [one.variant, strong(one.pictures[picture]!, score).map(seen)])),
      ]),
    ),
  }
  for (const { variant, picture, from, to } of args.drawings) {
    const original = await decodePicture(disk.readBytes(from), from)
    const found = variants.find((one) => one.variant === variant)!.pictures[picture]!
    disk.writeAtomic(to, await encodeJpeg(drawBoxes(original, strong(found, score), args.classes), 92))
  }
  disk.writeAtomic(args.verify, `${JSON.stringify(verification, undefined, 2)}\n`)
  return verification

  function figuresOf(variant: Detections, reference: Detections): Figures {
    const pictures = Object.keys(variant.pictures)
    const agreement = totalAgreement(
      pictures.map((picture) =>
        agree(strong(reference.pictures[picture]!, score), strong(variant.pictures[picture]!, score)),
      ),
    )
    const precision =
      truth &&
      meanPrecision(
        args.labelled.map((picture) => ({ found: variant.pictures[picture]!.boxes, truth: truth.get(picture)! })),
        args.classes.length,
      )
    const sqnrs = pictures.map((picture) => variant.pictures[picture]!.sqnr).filter((sqnr) => sqnr !== null)
    return {
      pictures: pictures.length,
      sqnr: sqnrs.length === 0 ? null : digits(sqnrs.reduce((sum, value) => sum + value, 0) / sqnrs.length, 3),
      ...(args.score === undefined
        ? {}
        : {
            recall: digits(agreement.recall, 4),
            matched: agreement.matched,
            missed: agreement.missed,
            extra: agreement.extra,
            score_difference: digits(agreement.scoreDifference, 4),
            mean_iou: digits(agreement.iou, 4),
          }),
      ...(precision
        ? {
            map50: digits(precision.map50, 4),
            map75: digits(precision.map75, 4),
            map: digits(precision.map, 4),
            classes: Object.fromEntries(
              precision.classes.map((one) => [
                args.classes[one.classId]!,
                { objects: one.objects, ap50: digits(one.ap50, 4), ap: digits(one.ap, 4) },
              ]),
            ),
          }
        : {}),
    }
  }

  function seen(box: Box): Seen {
    return {
      text: printed(box, args.classes),
      score: digits(box.score, 4),
      box: [box.x0, box.y0, box.x1, box.y1].map((value) => digits(value, 1)),
    }
  }
}

function readTruth(
  args: Pick<Parameters<typeof judge>[0], 'labels' | 'labelled' | 'classes' | 'classMap'>,
  float: Detections,
): Map<string, readonly Truth[]> | undefined {
  const { labels, labelled, classes, classMap } = args
  if (!labels) return undefined
  if ('coco' in labels) {
    const byStem = readCocoLabels(disk.readText(labels.coco), labels.coco, classes, classMap)
    return new Map(labelled.map((picture) => [picture, byStem.get(stem(picture)) ?? []]))
  }
  return new Map(
    labelled.map((picture) => {
      const file = labels.yolo[picture]
      const truth =
        file === undefined ? [] : readYoloLabels(disk.readText(file), file, float.pictures[picture]!, classes, classMap)
      return [picture, truth]
    }),
  )
}

const strong = (finding: Finding, score: number): Box[] => finding.boxes.filter((box) => box.score >= score)

/** How far below the float model, in the same digits as the figures themselves. */
function withDrops(figures: Figures, float: Figures): Figures {
  if (figures === float || figures.map50 === undefined) return figures
  return {
    ...figures,
    map50_drop: digits(float.map50! - figures.map50, 4),
    map75_drop: digits(float.map75! - figures.map75!, 4),
    map_drop: digits(float.map! - figures.map!, 4),
  }
}

const digits = (value: number, count: number): number => Number(value.toFixed(count))
