import { generate } from '../../bm1684x/codegen/generate.js'
import { estimate } from '../../bm1684x/timing/simulate.js'
import { openMemo } from '../../engine/memo.js'
import { lower } from '../../quantize/lower.js'
import type { Precision } from '../../quantize/qgraph.js'
import { encodePrice } from '../memo-pieces.js'
import { type GraphFiles, loadGraph, loadThresholds } from './load.js'
import type { ChoiceList } from './losses.js'

/** Estimates of whole programs into the memo: what `compileVariant` would say of them. `rest`: what layers are in that are not chosen. */
export async function priceChoices(
  args: {
    graph: GraphFiles
    table: string
    quantInput: boolean
    quantOutput: boolean
    memo: string
    pieces: readonly { readonly key: string; readonly choice: ChoiceList; readonly rest: Precision }[]
  },
  progress: (units: number) => void,
): Promise<void> {
  const graph = await loadGraph(args.graph)
  const thresholds = loadThresholds(graph, args.table)
  const memo = openMemo(args.memo)
  for (const { key, choice, rest } of args.pieces) {
    const modes = new Map<string, Precision>(choice)
    const program = generate(
      lower(graph, thresholds, (layer) => modes.get(layer) ?? rest),
      args,
    )
    const { cycles, layers } = estimate(program)
    memo.put(
      key,
      encodePrice({ cycles, layers: Object.fromEntries(layers.map(({ layer, cycles }) => [layer, cycles])) }),
    )
    progress(1)
  }
}
