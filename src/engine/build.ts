/**
 * Runs what is stale. Every stage waits for the ones it needs, is examined, and then is fresh, restored or run; at most `parallel` run
 * at once. A failed stage blocks those behind it, the others go on.
 */
import { join } from 'node:path'
import pLimit from 'p-limit'
import * as disk from '../disk.js'
import { type ErrorRecord, errorRecord, QuantError } from '../errors.js'
import type { Emit } from '../events.js'
import { restore, run } from './bring.js'
import { examine, type Workspace } from './examine.js'
import { openFiles } from './files.js'
import { takeLock } from './lock.js'
import { closure, type Project, producerOf, type Stage } from './stage.js'
import { openState } from './state.js'
import { openStore } from './store.js'

export interface BuildOptions {
  /** Stages to build, with all that they need; default all. */
  readonly wanted?: readonly Stage[]
  readonly parallel: number
  readonly signal: AbortSignal
  readonly emit: Emit
  /** Called when another build in the same folder has to end first. */
  readonly onWait?: (pid: number) => void
}

export interface BuildResult {
  readonly ran: readonly string[]
  readonly fresh: readonly string[]
  readonly restored: readonly string[]
  readonly failed: readonly { readonly stage: string; readonly error: ErrorRecord }[]
  readonly blocked: readonly string[]
}

export function openWorkspace(project: Project): Workspace {
  const state = openState(project.state)
  return { project, state, store: openStore(project.store), files: openFiles(project.root, state) }
}

export async function build(project: Project, options: BuildOptions): Promise<BuildResult> {
  const begun = performance.now()
  const { emit, signal } = options
  disk.makeFolder(project.state)
  const lock = await takeLock(project.state, options.onWait ?? (() => {}), signal)
  const staging = join(project.state, 'staging')
  try {
    disk.remove(staging) // what a killed build left
    const work = openWorkspace(project)
    const stages = closure(project.stages, options.wanted ?? project.stages)
    emit({ type: 'planned', stages: stages.map(({ name, title }) => ({ name, title })) })
    const result = { ran: [], fresh: [], restored: [], failed: [], blocked: [] } as {
      ran: string[]
      fresh: string[]
      restored: string[]
      failed: { stage: string; error: ErrorRecord }[]
      blocked: string[]
    }
    const limit = pLimit(options.parallel)
    /** Settles to the digests of the stage's outputs, or to undefined when it failed or was blocked. */
    const done = new Map<string, Promise<Readonly<Record<string, string>> | undefined>>()
    for (const stage of stages) done.set(stage.name, process(stage))
    await Promise.all(done.values())
    work.files.flush()
    if (signal.aborted)
      throw new QuantError('interrupted', 'interrupted', { hint: 'what was finished is kept; build again to go on' })
    emit({
      type: 'done',
      ran: result.ran.length,
      fresh: result.fresh.length,
      restored: result.restored.length,
      failed: result.failed.length,
      blocked: result.blocked.length,
      ms: performance.now() - begun,
    })
    return result

    async function process(stage: Stage): Promise<Readonly<Record<string, string>> | undefined> {
      const upstream = new Map<string, string>()
      for (const need of stage.needs) {
        const producer = producerOf(stages, need)
        const outputs = await done.get(producer.name)
        if (!outputs) {
          if (!signal.aborted) {
            result.blocked.push(stage.name)
            emit({ type: 'blocked', stage: stage.name, by: producer.name })
          }
          return undefined
        }
        upstream.set(need, outputs[need]!)
      }
      return limit(async () => {
        if (signal.aborted) return undefined
        try {
          return await bring(stage, upstream)
        } catch (error) {
          if (signal.aborted) return undefined
          const record = errorRecord(error)
          result.failed.push({ stage: stage.name, error: record })
          emit({ type: 'failed', stage: stage.name, error: record })
          return undefined
        }
      })
    }

    async function bring(
      stage: Stage,
      upstream: ReadonlyMap<string, string>,
    ): Promise<Readonly<Record<string, string>>> {
      const verdict = await examine(work, stage, upstream)
      if (verdict.is === 'fresh') {
        result.fresh.push(stage.name)
        emit({ type: 'fresh', stage: stage.name, warnings: verdict.record.warnings })
        return verdict.record.outputs
      }
      if (verdict.is === 'restorable' && (await restore(work, stage, verdict))) {
        result.restored.push(stage.name)
        const { outputs, warnings } = verdict.action
        const bytes = Object.values(outputs).reduce((sum, digest) => sum + work.store.size(digest), 0)
        emit({ type: 'restored', stage: stage.name, because: verdict.reasons, bytes, warnings })
        return outputs
      }
      const outputs = await run(
        work,
        stage,
        upstream,
        verdict.inputs,
        verdict.reasons,
        join(staging, fileName(stage.name)),
        options,
      )
      result.ran.push(stage.name)
      return outputs
    }
  } finally {
    disk.remove(staging)
    lock.release()
  }
}

const fileName = (stage: string): string => stage.replaceAll(/[^\w.-]/g, '_')
