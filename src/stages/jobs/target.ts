/** How a choice of float layers does on labelled pictures, before anything is compiled: a search may be asked to end by that. */
import { meanPrecision, type Precision } from '../../detect/map.js'
import type { DetectorSpec } from '../../detect/types.js'
import { openMemo } from '../../engine/memo.js'
import { openQuantized } from '../../quantize/execute.js'
import { lower } from '../../quantize/lower.js'
import { decodeFinding, encodeFinding } from '../memo-pieces.js'
import { boxesOf, floatOf, runFloat } from './detect.js'
import { type GraphFiles, keep, loadGraph, loadThresholds, type SampleFile, sampleInputs } from './load.js'
import type { ChoiceList } from './losses.js'
import { type judge, readTruth } from './verify.js'

/** Findings into the memo, as `findBoxes` would make them of the compiled model: the executor computes what the program does. */
export async function findChosen(
  args: {
    graph: GraphFiles
    table: string
    choice: ChoiceList
    detector: DetectorSpec
    pictures: readonly (SampleFile & { key: string })[]
    memo: string
  },
  progress: (units: number) => void,
): Promise<void> {
  const graph = await loadGraph(args.graph)
  const memo = openMemo(args.memo)
  const float = await floatOf(args.graph.digest, graph)
  const modes = new Map(args.choice)
  const network = lower(graph, loadThresholds(graph, args.table), (layer) => modes.get(layer) ?? 'INT8')
  const session = await openQuantized(network)
  try {
    for (const file of args.pictures) {
      const { feeds, fit } = await keep(float.samples, file.digest, float.samplesKept, () =>
        runFloat(graph, float.session, file),
      )
      const results = await session.run(feeds)
      const outputs = network.outputs.map((name) => results.get(name)!)
      const boxes = boxesOf(outputs, args.detector, sampleInputs(graph)[0]!.shape, fit)
      memo.put(file.key, encodeFinding({ width: fit.width, height: fit.height, boxes, sqnr: null }))
      progress(1)
    }
  } finally {
    await session.release()
  }
}

/** Drops of the mAP figures, float model minus choice, from findings in the memo: a key per labelled picture. */
export async function judgeChosen(
  args: Pick<Parameters<typeof judge>[0], 'labels' | 'labelled' | 'classes' | 'classMap'> & {
    memo: string
    float: readonly string[]
    chosen: readonly string[]
  },
): Promise<{ map50_drop: number; map75_drop: number; map_drop: number }> {
  const memo = openMemo(args.memo)
  const findings = (keys: readonly string[]) => keys.map((key) => decodeFinding(memo.get(key)!))
  const float = findings(args.float)
  const truth = readTruth(args, {
    pictures: Object.fromEntries(args.labelled.map((picture, i) => [picture, float[i]!])),
  })!
  const precisionOf = (found: typeof float): Precision =>
    meanPrecision(
      found.map(({ boxes }, i) => ({ found: boxes, truth: truth.get(args.labelled[i]!)! })),
      args.classes.length,
    )
  const [before, after] = [precisionOf(float), precisionOf(findings(args.chosen))]
  const drop = (figure: 'map50' | 'map75' | 'map'): number => Number((before[figure] - after[figure]).toFixed(4))
  return { map50_drop: drop('map50'), map75_drop: drop('map75'), map_drop: drop('map') }
}
