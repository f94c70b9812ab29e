/**
 * Everything that can happen during a build, as data. The engine and the stages emit these; words are made in `show/`.
 */
import type { Reason } from './engine/reason.js'
import type { ErrorRecord } from './errors.js'

export type StageName = string

export interface Warning {
  /** What it is about: a tensor, a file, a setting. */
  readonly about: string
  readonly message: string
}

export type Event =
  /** First of all: the stages of this build, in order, what each one is for (one line), and how long it took when it last ran. */
  | {
      readonly type: 'planned'
      readonly stages: readonly { readonly name: StageName; readonly title: string; readonly lastMs?: number }[]
    }
  /** Nothing to do. Warnings that the stage gave when it ran are given again. */
  | { readonly type: 'fresh'; readonly stage: StageName; readonly warnings: readonly Warning[] }
  /** Outputs came from the store; because says what made that necessary. */
  | {
      readonly type: 'restored'
      readonly stage: StageName
      readonly because: readonly Reason[]
      readonly bytes: number
      /** They were not here before. */
      readonly remote?: true
      readonly warnings: readonly Warning[]
    }
  | { readonly type: 'started'; readonly stage: StageName; readonly because: readonly Reason[] }
  /** `done` of `of` units (pictures, layers); `reused` of them came from the memo. */
  | {
      readonly type: 'progress'
      readonly stage: StageName
      readonly done: number
      readonly of: number
      readonly reused: number
      readonly unit: string
    }
  | { readonly type: 'warned'; readonly stage: StageName; readonly warning: Warning }
  | {
      readonly type: 'finished'
      readonly stage: StageName
      readonly ms: number
      /** Outputs are the same bytes as before: what hangs on them stays fresh. */
      readonly sameAsBefore: boolean
      /** One line of facts, e.g. `37 thresholds, 100 pictures (90 known)`. */
      readonly note: string
    }
  /** It is up to date, and runs once more to see whether the same bytes come out (`--twice`); then `repeated` or `failed`. */
  | { readonly type: 'repeating'; readonly stage: StageName }
  | { readonly type: 'repeated'; readonly stage: StageName; readonly ms: number }
  | { readonly type: 'failed'; readonly stage: StageName; readonly error: ErrorRecord }
  /** Not run because a stage that it needs failed. */
  | { readonly type: 'blocked'; readonly stage: StageName; readonly by: StageName }
  /** Said once for reading and once for writing at most: from here on it is not asked, or given nothing. */
  | { readonly type: 'remote-trouble'; readonly url: string; readonly trouble: string }
  /** Before `done`, when the remote store was asked: stages and bytes. */
  | {
      readonly type: 'remote'
      readonly url: string
      readonly restored: number
      readonly restoredBytes: number
      readonly uploaded: number
      readonly uploadedBytes: number
    }
  | {
      readonly type: 'done'
      readonly ran: number
      readonly fresh: number
      readonly restored: number
      readonly failed: number
      readonly blocked: number
      /** How many gave the same bytes twice; only with `--twice`. */
      readonly repeated?: number
      readonly ms: number
    }

export type Emit = (event: Event) => void
