import { basename, dirname, join, resolve } from 'node:path'
import type { Requirement } from '../config/config.js'
import { stem } from '../detect/labels.js'
import * as disk from '../disk.js'
import type { Json } from '../engine/reason.js'
import type { Stage } from '../engine/stage.js'
import { QuantError } from '../errors.js'
import { floatVariant, type Recipe } from './context.js'
import { classifierNames, detectorSpec, verifyPictures } from './detect.js'
import type { Labels } from './jobs/verify.js'
import type { Figures, Verification } from './verification.js'

/** Findings -> verify.json and drawn pictures: everything that the score threshold touches, and no inference. */
export function verifyStage(recipe: Recipe): Stage {
  const { config, pool, artifacts } = recipe
  const { detector, classifier, validation, images } = config.verify
  const variants = [floatVariant, ...config.variants.map(({ name }) => name)]
  const { labelled, drawn } = verifyPictures(recipe)
  const classes = detectorSpec(recipe)?.classes ?? classifierNames(recipe) ?? []
  const labels = labelFiles(recipe, labelled)
  const drawings = detector || classifier ? drawingsOf(recipe, variants, drawn) : []
  return {
    name: 'verify',
    title: 'figures and pictures',
    params: {
      ...(detector ? { 'verify.detector.score': detector.score } : {}),
      ...(detector ? { 'verify.detector.classes': [...classes] } : {}),
      ...(classifier ? { 'verify.classifier.classes': [...classes], 'verify.classifier.top': classifier.top } : {}),
      ...(validation?.classMap ? { 'verify.validation.class_map': [...validation.classMap] } : {}),
      'verify.images': [...images],
      variants: config.variants.map(({ name }) => name),
    },
    identity: 'verify 1',
    files: [...new Set([...drawn, ...labels.files])],
    needs: variants.map(artifacts.detections),
    outputs: [artifacts.verify, ...drawings.map(({ output }) => output)],
    async run(context) {
      const verification = await pool.run('judge', {
        name: config.model.name,
        classes,
        score: detector?.score,
        top: classifier?.top,
        detections: variants.map((variant) => context.path(artifacts.detections(variant))),
        labelled,
        labels: labels.pass((file) => context.path(file)),
        classMap: validation?.classMap,
        drawings: drawings.map(({ variant, picture, output }) => ({
          variant,
          picture,
          from: context.path(picture),
          to: context.target(output),
        })),
        verify: context.target(artifacts.verify),
      })
      return { note: summary(verification) }
    },
  }
}

/** The gates of `verify.require`. Apart from verification, so that a build that fails here still shows its figures and pictures. */
export function gateStage(recipe: Recipe): Stage {
  const { config, places, artifacts } = recipe
  const { require } = config.verify
  return {
    name: 'require',
    title: 'gates',
    params: gateParams(require),
    identity: 'require 1',
    files: [],
    needs: [artifacts.verify],
    outputs: [],
    async run(context) {
      const verification = JSON.parse(disk.readText(context.path(artifacts.verify))) as Verification
      const [first, ...more] = require.flatMap((gate) => failure(gate, verification))
      if (first) throw new QuantError('gate', first.message, { place: first.place, hint: first.hint, more })
      return { note: `${require.length} hold` }
    },
  }

  function failure(gate: Requirement, verification: Verification): QuantError[] {
    const value = verification.variants[gate.variant]?.[gate.figure]
    const place = places(['verify', 'require', gate.variant, gate.figure])
    if (value === null && gate.figure === 'sqnr') return [] // equal outputs: no noise at all
    if (value === undefined || value === null)
      return [
        new QuantError('gate', `${gate.variant}: there is no ${gate.figure} to judge`, {
          place,
          hint: 'map, top1 and topk need verify.validation',
        }),
      ]
    if (compare[gate.compare](value, gate.value)) return []
    return [
      new QuantError('gate', `${gate.variant}: ${gate.figure} is ${value}, required is ${gate.compare} ${gate.value}`, {
        place,
        hint: 'all figures are in verify.json; the artifacts are built',
      }),
    ]
  }
}

/** As they stand in the file, so that a reason names the gate that changed. */
function gateParams(require: readonly Requirement[]): Record<string, Json> {
  return Object.fromEntries(
    require.map(({ variant, figure, compare: sign, value }) => [
      `verify.require.${variant}.${figure}`,
      `${sign} ${value}`,
    ]),
  )
}

const compare: Record<Requirement['compare'], (a: number, b: number) => boolean> = {
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
}

interface LabelFiles {
  readonly files: readonly string[]
  pass(path: (file: string) => string): Labels | undefined
}

/** Of a classifier: a text file, or the names of folders. Of a detector: a COCO file, or a folder of YOLO text files, which meets the pictures by their stems; a picture without a file has no objects. */
export function labelFiles({ config, root, places, look }: Recipe, labelled: readonly string[]): LabelFiles {
  const { validation, classifier } = config.verify
  if (!validation) return { files: [], pass: () => undefined }
  const { labels } = validation
  const place = places(['verify', 'validation', 'labels'])
  if (labels === undefined) {
    const folders = Object.fromEntries(labelled.map((picture) => [picture, basename(dirname(picture))]))
    return { files: [], pass: () => ({ folders }) }
  }
  const at = disk.stat(resolve(root, labels))
  look(resolve(root, labels))
  if (!at)
    throw new QuantError('config', `the labels ${labels} do not exist`, {
      place,
      hint: 'paths are relative to quant.yaml',
    })
  if (classifier && at.directory)
    throw new QuantError('config', `the labels ${labels} are a folder`, {
      place,
      hint: 'a classifier has a text file with a line `picture class` each; leave it out when pictures lie in folders called as their class',
    })
  if (classifier) return { files: [labels], pass: (path) => ({ names: path(labels) }) }
  if (!at.directory) return { files: [labels], pass: (path) => ({ coco: path(labels) }) }
  const byStem = new Map(
    disk
      .listDeep(resolve(root, labels), look)
      .filter((file) => file.endsWith('.txt'))
      .map((file) => [stem(file), join(labels, file)]),
  )
  const pairs = labelled.flatMap((picture): [string, string][] => {
    const file = byStem.get(stem(picture))
    return file === undefined ? [] : [[picture, file]]
  })
  if (pairs.length === 0)
    throw new QuantError('config', `no label in ${labels} belongs to a picture of ${validation.images}`, {
      place,
      hint: 'a label file is called like its picture, with .txt',
    })
  return {
    files: pairs.map(([, file]) => file),
    pass: (path) => ({ yolo: Object.fromEntries(pairs.map(([picture, file]) => [picture, path(file)])) }),
  }
}

/** Drawn pictures are called like the originals; a second one of the same name gets a number. */
function drawingsOf(
  { artifacts }: Recipe,
  variants: readonly string[],
  drawn: readonly string[],
): { variant: string; picture: string; output: string }[] {
  const used = new Map<string, number>()
  const names = drawn.map((picture) => {
    const name = stem(picture)
    const count = (used.get(name) ?? 0) + 1
    used.set(name, count)
    return count === 1 ? name : `${name}_${count}`
  })
  return variants.flatMap((variant) =>
    drawn.map((picture, index) => ({ variant, picture, output: artifacts.drawing(variant, names[index]!) })),
  )
}

function summary({ variants }: Verification): string {
  const said = ({ map50, top1, sqnr }: Figures): string => {
    if (map50 !== undefined) return `mAP ${map50.toFixed(3)}`
    if (top1 !== undefined) return `top-1 ${top1.toFixed(3)}`
    return `${sqnr?.toFixed(1) ?? '-'} dB`
  }
  return Object.entries(variants)
    .map(([name, figures]) => `${name} ${said(figures)}`)
    .join(', ')
}
