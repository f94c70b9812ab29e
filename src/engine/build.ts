/**
 * Runs what is stale. Every stage waits for the ones it needs, is examined, and then is fresh, restored or run; at most `parallel` run
 * at once. A failed stage blocks those behind it, the others go on.
 *
 * Order that must not change: outputs go to the store, then into place, then the action is recorded, then the state log line is
 * written. Killed in between, the next build sees either the old record or outputs that match no record, and does the rest.
 */
import { isAbsolute, join } from 'node:path'
import pLimit from 'p-limit'
import * as disk from '../disk.js'
import { type ErrorRecord, errorRecord, QuantError } from '../errors.js'
import type { Emit, Warning } from '../events.js'
import { examine, type Inputs, readInputs, type Verdict, type Workspace } from './examine.js'
import { openFiles } from './files.js'
import { hashFile } from './hash.js'
import { takeLock } from './lock.js'
import type { Reason } from './reason.js'
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
  return { project, state, store: openStore(`${project.state}/store`), files: openFiles(project.root, state) }
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

/** true when all outputs are in place again; false when the store's copy turned out damaged. */
async function restore(work: Workspace, stage: Stage, verdict: Verdict & { is: 'restorable' }): Promise<boolean> {
  const { inputs, action } = verdict
  for (const [path, digest] of Object.entries(action.outputs)) {
    const full = join(work.project.output, path)
    if ((await work.files.digest(full)) === digest) continue
    if (!(await work.store.restore(digest, full))) return false
    await work.files.learn(full, digest)
  }
  await dropOld(work, stage)
  commit(work, stage, inputs, action.outputs, action)
  return true
}

async function run(
  work: Workspace,
  stage: Stage,
  upstream: ReadonlyMap<string, string>,
  before: Inputs,
  reasons: readonly Reason[],
  staging: string,
  { signal, emit }: BuildOptions,
): Promise<Readonly<Record<string, string>>> {
  const { project, store, files } = work
  let [inputs, because] = [before, reasons]
  for (let attempt = 1; ; attempt++) {
    emit({ type: 'started', stage: stage.name, because })
    const begun = performance.now()
    const warnings: Warning[] = []
    disk.remove(staging)
    disk.makeFolder(staging)
    const { note } = await stage.run({
      path: (name) =>
        stage.needs.includes(name) ? join(project.output, name) : isAbsolute(name) ? name : join(project.root, name),
      digest: (name) => {
        const digest = inputs.digests[name]
        if (digest === undefined)
          throw new QuantError('disk', `${name} is gone`, { hint: 'it was there a moment ago; build again' })
        return digest
      },
      target(output) {
        const path = join(staging, output)
        disk.makeFolder(join(path, '..'))
        return path
      },
      memo: store.memo,
      progress: (done, of, unit, reused = 0) => emit({ type: 'progress', stage: stage.name, done, of, reused, unit }),
      warn(warning) {
        warnings.push(warning)
        emit({ type: 'warned', stage: stage.name, warning })
      },
      signal,
    })
    if (signal.aborted) throw new QuantError('interrupted', 'interrupted')
    const now = await readInputs(work, stage, upstream)
    if (now.key !== inputs.key) {
      // An input moved while it was read: what came out belongs to no state that ever was.
      if (attempt === 3)
        throw new QuantError('input', `the inputs of ${stage.name} keep changing while it runs`, {
          hint: 'build again when they are still',
        })
      because = changedDuringRun(inputs, now)
      inputs = now
      continue
    }
    const outputs: Record<string, string> = {}
    for (const output of stage.outputs) {
      const made = join(staging, output)
      if (!disk.exists(made)) throw new Error(`stage ${stage.name} did not write ${output}`)
      const { sha256 } = await hashFile(made)
      store.put(made, sha256)
      outputs[output] = sha256
      const full = join(project.output, output)
      if ((await files.digest(full)) === sha256) continue
      disk.copyAtomic(made, full)
      await files.learn(full, sha256)
    }
    const last = work.state.stage(stage.name)
    const ms = performance.now() - begun
    const action = { outputs, warnings, note, ms: Math.round(ms) }
    store.recordAction(inputs.key, action)
    await dropOld(work, stage)
    commit(work, stage, inputs, outputs, action)
    disk.remove(staging)
    const sameAsBefore = last !== undefined && stage.outputs.every((output) => last.outputs[output] === outputs[output])
    emit({ type: 'finished', stage: stage.name, ms, sameAsBefore, note })
    return outputs
  }
}

/** Removes what the stage wrote under names that it does not use any more, unless somebody edited it. */
async function dropOld({ project, state, files }: Workspace, stage: Stage): Promise<void> {
  for (const [path, digest] of Object.entries(state.stage(stage.name)?.outputs ?? {})) {
    const full = join(project.output, path)
    if (project.stages.some(({ outputs }) => outputs.includes(path)) || (await files.digest(full)) !== digest) continue
    disk.remove(full)
    disk.removeEmptyFolders(full, project.output)
  }
}

function commit(
  work: Workspace,
  stage: Stage,
  inputs: Inputs,
  outputs: Readonly<Record<string, string>>,
  { warnings, note, ms }: { warnings: readonly Warning[]; note: string; ms: number },
): void {
  work.files.flush()
  work.state.recordStage({
    stage: stage.name,
    key: inputs.key,
    identity: stage.identity,
    params: stage.params,
    inputs: inputs.digests,
    outputs,
    warnings,
    note,
    ms,
  })
}

function changedDuringRun(before: Inputs, now: Inputs): Reason[] {
  return [...new Set([...Object.keys(before.digests), ...Object.keys(now.digests)])]
    .filter((path) => before.digests[path] !== now.digests[path])
    .map((path) => ({ why: 'input-changed', path, was: before.digests[path], now: now.digests[path] }))
}

const fileName = (stage: string): string => stage.replaceAll(/[^\w.-]/g, '_')
