import { writeBmodel } from '../../bm1684x/bmodel/write.js'
import { generate } from '../../bm1684x/codegen/generate.js'
import { estimate } from '../../bm1684x/timing/simulate.js'
import * as disk from '../../disk.js'
import type { Warning } from '../../events.js'
import { writeNpz } from '../../ir/npz.js'
import { fusedInto } from '../../ir/onnx/fused.js'
import { describeFallbacks, lower } from '../../quantize/lower.js'
import type { Precision } from '../../quantize/qgraph.js'
import { tpuWeights, writeTpu } from '../../quantize/tpu/write.js'
import { checkQtable, readQtable } from '../../search/qtable.js'
import { estimateRecord } from '../estimate.js'
import { type GraphFiles, loadGraph, loadThresholds } from './load.js'

/** Graph + thresholds + precisions -> the quantized graph (NAME_VARIANT_tpu.mlir and its weights), NAME_VARIANT.bmodel, and what it will take. */
export async function compileVariant(args: {
  graph: GraphFiles
  table: string | undefined
  quantize: Precision
  qtable: string | undefined
  /** The ONNX file, read only to say more of a wrong quantize table. */
  model: string
  mlir: string
  weights: string
  weightFile: string
  quantInput: boolean
  quantOutput: boolean
  bmodel: string
  estimate: string
}): Promise<{ floatLayers: number; microseconds: number; warnings: Warning[] }> {
  const graph = await loadGraph(args.graph)
  const thresholds = args.table === undefined ? undefined : loadThresholds(graph, args.table)
  let modes: ReadonlyMap<string, Precision> = new Map()
  if (args.qtable !== undefined) {
    const table = readQtable(disk.readText(args.qtable), args.qtable)
    checkQtable(graph, table, args.qtable, fusedOf(args.model))
    modes = table.modes
  }
  const precision = (layer: string): Precision => modes.get(layer) ?? args.quantize
  const warnings = describeFallbacks(graph, precision)
  const quantized = lower(graph, thresholds, precision, (warning) => warnings.push(warning))
  write(args.weights, writeNpz(tpuWeights(quantized)))
  write(args.mlir, writeTpu(quantized, { weightFile: args.weightFile, mode: args.quantize }))
  const program = generate(quantized, { quantInput: args.quantInput, quantOutput: args.quantOutput })
  write(args.bmodel, writeBmodel(program))
  const estimated = estimateRecord(estimate(program))
  write(args.estimate, `${JSON.stringify(estimated, undefined, 2)}\n`)
  const floatLayers = [...modes.values()].filter((mode) => mode !== args.quantize).length
  return { floatLayers, microseconds: estimated.microseconds, warnings }
}

/** Unsynced: the engine syncs what it takes over, and nobody looks at these files otherwise. */
const write = (path: string, data: Uint8Array | string): void => disk.writeAtomic(path, data, { synced: false })

/** Where the model is gone or damaged the import says so: here it only makes a hint poorer. */
const fusedOf =
  (model: string) =>
  (layers: ReadonlySet<string>, name: string): string | undefined => {
    try {
      return fusedInto(disk.readBytes(model), model, layers)(name)
    } catch {
      return undefined
    }
  }
