import { loadOutput, storeInputs } from '../../bm1684x/io.js'
import { runProgram } from '../../bm1684x/machine/run.js'
import type { Program } from '../../bm1684x/program.js'
import { detect } from '../../detect/detect.js'
import type { Box, DetectorSpec } from '../../detect/types.js'
import { openMemo } from '../../engine/memo.js'
import { QuantError } from '../../errors.js'
import { emitOnnx } from '../../ir/emit.js'
import type { Tensor } from '../../ir/graph.js'
import { openSession } from '../../runtime/session.js'
import { sqnrLoss } from '../../search/loss.js'
import { encodeFinding, type Finding } from '../memo-pieces.js'
import { type GraphFiles, loadGraph, loadProgram, readSample, type SampleFile, sampleInputs } from './load.js'

/** Below it no box is kept: mAP wants the whole precision-recall curve. */
const leastScore = 0.001

/** Findings into the memo: what the .bmodel computes on the machine, held against the float model; without one, the float model's. */
export async function findBoxes(
  args: {
    graph: GraphFiles
    bmodel: { path: string; digest: string } | undefined
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
  const program = args.bmodel && (await loadProgram(args.bmodel))
  try {
    for (const file of args.pictures) {
      const { feeds, fit } = await readSample(file, inputs)
      if (!fit) throw new QuantError('input', `${file.path} is no picture`, { hint: 'detection needs pictures' })
      const results = await float.run(feeds)
      const reference = graph.outputs.map((name) => results.get(name)!)
      const outputs = program ? runOnMachine(program, feeds, file.path) : reference
      const finding: Finding = {
        width: fit.width,
        height: fit.height,
        boxes: args.detector ? boxesOf(outputs, args.detector, inputs[0]!.shape, fit) : [],
        sqnr: program ? finite(-sqnrLoss(reference, outputs)) : null,
      }
      memo.put(file.key, encodeFinding(finding))
      progress(1)
    }
  } finally {
    await float.release()
  }
}

function runOnMachine(program: Program, feeds: Readonly<Record<string, Tensor>>, file: string): Tensor[] {
  const arrays = new Map(Object.entries(feeds).map(([name, { shape, data }]) => [name, { shape: [...shape], data }]))
  const outputs = runProgram(program, storeInputs(program.inputs, arrays, file))
  return program.outputs.map((output) => loadOutput(output, outputs.get(output.name)!))
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
