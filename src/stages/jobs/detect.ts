import { detect } from '../../detect/detect.js'
import type { Box, DetectorSpec } from '../../detect/types.js'
import { openMemo } from '../../engine/memo.js'
import { QuantError } from '../../errors.js'
import { emitOnnx } from '../../ir/emit.js'
import type { Tensor } from '../../ir/graph.js'
import { openQuantized } from '../../quantize/execute.js'
import { openSession } from '../../runtime/session.js'
import { sqnrLoss } from '../../search/loss.js'
import { encodeFinding, type Finding } from '../memo-pieces.js'
import { type GraphFiles, loadGraph, loadQuantized, readSample, type SampleFile, sampleInputs } from './load.js'

/** Below it no box is kept: mAP wants the whole precision-recall curve. */
const leastScore = 0.001

/** Findings into the memo. Without `quantized` the float model is run. */
export async function findBoxes(
  args: {
    graph: GraphFiles
    quantized: GraphFiles | undefined
    detector: DetectorSpec | undefined
    pictures: readonly (SampleFile & { key: string })[]
    memo: string
  },
  progress: (units: number) => void,
): Promise<void> {
  const graph = await loadGraph(args.graph)
  const inputs = sampleInputs(graph)
  const memo = openMemo(args.memo)
  const float = await openSession(emitOnnx(graph, { outputs: graph.outputs }), graph.name)
  const variant = args.quantized && (await openQuantized(await loadQuantized(args.quantized)))
  try {
    for (const file of args.pictures) {
      const { feeds, fit } = await readSample(file, inputs)
      if (!fit) throw new QuantError('input', `${file.path} is no picture`, { hint: 'detection needs pictures' })
      const results = await float.run(feeds)
      const reference = graph.outputs.map((name) => results.get(name)!)
      const outputs = variant ? [...(await variant.run(feeds)).values()] : reference
      const finding: Finding = {
        width: fit.width,
        height: fit.height,
        boxes: args.detector ? boxesOf(outputs, args.detector, inputs[0]!.shape, fit) : [],
        sqnr: variant ? finite(-sqnrLoss(reference, outputs)) : null,
      }
      memo.put(file.key, encodeFinding(finding))
      progress(1)
    }
  } finally {
    await float.release()
    await variant?.release()
  }
}

function boxesOf(
  outputs: readonly Tensor[],
  spec: DetectorSpec,
  inputShape: readonly number[],
  fit: NonNullable<Awaited<ReturnType<typeof readSample>>['fit']>,
): Box[] {
  return detect(outputs, spec, { inputShape, fit, score: leastScore }).map(({ classId, score, x0, y0, x1, y1 }) => ({
    classId,
    score: round(score, 1e6),
    x0: round(x0, 1e3),
    y0: round(y0, 1e3),
    x1: round(x1, 1e3),
    y1: round(y1, 1e3),
  }))
}

/** Kept to a thousandth of a pixel and a millionth of score: the last bits of float differ between processors. */
const round = (value: number, to: number): number => Math.round(value * to) / to
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)
