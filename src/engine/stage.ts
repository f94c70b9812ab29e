/**
 * What the engine knows of a stage. It knows nothing of networks: a stage is a name, what it reads, what it writes, and a function.
 */
import { join } from 'node:path'
import type { Warning } from '../events.js'
import type { Memo } from './memo.js'
import type { Json } from './reason.js'

export interface Stage {
  readonly name: string
  /** What it is for, in a few words. */
  readonly title: string
  /** `quant build <variant>` builds all stages of that variant. */
  readonly variant?: string
  /** Exactly the settings it reads: place in quant.yaml -> value. */
  readonly params: Readonly<Record<string, Json>>
  /** Code and libraries that its results depend on. Raise it when the results of the same inputs change. */
  readonly identity: string
  /** Files that no stage writes: relative to the project, or absolute. */
  readonly files: readonly string[]
  /** Outputs of other stages: paths relative to the output folder. */
  readonly needs: readonly string[]
  /** Files it writes: relative to the output folder. */
  readonly outputs: readonly string[]
  /** Stages that keep the same pieces in the memo name one family; default: the stage's name up to `:`. */
  readonly memo?: string
  readonly run: (context: StageContext) => Promise<StageResult>
}

export interface StageResult {
  /** One line of facts for the view. */
  readonly note: string
}

export interface StageContext {
  /** Where to read a file of `files` or `needs`. */
  path(input: string): string
  /** SHA-256 (hex) of it: for memo keys. */
  digest(input: string): string
  /** Where to write an output: a folder aside. The engine moves it into place when the stage ended well. */
  target(output: string): string
  readonly memo: Memo
  progress(done: number, of: number, unit: string, reused?: number): void
  warn(warning: Warning): void
  readonly signal: AbortSignal
}

export interface RemoteSettings {
  /** Without a slash at its end. */
  readonly url: string
  readonly mode: 'read-only' | 'read-write'
  /** What waiting for it may cost in one build. */
  readonly timeoutMs: number
  /** Bearer token. */
  readonly token: string | undefined
}

/** A project: where its files are, and what can be built. */
export interface Project {
  /** Folder of quant.yaml, absolute. Paths in `files` are relative to it. */
  readonly root: string
  /** Absolute folder of the artifacts. */
  readonly output: string
  /** Absolute folder of the state log and the lock. */
  readonly state: string
  /** Absolute folder of the store and the memo: inside `state`, or shared with other projects. */
  readonly store: string
  /** What decided which stages there are and what they read: the description itself, lists, class names, and the folders of data sets with all folders in them. Absolute. */
  readonly description: readonly string[]
  /** A store that is reached by HTTP, asked for what is not in `store`. */
  readonly remote?: RemoteSettings | undefined
  /** In topological order. */
  readonly stages: readonly Stage[]
}

export const memoFamily = ({ name, memo }: Stage): string => memo ?? name.split(':')[0]!

/** Where the state of a project lies, from its root. */
export const stateFolder = (root: string): string => join(root, '.quant')

/** The stage that writes an output. @throws when none does: a mistake in the pipeline, not in the input. */
export function producerOf(stages: readonly Stage[], output: string): Stage {
  const producer = stages.find((stage) => stage.outputs.includes(output))
  if (!producer) throw new Error(`no stage writes ${output}`)
  return producer
}

/** The stages that the given ones hang on, themselves included, in the project's order. */
export function closure(stages: readonly Stage[], wanted: readonly Stage[]): Stage[] {
  const all = new Set<Stage>()
  const add = (stage: Stage): void => {
    if (all.has(stage)) return
    all.add(stage)
    for (const need of stage.needs) add(producerOf(stages, need))
  }
  for (const stage of wanted) add(stage)
  return stages.filter((stage) => all.has(stage))
}
