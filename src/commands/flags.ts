/**
 * Settings of quant.yaml as flags of `quant detect`: they stand above what the file says, and are enough without one. They become YAML
 * again, so that they are checked, and refused, by the same rules.
 */
import { resolve } from 'node:path'
import { parse, stringify } from 'yaml'
import { parseConfig } from '../config/load.js'
import * as disk from '../disk.js'
import { findFile } from './find.js'
import { type ProjectOptions, readDescription } from './project.js'

export interface SettingFlags {
  readonly kind?: string
  /** `w,h,w,h;w,h`: a list per output. */
  readonly anchors?: string
  /** A number per output. */
  readonly scaleXY?: string
  /** coco, voc, a file, or names with commas. */
  readonly classes?: string
  readonly score?: string
  readonly iou?: string
  readonly pixelFormat?: string
  readonly mean?: string
  readonly scale?: string
  readonly keepAspectRatio?: boolean
  readonly padValue?: string
}

type Settings = Record<string, Record<string, unknown>>

/** What quant.yaml and the flags say together. Without flags, just what the file says. */
export function describeWithFlags(
  model: string,
  options: ProjectOptions & SettingFlags,
): ReturnType<typeof readDescription> {
  const { preprocess, detector } = settingsOf(options)
  if (Object.keys(preprocess).length + Object.keys(detector).length === 0) return readDescription(options)
  const known = fileOf(options)
  // Its own mistakes are told with their own places.
  if (known !== undefined) readDescription(options)
  const said = known === undefined ? {} : (parse(disk.readText(known)) as Settings)
  // What is said to be a detector is no classifier any more.
  const { classifier, ...judged } = said.verify ?? {}
  const verify =
    Object.keys(detector).length === 0
      ? said.verify
      : { ...judged, detector: { ...(judged.detector as object | undefined), ...detector } }
  const merged = {
    ...said,
    model: said.model ?? { name: 'model', path: model },
    variants: said.variants ?? { float: { quantize: 'F32' } },
    preprocess: { ...said.preprocess, ...preprocess },
    ...(verify ? { verify } : {}),
  }
  return {
    ...parseConfig(stringify(merged), 'flags'),
    root: known ? resolve(known, '..') : resolve(options.directory ?? '.'),
  }
}

/** The quant.yaml in force, or none. */
function fileOf(options: ProjectOptions): string | undefined {
  try {
    return findFile(options)
  } catch (error) {
    if (options.file !== undefined) throw error
    return undefined
  }
}

function settingsOf(flags: SettingFlags): { preprocess: object; detector: object } {
  const numbers = (text: string): unknown[] => text.split(',').map(number)
  const classes = (text: string): unknown =>
    text.includes(',')
      ? text
          .split(',')
          .map((name) => name.trim())
          .filter((name) => name !== '')
      : text
  const given = (entries: [string, unknown][]): object =>
    Object.fromEntries(entries.filter(([, value]) => value !== undefined))
  const { kind, anchors, scaleXY, score, iou, pixelFormat, mean, scale, keepAspectRatio, padValue } = flags
  return {
    detector: given([
      ['kind', kind],
      ['anchors', anchors?.split(';').map(numbers)],
      ['scale_x_y', scaleXY === undefined ? undefined : numbers(scaleXY)],
      ['classes', flags.classes === undefined ? undefined : classes(flags.classes)],
      ['score', score === undefined ? undefined : number(score)],
      ['iou', iou === undefined ? undefined : number(iou)],
    ]),
    preprocess: given([
      ['pixel_format', pixelFormat],
      ['mean', mean === undefined ? undefined : numbers(mean)],
      ['scale', scale === undefined ? undefined : numbers(scale)],
      ['keep_aspect_ratio', keepAspectRatio],
      ['pad_value', padValue === undefined ? undefined : number(padValue)],
    ]),
  }
}

/** What is no number stays text: the schema says what it wants there. */
const number = (text: string): unknown => (text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text))
