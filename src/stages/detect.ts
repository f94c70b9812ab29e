import { resolve } from 'node:path'
import type { Classes, Variant } from '../config/config.js'
import { classLists } from '../detect/classes.js'
import type { DetectorSpec } from '../detect/types.js'
import * as disk from '../disk.js'
import { memoKey } from '../engine/memo.js'
import type { Json } from '../engine/reason.js'
import type { Stage } from '../engine/stage.js'
import { QuantError } from '../errors.js'
import { runtimeIdentity } from '../runtime/identity.js'
import { graphFiles } from './calibrate.js'
import { floatVariant, graphParams, type Recipe } from './context.js'
import { filesOfDataset } from './dataset.js'
import { decodedWarning } from './decoded.js'
import { decodeFinding, type Finding } from './memo-pieces.js'
import { doMissing } from './pieces.js'

/** Raise it when the findings on a picture change. */
export const findingIdentity = `finding 2, ${runtimeIdentity}`

/** detections.json: what a variant finds, however weak, so that another score threshold needs no inference. */
export interface Detections {
  readonly variant: string
  /** Path of the picture, relative to quant.yaml. */
  readonly pictures: Readonly<Record<string, Finding>>
}

/** What one variant finds on every picture of verification. `variant` undefined: the float model. */
export function detectStage(recipe: Recipe, variant: Variant | undefined): Stage {
  const { config, pool, artifacts } = recipe
  const name = variant?.name ?? floatVariant
  const compiled = variant && artifacts.variant(variant)
  const { all } = verifyPictures(recipe)
  const detector = detectorSpec(recipe)
  const classes = classifierNames(recipe)?.length
  const output = artifacts.detections(name)
  return {
    name: `detect:${name}`,
    title: `what ${name} finds`,
    ...(variant ? { variant: variant.name } : {}),
    params: {
      ...graphParams(recipe),
      ...detectorParams(recipe),
      ...(classes === undefined ? {} : { 'verify.classifier.classes': classes }),
    },
    identity: `detect 1, ${findingIdentity}`,
    files: all,
    needs: [artifacts.mlir, artifacts.weights, ...(compiled ? [compiled.bmodel] : [])],
    outputs: [output],
    async run(context) {
      const graph = graphFiles(recipe, context)
      if (detector && variant?.quantize === 'INT8') {
        const message = decodedWarning(await pool.run('readLayers', { graph }), detector)
        if (message) context.warn({ about: name, message })
      }
      const bmodel = compiled && { path: context.path(compiled.bmodel), digest: context.digest(compiled.bmodel) }
      const base = memoKey(
        findingIdentity,
        graph.digest,
        bmodel?.digest ?? '',
        JSON.stringify(detector ?? classes ?? null),
      )
      const pieces = all.map((picture) => ({
        path: context.path(picture),
        digest: context.digest(picture),
        key: memoKey(base, context.digest(picture)),
      }))
      await doMissing(context, {
        pieces,
        unit: 'pictures',
        workers: pool.size,
        work: (chunk, progress) =>
          pool.run(
            'findBoxes',
            { graph, bmodel, detector, classes, pictures: chunk, memo: context.memo.folder },
            progress,
          ),
      })
      const findings = pieces.map(({ key }) => decodeFinding(context.memo.get(key)!))
      const detections: Detections = {
        variant: name,
        pictures: Object.fromEntries(all.map((picture, index) => [picture, findings[index]!])),
      }
      disk.writeAtomic(context.target(output), `${JSON.stringify(detections)}\n`)
      const strong = findings.reduce(
        (sum, { boxes }) => sum + boxes.filter((box) => box.score >= (config.verify.detector?.score ?? 1)).length,
        0,
      )
      return { note: `${all.length} pictures${detector ? `, ${strong} boxes` : ''}` }
    },
  }
}

/** Pictures with labels, pictures to draw, and both together without doubles. Relative to quant.yaml. */
export function verifyPictures(recipe: Recipe): {
  labelled: string[]
  drawn: string[]
  all: string[]
} {
  const { config, places } = recipe
  const { validation, images } = config.verify
  const labelled = validation
    ? filesOfDataset(recipe, validation.images, 'the validation set', places(['verify', 'validation', 'images']))
    : []
  const drawn = images.flatMap((image, index) =>
    filesOfDataset(recipe, image, 'the picture', places(['verify', 'images', index])),
  )
  return { labelled, drawn, all: [...new Set([...labelled, ...drawn])] }
}

type ClassReader = Pick<Recipe, 'config' | 'root' | 'places'> & Partial<Pick<Recipe, 'look'>>

/** @throws QuantError 'config' for a class file that cannot be used */
export function detectorSpec(recipe: ClassReader): DetectorSpec | undefined {
  const { detector } = recipe.config.verify
  if (!detector) return undefined
  const { kind, anchors, classScores, scaleXY, strides, iou, classes } = detector
  // In this order, and without what is not set: it is part of keys.
  return {
    kind,
    ...(anchors ? { anchors } : {}),
    ...(classScores ? { classScores } : {}),
    iou,
    classes: classes.kind === 'known' ? classLists[classes.name] : classNames(recipe, classes, 'detector'),
    ...(scaleXY ? { scaleXY } : {}),
    ...(strides ? { strides } : {}),
  }
}

/**
 * The classes of a classifier, in the order of its output; where only their count is known, `class 0`, `class 1` ...
 * @returns undefined when the network is none
 * @throws QuantError 'config' for a class file that cannot be used
 */
export function classifierNames(recipe: ClassReader): readonly string[] | undefined {
  const classes = recipe.config.verify.classifier?.classes
  if (classes?.kind === 'count') return Array.from({ length: classes.count }, (_, classId) => `class ${classId}`)
  return classes && classNames(recipe, classes, 'classifier')
}

function classNames(
  { root, places, look = () => {} }: ClassReader,
  classes: Exclude<Classes, { kind: 'known' }>,
  verifier: 'detector' | 'classifier',
): readonly string[] {
  if (classes.kind === 'list') return classes.names
  const file = resolve(root, classes.path)
  look(file)
  const place = places(['verify', verifier, 'classes'])
  if (!disk.exists(file))
    throw new QuantError('config', `the class file ${classes.path} does not exist`, {
      place,
      hint: `${verifier === 'detector' ? 'coco, voc' : 'how many there are'}, a list of names, or a file with one name per line`,
    })
  const names = disk
    .readText(file)
    .split(/\r?\n/)
    .map((line) => line.trim())
  const filled = names.filter((line) => line !== '')
  if (filled.length === 0) throw new QuantError('config', `the class file ${classes.path} is empty`, { place })
  return filled
}

/** All that decides what is found; the score threshold does not. */
export function detectorParams(recipe: Recipe): Record<string, Json> {
  const spec = detectorSpec(recipe)
  if (!spec) return {}
  const { kind, anchors, classes, classScores, scaleXY, strides, iou } = spec
  return {
    'verify.detector': {
      kind,
      ...(anchors ? { anchors: anchors.map((list) => [...list]) } : {}),
      classes: [...classes],
      ...(classScores ? { class_scores: classScores } : {}),
      ...(scaleXY ? { scale_x_y: [...scaleXY] } : {}),
      ...(strides ? { strides: [...strides] } : {}),
      iou,
    },
  }
}
