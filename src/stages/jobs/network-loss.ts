/** How far a quantized network ends from the float one, on a few pictures: what calibration decides by when a single layer cannot tell. */
import type { Thresholds } from '../../calibrate/threshold.js'
import type { Memo } from '../../engine/memo.js'
import { emitOnnx } from '../../ir/emit.js'
import type { Graph, Tensor } from '../../ir/graph.js'
import { openQuantized } from '../../quantize/execute.js'
import { lower } from '../../quantize/lower.js'
import { openSession } from '../../runtime/session.js'
import { meanLoss, sqnrLoss } from '../../search/loss.js'
import { readSample, type SampleFile, sampleInputs } from './load.js'

export type Feeds = Readonly<Record<string, Tensor>>

/** A picture, and what the float network makes of it. */
export interface Referenced {
  readonly feeds: Feeds
  /** In the graph's order. */
  readonly reference: readonly Tensor[]
}

export async function readFeeds(graph: Graph, files: readonly SampleFile[]): Promise<Feeds[]> {
  const inputs = sampleInputs(graph)
  const all: Feeds[] = []
  for (const file of files) all.push((await readSample(file, inputs)).feeds)
  return all
}

export async function withReferences(graph: Graph, pictures: readonly Feeds[]): Promise<Referenced[]> {
  const session = await openSession(emitOnnx(graph), graph.name)
  const all: Referenced[] = []
  for (const feeds of pictures) {
    const outputs = await session.run(feeds)
    all.push({ feeds, reference: graph.outputs.map((name) => outputs.get(name)!) })
  }
  await session.release()
  return all
}

/** The mean of `int8Losses`. */
export const int8Loss = async (
  graph: Graph,
  thresholds: Thresholds,
  pictures: readonly Referenced[],
): Promise<number> => meanLoss(await int8Losses(graph, thresholds, pictures))

/** What a change gains: SQNR before and after, dB, and whether that is more than chance on so few pictures. */
export interface Gain {
  readonly before: number
  readonly after: number
  readonly sure: boolean
}

/** From losses of the same pictures. Sure is what is above so many of its own standard errors. */
export function gainOf(before: readonly number[], after: readonly number[], errors = 1): Gain {
  const gains = before.map((loss, i) => loss - after[i]!)
  const mean = meanLoss(gains)
  const variance = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / Math.max(1, gains.length - 1)
  return {
    before: -meanLoss(before),
    after: -meanLoss(after),
    sure: mean > errors * Math.sqrt(variance / gains.length),
  }
}

/** -SQNR in dB of each picture, with every layer in INT8 that can be; smaller is better. */
export async function int8Losses(
  graph: Graph,
  thresholds: Thresholds,
  pictures: readonly Referenced[],
): Promise<number[]> {
  const quantized = lower(graph, thresholds, () => 'INT8')
  const session = await openQuantized(quantized)
  const losses: number[] = []
  for (const { feeds, reference } of pictures) {
    const outputs = await session.run(feeds)
    losses.push(
      sqnrLoss(
        reference,
        quantized.outputs.map((name) => outputs.get(name)!),
      ),
    )
  }
  await session.release()
  return losses
}

/** A small piece of work, from the memo or made and put there. */
export async function kept<T>(memo: Memo, key: string, make: () => Promise<T>): Promise<T> {
  const known = memo.get(key)
  if (known) return JSON.parse(new TextDecoder().decode(known)) as T
  const made = await make()
  memo.put(key, new TextEncoder().encode(JSON.stringify(made)))
  return made
}
