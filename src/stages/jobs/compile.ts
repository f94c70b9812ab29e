import { checkTable, readCalibrationTable } from '../../calibrate/table.js'
import type { Thresholds } from '../../calibrate/threshold.js'
import * as disk from '../../disk.js'
import type { Warning } from '../../events.js'
import type { Graph } from '../../ir/graph.js'
import { writeNpz } from '../../ir/npz.js'
import { describeFallbacks, lower } from '../../quantize/lower.js'
import type { Precision } from '../../quantize/qgraph.js'
import { tpuWeights, writeTpu } from '../../quantize/tpu/write.js'
import { checkQtable, readQtable } from '../../search/qtable.js'
import { type GraphFiles, loadGraph } from './load.js'

/** Thresholds of a table file that fits the graph. */
export function loadThresholds(graph: Graph, file: string): Thresholds {
  const table = readCalibrationTable(disk.readText(file), file)
  checkTable(graph, table, file)
  return table.thresholds
}

/** Graph + thresholds + precisions -> NAME_VARIANT_tpu.mlir and its weights. */
export async function compileVariant(args: {
  graph: GraphFiles
  table: string | undefined
  quantize: Precision
  qtable: string | undefined
  mlir: string
  weights: string
  weightFile: string
}): Promise<{ floatLayers: number; warnings: Warning[] }> {
  const graph = await loadGraph(args.graph)
  const thresholds = args.table === undefined ? undefined : loadThresholds(graph, args.table)
  let modes: ReadonlyMap<string, Precision> = new Map()
  if (args.qtable !== undefined) {
    const table = readQtable(disk.readText(args.qtable), args.qtable)
    checkQtable(graph, table, args.qtable)
    modes = table.modes
  }
  const precision = (layer: string): Precision => modes.get(layer) ?? args.quantize
  const quantized = lower(graph, thresholds, precision)
  disk.writeAtomic(args.weights, writeNpz(tpuWeights(quantized)))
  disk.writeAtomic(args.mlir, writeTpu(quantized, { weightFile: args.weightFile, mode: args.quantize }))
  const floatLayers = [...modes.values()].filter((mode) => mode !== args.quantize).length
  return { floatLayers, warnings: describeFallbacks(graph, precision) }
}
