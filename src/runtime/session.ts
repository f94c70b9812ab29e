/**
 * onnxruntime, with the options that make its results repeatable: one thread, sequential, a fixed optimisation level.
 * `run` blocks its thread while it computes, so sessions live in worker processes, never in the process that draws.
 */
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { QuantError } from '../errors.js'
import type { Tensor } from '../ir/graph.js'

export interface Session {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /**
   * Runs once. Feeds and results are float32, C order. Results are fresh arrays unless `into` gives a buffer of the right
   * size for a name.
   * @throws QuantError 'runtime' when onnxruntime refuses.
   */
  run(feeds: Readonly<Record<string, Tensor>>, into?: Readonly<Record<string, Tensor>>): Promise<Map<string, Tensor>>
  /** Frees the native memory. */
  release(): Promise<void>
}

export interface SessionOptions {
  /**
   * The memory of a run is given back after it. A session keeps it otherwise, and rounds it up: right for the one that runs on and on
   * (a tenth faster), but a hundred open ones then hold three times as much.
   */
  readonly givesBack?: boolean
}

/** @param model bytes of an ONNX model; `what` names it in errors. */
export async function openSession(
  model: Uint8Array,
  what: string,
  { givesBack = false }: SessionOptions = {},
): Promise<Session> {
  let session: InferenceSession
  try {
    session = await InferenceSession.create(model, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      enableCpuMemArena: !givesBack,
      logSeverityLevel: 3,
    })
  } catch (cause) {
    throw runtimeError(what, cause)
  }
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(feeds, into) {
      try {
        const given = mapRecord(feeds, toOrt)
        const results = into
          ? await session.run(given, {
              ...Object.fromEntries(session.outputNames.map((n) => [n, null])),
              ...mapRecord(into, toOrt),
            })
          : await session.run(given)
        return new Map(
          session.outputNames.map((name) => {
            const result = results[name]!
            const own = into?.[name]
            return [name, own ?? { shape: result.dims.map(Number), data: result.data as Float32Array }]
          }),
        )
      } catch (cause) {
        throw runtimeError(what, cause)
      }
    },
    release: () => session.release(),
  }
}

const toOrt = (tensor: Tensor): OrtTensor => new OrtTensor('float32', tensor.data, tensor.shape)

function mapRecord<A, B>(record: Readonly<Record<string, A>>, fn: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, fn(value)]))
}

function runtimeError(what: string, cause: unknown): QuantError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new QuantError('runtime', `onnxruntime refuses ${what}: ${message.split('\n')[0]}`, { cause })
}
