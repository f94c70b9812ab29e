/** Graphs from their files, kept for the next job of the same worker: parsing 35 MB of weights for each layer would cost more than running it. */
import { checkTable, readCalibrationTable } from '../../calibrate/table.js'
import type { Thresholds } from '../../calibrate/threshold.js'
import * as disk from '../../disk.js'
import { type Graph, inputsOf } from '../../ir/graph.js'
import { readNpz } from '../../ir/npz.js'
import { readTop } from '../../ir/top/read.js'
import { loadSample, type Sample, type SampleInput } from '../../preprocess/sample.js'

/** Text and weights of a graph, and a digest of both: two files of one digest hold the same graph. */
export interface GraphFiles {
  readonly mlir: string
  readonly weights: string
  readonly digest: string
}

/** A picture (or npz) and the SHA-256 of its bytes. */
export interface SampleFile {
  readonly path: string
  readonly digest: string
}

export const loadGraph = (files: GraphFiles): Promise<Graph> =>
  keep(graphs, files.digest, 2, async () =>
    readTop(disk.readText(files.mlir), readNpz(disk.readBytes(files.weights), files.weights), files.mlir),
  )

/** Thresholds of a table file that fits the graph. */
export function loadThresholds(graph: Graph, file: string): Thresholds {
  const table = readCalibrationTable(disk.readText(file), file)
  checkTable(graph, table, file)
  return table.thresholds
}

export function sampleInputs(graph: Graph): SampleInput[] {
  return inputsOf(graph).map(({ name, shape, op }) => ({
    name,
    shape,
    preprocess: op.type === 'Input' ? op.preprocess : undefined,
  }))
}

export const readSample = (file: SampleFile, inputs: readonly SampleInput[]): Promise<Sample> =>
  loadSample(disk.readBytes(file.path), file.path, inputs)

const graphs = new Map<string, Promise<Graph>>()

/** The last few of a kind; the oldest goes first. */
export function keep<T>(kept: Map<string, Promise<T>>, key: string, most: number, make: () => Promise<T>): Promise<T> {
  const before = kept.get(key)
  if (before) return before
  const made = make()
  kept.set(key, made)
  made.catch(() => kept.delete(key))
  for (const oldest of kept.keys()) {
    if (kept.size <= most) break
    kept.delete(oldest)
  }
  return made
}
