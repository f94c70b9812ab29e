import { resolve } from 'node:path'
import type { Variant } from '../config/config.js'
import { classLists } from '../detect/classes.js'
import type { DetectorSpec } from '../detect/types.js'
import * as disk from '../disk.js'
import { memoKey } from '../engine/memo.js'
import type { Json } from '../engine/reason.js'
import type { Stage } from '../engine/stage.js'
import { QuantError } from '../errors.js'
import { runtimeIdentity } from '../runtime/identity.js'
import { graphFiles } from './calibrate.js'
import { floatVariant, type Recipe } from './context.js'
import { filesOfDataset } from './dataset.js'
import { decodeFinding, type Finding } from './memo-pieces.js'
import { doMissing } from './pieces.js'

/** Raise it when the findings on a picture change. */
const findingIdentity = `finding 2, ${runtimeIdentity}`

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
  const output = artifacts.detections(name)
  return {
    name: `detect:${name}`,
    title: `what ${name} finds`,
    ...(variant ? { variant: variant.name } : {}),
    params: detectorParams(recipe),
    identity: `detect 1, ${findingIdentity}`,
    files: all,
    needs: [artifacts.mlir, artifacts.weights, ...(compiled ? [compiled.bmodel] : [])],
    outputs: [output],
    async run(context) {
      const graph = graphFiles(recipe, context)
      const bmodel = compiled && { path: context.path(compiled.bmodel), digest: context.digest(compiled.bmodel) }
      const base = memoKey(findingIdentity, graph.digest, bmodel?.digest ?? '', JSON.stringify(detector ?? null))
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
          pool.run('findBoxes', { graph, bmodel, detector, pictures: chunk, memo: context.memo.folder }, progress),
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

export function detectorSpec({
  config,
  root,
  places,
  look = () => {},
}: Pick<Recipe, 'config' | 'root' | 'places'> & Partial<Pick<Recipe, 'look'>>): DetectorSpec | undefined {
  const { detector } = config.verify
  if (!detector) return undefined
  const { kind, anchors, classScores, iou, classes } = detector
  return { kind, anchors, classScores, iou, classes: classNames() }

  function classNames(): readonly string[] {
    if (classes.kind === 'known') return classLists[classes.name]
    if (classes.kind === 'list') return classes.names
    const file = resolve(root, classes.path)
    look(file)
    const place = places(['verify', 'detector', 'classes'])
    if (!disk.exists(file))
      throw new QuantError('config', `the class file ${classes.path} does not exist`, {
        place,
        hint: 'coco, voc, a list of names, or a file with one name per line',
      })
    const names = disk
      .readText(file)
      .split(/\r?\n/)
      .map((line) => line.trim())
    const filled = names.filter((line) => line !== '')
    if (filled.length === 0) throw new QuantError('config', `the class file ${classes.path} is empty`, { place })
    return filled
  }
}

/** All that decides what is found; the score threshold does not. */
export function detectorParams(recipe: Recipe): Record<string, Json> {
  const spec = detectorSpec(recipe)
  if (!spec) return {}
  return {
    'verify.detector': {
      kind: spec.kind,
      anchors: spec.anchors.map((list) => [...list]),
      classes: [...spec.classes],
      class_scores: spec.classScores,
      iou: spec.iou,
    },
  }
}
