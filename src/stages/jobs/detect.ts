import { programOf, readBmodel } from '../../bm1684x/bmodel/read.js'
import { loadOutput, storeInputs } from '../../bm1684x/io.js'
import { runProgram } from '../../bm1684x/machine/run.js'
import type { Program } from '../../bm1684x/program.js'
import { type Ranked, rankClasses } from '../../detect/classification.js'
import { detect } from '../../detect/detect.js'
import type { Box, DetectorSpec } from '../../detect/types.js'
import * as disk from '../../disk.js'
import { openMemo } from '../../engine/memo.js'
import { QuantError } from '../../errors.js'
import { emitOnnx } from '../../ir/emit.js'
import { type Graph, sizeOf, type Tensor } from '../../ir/graph.js'
import type { Fit } from '../../preprocess/letterbox.js'
import { openSession, type Session } from '../../runtime/session.js'
import { sqnrLoss } from '../../search/loss.js'
import { readOutputs } from '../decoded.js'
import { encodeFinding, type Finding } from '../memo-pieces.js'
import { type GraphFiles, keep, loadGraph, readSample, type SampleFile, sampleInputs } from './load.js'

/** Below it no box is kept: mAP wants the whole precision-recall curve. */
const leastScore = 0.001

/** The only net of a .bmodel that the build made. */
const loadProgram = (file: { readonly path: string; readonly digest: string }): Promise<Program> =>
  keep(programs, file.digest, 2, async () => programOf(readBmodel(disk.readBytes(file.path), file.path).nets[0]!))

const programs = new Map<string, Promise<Program>>()

/** Findings into the memo: what the .bmodel computes on the machine, held against the float model; without one, the float model's. */
export async function findBoxes(
  args: {
    graph: GraphFiles
    bmodel: { path: string; digest: string } | undefined
    detector: DetectorSpec | undefined
    /** Of a classifier: how many classes it has. */
    classes?: number | undefined
    pictures: readonly (SampleFile & { key: string })[]
    memo: string
  },
  progress: (units: number) => void,
): Promise<void> {
  const graph = await loadGraph(args.graph)
  const inputs = sampleInputs(graph)
  const memo = openMemo(args.memo)
  const float = await floatOf(args.graph.digest, graph)
  const program = args.bmodel && (await loadProgram(args.bmodel))
  for (const file of args.pictures) {
    const { feeds, fit, reference } = await keep(float.samples, file.digest, float.samplesKept, () =>
      runFloat(graph, float.session, file),
    )
    const outputs = program ? runOnMachine(program, feeds, file.path) : reference
    const { detector } = args
    const finding: Finding = {
      width: fit.width,
      height: fit.height,
      boxes: detector ? readOutputs(graph, () => boxesOf(outputs, detector, inputs[0]!.shape, fit)) : [],
      ...(args.classes === undefined ? {} : { ranking: rankingOf(outputs, args.classes) }),
      sqnr: program ? finite(-sqnrLoss(reference, outputs)) : null,
    }
    memo.put(file.key, encodeFinding(finding))
    progress(1)
  }
}

/** A float model stays open, with what it gave for the last pictures: every variant is held against the same. */
interface Float {
  readonly session: Session
  readonly samples: Map<string, Promise<FloatRun>>
  readonly samplesKept: number
}

interface FloatRun {
  readonly feeds: Readonly<Record<string, Tensor>>
  readonly fit: Fit
  /** In the graph's order. */
  readonly reference: readonly Tensor[]
}

/** Bytes of inputs and outputs that are kept. */
const keptBytes = 128 * 2 ** 20

let opened: { readonly digest: string; readonly float: Promise<Float> } | undefined

/** The one that this worker was asked for last stays open. */
export async function floatOf(digest: string, graph: Graph): Promise<Float> {
  if (opened?.digest === digest) return opened.float
  const before = opened
  const float = openFloat(graph)
  opened = { digest, float }
  float.catch(() => {
    opened = undefined
  })
  await (await before?.float)?.session.release()
  return float
}

async function openFloat(graph: Graph): Promise<Float> {
  const ends = graph.nodes.filter(({ name, op }) => op.type === 'Input' || graph.outputs.includes(name))
  const bytes = ends.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0)
  return {
    session: await openSession(emitOnnx(graph, { outputs: graph.outputs }), graph.name),
    samples: new Map(),
    samplesKept: Math.max(1, Math.floor(keptBytes / bytes)),
  }
}

export async function runFloat(graph: Graph, session: Session, file: SampleFile): Promise<FloatRun> {
  const { feeds, fit } = await readSample(file, sampleInputs(graph))
  if (!fit) throw new QuantError('input', `${file.path} is no picture`, { hint: 'detection needs pictures' })
  const results = await session.run(feeds)
  return { feeds, fit, reference: graph.outputs.map((name) => results.get(name)!) }
}

function runOnMachine(program: Program, feeds: Readonly<Record<string, Tensor>>, file: string): Tensor[] {
  const arrays = new Map(Object.entries(feeds).map(([name, { shape, data }]) => [name, { shape: [...shape], data }]))
  const outputs = runProgram(program, storeInputs(program.inputs, arrays, file))
  return program.outputs.map((output) => loadOutput(output, outputs.get(output.name)!))
}

export function boxesOf(
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

const rankingOf = (outputs: readonly Tensor[], classes: number): Ranked[] =>
  rankClasses(outputs, classes).map(({ classId, score }) => ({ classId, score: round(score, 1e6) }))

/** Kept to a thousandth of a pixel and a millionth of score: the last bits of float differ between processors. */
const round = (value: number, to: number): number => Math.round(value * to) / to
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)
