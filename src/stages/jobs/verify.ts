import { agree, totalAgreement } from '../../detect/agreement.js'
import { printed } from '../../detect/classes.js'
import { classOfLabel, isAmong, type Ranked, readClassLabels } from '../../detect/classification.js'
import { drawBoxes, drawNames } from '../../detect/draw.js'
import { readCocoLabels, readYoloLabels, stem } from '../../detect/labels.js'
import { meanPrecision } from '../../detect/map.js'
import type { Box, Truth } from '../../detect/types.js'
import * as disk from '../../disk.js'
import { QuantError } from '../../errors.js'
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
  /** Of a classifier: how many of the best classes are looked at; undefined: it is none. */
  top: number | undefined
  detections: readonly string[]
  labelled: readonly string[]
  labels: Labels | undefined
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
  const truth = args.top === undefined ? readTruth(args, float) : undefined
  const named = args.top === undefined ? undefined : readNames(args)
  const score = args.score ?? 1
  const figures = variants.map((variant) => figuresOf(variant, float))
  const verification: Verification = {
    model: args.name,
    score: args.score ?? null,
    ...(args.top === undefined ? {} : { top: args.top }),
    labelled: named ? named.size : args.labelled.length,
    variants: Object.fromEntries(
      variants.map(({ variant }, index) => [variant, withDrops(figures[index]!, figures[0]!)]),
    ),
    pictures: Object.fromEntries(
      [...new Set(args.drawings.map(({ picture }) => picture))].map((picture) => [
        picture,
        Object.fromEntries(
          variants.map((one) => [
            one.variant,
            (named ? best(one.pictures[picture]!) : strong(one.pictures[picture]!, score)).map(seen),
          ]),
        ),
      ]),
    ),
  }
  for (const { variant, picture, from, to } of args.drawings) {
    const original = await decodePicture(disk.readBytes(from), from)
    const found = variants.find((one) => one.variant === variant)!.pictures[picture]!
    const drawn = named
      ? drawNames(original, best(found), args.classes)
      : drawBoxes(original, strong(found, score), args.classes)
    disk.writeAtomic(to, await encodeJpeg(drawn, 92))
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
      ...(named ? nameFigures(variant, reference, named, args.top!) : {}),
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

  function seen(one: Ranked | Box): Seen {
    return {
      text: printed(one, args.classes),
      score: digits(one.score, 4),
      ...('x0' in one ? { box: [one.x0, one.y0, one.x1, one.y1].map((value) => digits(value, 1)) } : {}),
    }
  }

  function best({ ranking }: Finding): readonly Ranked[] {
    return ranking!.slice(0, args.top)
  }
}

/** Of boxes: YOLO, picture -> label file (undefined where there is none), or COCO, one file. Of names: one file, or picture -> class. */
export type Labels =
  | { readonly yolo: Readonly<Record<string, string>> }
  | { readonly coco: string }
  | { readonly names: string }
  | { readonly folders: Readonly<Record<string, string>> }

type Named = ReadonlyMap<string, number>

/** Accuracy on the labelled pictures, agreement with the float model on all. */
function nameFigures(variant: Detections, float: Detections, named: Named, top: number): Partial<Figures> {
  const share = (pictures: readonly string[], wanted: (picture: string) => number, most: number): number =>
    digits(
      pictures.filter((picture) => isAmong(variant.pictures[picture]!.ranking!, wanted(picture), most)).length /
        pictures.length,
      4,
    )
  const all = Object.keys(variant.pictures)
  const floats = (picture: string): number => float.pictures[picture]!.ranking![0]!.classId
  const labelled = [...named.keys()]
  const right = (picture: string): number => named.get(picture)!
  return {
    ...(labelled.length > 0 ? { top1: share(labelled, right, 1), topk: share(labelled, right, top) } : {}),
    top1_agreement: share(all, floats, 1),
    topk_agreement: share(all, floats, top),
  }
}

/** The labelled pictures and their classes. */
function readNames({
  labels,
  labelled,
  classes,
  classMap,
}: Pick<Parameters<typeof judge>[0], 'labels' | 'labelled' | 'classes' | 'classMap'>): Named {
  const named = new Map<string, number>()
  if (labels === undefined) return named
  if ('folders' in labels) {
    for (const picture of labelled) {
      const folder = labels.folders[picture]!
      const classId = classOfLabel(folder, classes, classMap)
      if (classId === undefined)
        throw new QuantError(
          'input',
          `${picture}: the folder \`${folder}\` is called like none of ${classes.length} classes`,
          {
            hint: 'without verify.validation.labels, pictures lie in folders that are called as their class',
          },
        )
      named.set(picture, classId)
    }
    return named
  }
  const file = 'names' in labels ? labels.names : ''
  const classOf = readClassLabels(disk.readText(file), file, classes, classMap)
  for (const picture of labelled) {
    const classId = classOf(picture)
    if (classId !== undefined) named.set(picture, classId)
  }
  if (named.size === 0)
    throw new QuantError('input', `no line of ${file} belongs to a picture of verify.validation.images`, {
      place: { file },
      hint: 'a line is: picture class',
    })
  return named
}

/** What is really on the labelled pictures; the sizes of the pictures are the float model's word. */
export function readTruth(
  args: Pick<Parameters<typeof judge>[0], 'labels' | 'labelled' | 'classes' | 'classMap'>,
  float: Pick<Detections, 'pictures'>,
): Map<string, readonly Truth[]> | undefined {
  const { labels, labelled, classes, classMap } = args
  if (!labels || 'names' in labels || 'folders' in labels) return undefined
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
  if (figures === float) return figures
  if (figures.top1 !== undefined)
    return {
      ...figures,
      top1_drop: digits(float.top1! - figures.top1, 4),
      topk_drop: digits(float.topk! - figures.topk!, 4),
    }
  if (figures.map50 === undefined) return figures
  return {
    ...figures,
    map50_drop: digits(float.map50! - figures.map50, 4),
    map75_drop: digits(float.map75! - figures.map75!, 4),
    map_drop: digits(float.map! - figures.map!, 4),
  }
}

const digits = (value: number, count: number): number => Number(value.toFixed(count))
