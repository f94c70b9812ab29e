import { analysePicture, readLayers, withFollowers } from '../../calibrate/analyse.js'
import { METHODS, type TableMethod, thresholdsOf } from '../../calibrate/choose.js'
import {
  extentsOf,
  type Influence,
  influenceOf,
  inspectInfluence,
  type PictureExtents,
} from '../../calibrate/influence.js'
import { inspectStatistics } from '../../calibrate/sanity.js'
import { type StatisticsSum, statisticsSum, type TensorStatistics } from '../../calibrate/statistics.js'
import { decodeStatistics, encodeStatistics } from '../../calibrate/statistics-bytes.js'
import { readCalibrationTable, writeCalibrationTable } from '../../calibrate/table.js'
import type { Thresholds } from '../../calibrate/threshold.js'
import { tuneThresholds } from '../../calibrate/tune.js'
import * as disk from '../../disk.js'
import { type Memo, memoKey, openMemo } from '../../engine/memo.js'
import { QuantError } from '../../errors.js'
import type { Warning } from '../../events.js'
import { emitOnnx } from '../../ir/emit.js'
import { type Graph, inputsOf } from '../../ir/graph.js'
import { bytesPerPicture, correctBiases } from '../../quantize/correct-bias.js'
import { withZeroPoints } from '../../quantize/propagate.js'
import type { Progress } from '../../runtime/pool.js'
import { openSession, type Session } from '../../runtime/session.js'
import { type BestReport, bestOfMethods } from './best.js'
import { type GraphFiles, keep, loadGraph, readSample, type SampleFile, sampleInputs } from './load.js'
import { type Gain, gainOf, int8Losses, readFeeds, withReferences } from './network-loss.js'
import type { Reading } from './outputs.js'

/** Statistics of every picture into the memo; those of all of them together, too, which spares reading the single ones again. */
export async function analysePictures(
  args: { graph: GraphFiles; pictures: readonly (SampleFile & { key: string })[]; memo: string },
  progress: (units: number) => void,
): Promise<void> {
  const graph = await loadGraph(args.graph)
  const memo = openMemo(args.memo)
  const session = await keep(sessions, args.graph.digest, 1, () =>
    openSession(emitOnnx(graph, { outputs: readLayers(graph) }), graph.name),
  )
  const sum = layerSums()
  for (const picture of args.pictures) {
    const { feeds } = await readSample(picture, sampleInputs(graph))
    const statistics = await analysePicture(graph, session, feeds)
    memo.put(picture.key, encodeStatistics(statistics))
    memo.put(extentsKey(picture.key), encodeExtents(extentsOf(statistics)))
    sum.add(statistics)
    progress(1)
  }
  memo.put(sumKey(args.pictures.map(({ key }) => key)), encodeStatistics(sum.total()))
}

/** A worker analyses one graph at a time. */
const sessions = new Map<string, Promise<Session>>()

/**
 * NAME_calibration.json: how the table came about, and which pictures weigh in it (`calibrate/influence.ts`).
 */
export interface CalibrationReport extends Influence {
  readonly method: TableMethod
  /** Of `method: best`. */
  readonly best?: BestReport
  readonly asymmetric?: AsymmetricReport
  readonly bias_correction?: BiasReport
}

/** Corrections come from `pictures`; they are applied if the gain is sure, on the held-out ones where there are. */
export interface BiasReport {
  readonly applied: boolean
  readonly layers: number
  readonly pictures: number
  readonly sqnr: Gain
  readonly held_out?: Gain & { readonly pictures: number }
}

/** Zero points are taken if the gain on the pictures is sure. Layers: those whose results have one. */
export interface AsymmetricReport {
  readonly applied: boolean
  readonly layers: number
  readonly pictures: number
  readonly sqnr: Gain
}

/** Statistics in the memo -> the calibration table and its report. */
export async function chooseThresholds(
  args: {
    graph: GraphFiles
    memo: string
    /** Keys of the pictures' statistics, in the groups that were probably analysed together. */
    groups: readonly (readonly string[])[]
    method: TableMethod
    percentile: number
    /** Of `method: best`. */
    reading: Reading | undefined
    /** All pictures, as `groups` has them; the first `tuneNum` are for tuning. */
    pictures: readonly (SampleFile & { readonly name: string })[]
    tuneNum: number
    asymmetric: boolean
    biasCorrection: boolean
    table: string
    report: string
  },
  progress: Progress,
): Promise<{ tensors: number; note: string; warnings: Warning[] }> {
  const graph = await loadGraph(args.graph)
  const memo = openMemo(args.memo)
  const merged = withFollowers(graph, mergeAll(memo, args.groups))
  const tune = args.pictures.slice(0, args.tuneNum)
  const passes = (args.method === 'best' ? METHODS.length : 1) + (args.biasCorrection ? 1 : 0)
  const advance = (layers: number): void => progress(layers, passes * (graph.nodes.length - inputsOf(graph).length))
  const { thresholds: chosen, report: best } =
    args.method === 'best'
      ? await bestOfMethods(
          graph,
          merged,
          args.percentile,
          tune,
          args.pictures,
          Math.max(DECIDING, tune.length),
          args.reading,
          { memo, digest: args.graph.digest },
          advance,
        )
      : {
          thresholds: await tuneThresholds(
            graph,
            thresholdsOf(merged, { method: args.method, percentile: args.percentile }),
            await readFeeds(graph, tune),
            advance,
          ),
          report: undefined,
        }
  const textOf = (thresholds: Thresholds): string =>
    writeCalibrationTable({ thresholds, samples: args.pictures.length, tuned: tune.length, method: args.method })
  // What a table has is rounded: what follows must fit what is read from it.
  const written = readCalibrationTable(textOf(chosen), args.table).thresholds
  const asymmetric = args.asymmetric ? await asymmetricOrNot(graph, written, args.pictures) : undefined
  const ranges = asymmetric?.thresholds ?? written
  const bias = args.biasCorrection ? await correctedOrNot(graph, ranges, args.pictures, advance) : undefined
  disk.writeAtomic(args.table, textOf(bias?.thresholds ?? ranges))

  const keys = args.groups.flat()
  const influence = influenceOf(
    new Map(args.pictures.map(({ name }, i) => [name, readExtents(memo, keys[i]!)])),
    inputsOf(graph).map(({ name }) => name),
    chosen,
  )
  const report: CalibrationReport = {
    method: args.method,
    ...(best ? { best } : {}),
    ...(asymmetric ? { asymmetric: asymmetric.report } : {}),
    ...(bias ? { bias_correction: bias.report } : {}),
    ...influence,
  }
  disk.writeAtomic(args.report, `${JSON.stringify(report, undefined, 1)}\n`)
  const warnings = [...chosen].flatMap(([name, { threshold }]) => inspectStatistics(name, merged.get(name)!, threshold))
  return { tensors: chosen.size, note: noteOf(report), warnings: [...warnings, ...inspectInfluence(influence)] }
}

/** Pictures that `best` decides on. On five it chose what was worse than a single method on others. */
const DECIDING = 16

/** Memory for values of the pictures that corrections are measured on; at most so many pictures, a third of them held out. */
const CORRECTION_BYTES = 256 * 2 ** 20
const CORRECTION_PICTURES = 24
/** So many decide what is applied: zero points by the first ones, corrections by those behind the measured ones. */
const JUDGED = 24

async function asymmetricOrNot(
  graph: Graph,
  thresholds: Thresholds,
  pictures: readonly SampleFile[],
): Promise<{ thresholds: Thresholds; report: AsymmetricReport }> {
  const shifted = withZeroPoints(graph, thresholds)
  const layers = [...shifted.values()].filter(({ asymmetric }) => asymmetric).length
  const references = await withReferences(graph, await readFeeds(graph, pictures.slice(0, JUDGED)))
  const before = await int8Losses(graph, thresholds, references)
  const sqnr = gainOf(before, layers > 0 ? await int8Losses(graph, shifted, references) : before)
  return {
    thresholds: sqnr.sure ? shifted : thresholds,
    report: { applied: sqnr.sure, layers, pictures: references.length, sqnr },
  }
}

async function correctedOrNot(
  graph: Graph,
  thresholds: Thresholds,
  pictures: readonly SampleFile[],
  progress: (layers: number) => void,
): Promise<{ thresholds: Thresholds; report: BiasReport }> {
  const room = Math.max(6, Math.min(CORRECTION_PICTURES, Math.floor(CORRECTION_BYTES / bytesPerPicture(graph))))
  const feeds = await readFeeds(graph, pictures.slice(0, room + JUDGED))
  const measured = Math.min(room, feeds.length)
  const fit = Math.ceil((measured * 2) / 3)
  const corrected = await correctBiases(graph, thresholds, feeds.slice(0, fit), feeds.slice(fit, measured), progress)
  const references = await withReferences(graph, feeds)
  const before = await int8Losses(graph, thresholds, references)
  const after = await int8Losses(graph, corrected, references)
  const gain = (from: number, to?: number): Gain => gainOf(before.slice(from, to), after.slice(from, to))
  const from = feeds.length > measured ? measured : fit
  const heldOut = feeds.length > from ? gain(from) : undefined
  const applied = (heldOut ?? gain(0, fit)).sure
  return {
    thresholds: applied ? corrected : thresholds,
    report: {
      applied,
      layers: [...corrected.values()].filter(({ biasCorrection }) => biasCorrection).length,
      pictures: fit,
      sqnr: gain(0, fit),
      ...(heldOut ? { held_out: { pictures: feeds.length - from, ...heldOut } } : {}),
    },
  }
}

const gainText = ({ before, after }: Gain): string => `${before.toFixed(2)} -> ${after.toFixed(2)} dB`

/** What calibration did beyond the table, in few words; each with a comma in front. */
function noteOf({ best, asymmetric, bias_correction: bias }: CalibrationReport): string {
  const parts: string[] = []
  if (best) {
    parts.push(`${best.sqnr.best!.toFixed(2)} dB`)
    const { applied, by, distance } = best.outputs ?? {}
    if (applied) parts.push(`distance of ${by} ${distance!.before.toFixed(3)} -> ${distance!.after.toFixed(3)}`)
  }
  if (asymmetric) {
    const { applied, layers, sqnr } = asymmetric
    parts.push(applied ? `${layers} zero points, ${gainText(sqnr)}` : `no zero points: ${gainText(sqnr)}`)
  }
  if (bias) {
    const gain = gainText(bias.held_out ?? bias.sqnr)
    parts.push(bias.applied ? `biases of ${bias.layers} layers corrected, ${gain}` : `biases not corrected: ${gain}`)
  }
  return parts.map((part) => `, ${part}`).join('')
}

const extentsKey = (statistics: string): string => memoKey('extents 2', statistics)
const encodeExtents = (extents: PictureExtents): Uint8Array => new TextEncoder().encode(JSON.stringify([...extents]))

/** Of statistics that an older program left, they are found now. */
function readExtents(memo: Memo, statistics: string): PictureExtents {
  const known = memo.get(extentsKey(statistics))
  if (known) return new Map(JSON.parse(new TextDecoder().decode(known)))
  const extents = extentsOf(decodeStatistics(pieceOf(memo, statistics)))
  memo.put(extentsKey(statistics), encodeExtents(extents))
  return extents
}

/** Groups that were not analysed in one go are added up here, once. */
function mergeAll(memo: Memo, groups: readonly (readonly string[])[]): Map<string, TensorStatistics> {
  const sum = layerSums()
  for (const keys of groups) {
    const known = memo.get(sumKey(keys))
    if (known) {
      sum.add(decodeStatistics(known))
      continue
    }
    const group = layerSums()
    for (const key of keys) group.add(decodeStatistics(pieceOf(memo, key)))
    const total = group.total()
    memo.put(sumKey(keys), encodeStatistics(total))
    sum.add(total)
  }
  return sum.total()
}

function pieceOf(memo: Memo, key: string): Uint8Array {
  const piece = memo.get(key)
  // It was there when this stage began: somebody deletes files under us.
  if (!piece) throw new QuantError('disk', `a piece of ${memo.folder} is gone`, { hint: 'build again' })
  return piece
}

const sumKey = (keys: readonly string[]): string => memoKey('sum of statistics', ...keys)

/** Adds up the statistics of pictures, layer by layer. */
function layerSums() {
  const sums = new Map<string, StatisticsSum>()
  return {
    add(statistics: ReadonlyMap<string, TensorStatistics>): void {
      for (const [name, one] of statistics) {
        const sum = sums.get(name) ?? statisticsSum()
        sums.set(name, sum)
        sum.add(one)
      }
    },
    total: () => new Map([...sums].map(([name, sum]) => [name, sum.total()])),
  }
}
