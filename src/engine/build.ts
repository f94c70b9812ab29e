/**
 * Runs what is stale. Every stage waits for the ones it needs, is examined, and then is fresh, restored or run; at most `parallel` run
 * at once. A failed stage blocks those behind it, the others go on.
 */
import { join } from 'node:path'
import pLimit from 'p-limit'
import * as disk from '../disk.js'
import { type ErrorRecord, errorRecord, QuantError } from '../errors.js'
import type { Emit, Event } from '../events.js'
import { repeat, restore, run } from './bring.js'
import { examine, type Workspace } from './examine.js'
import { openFiles } from './files.js'
import { sweep } from './leftovers.js'
import { takeLock } from './lock.js'
import { holdTo, writeLock } from './lockfile.js'
import { dropSnapshot, type Ending, writeSnapshot } from './snapshot.js'
import { closure, type Project, producerOf, type Stage } from './stage.js'
import { openState } from './state.js'
import { type ActionRecord, openStore, type Store } from './store.js'

export interface BuildOptions {
  /** Stages to build, with all that they need; default all. */
  readonly wanted?: readonly Stage[]
  readonly parallel: number
  readonly signal: AbortSignal
  readonly emit: Emit
  /** Ends the build before any stage when the remote store cannot be used. */
  readonly requireRemote?: boolean
  /** Called when another build in the same folder has to end first; throws when that is not to be waited for. */
  readonly onWait?: (pid: number, since: Date) => void
  /**
   * Where it lies (see lockfile.ts). Frozen, everything must be as it says, else nothing runs; otherwise a build of everything in which
   * nothing failed writes it.
   */
  readonly lockFile?: { readonly path: string; readonly frozen: boolean }
  /** Runs each stage once more when it is up to date, and fails it where other bytes come out. */
  readonly twice?: boolean
  /** Lets the next build of everything end early when nothing has changed (see snapshot.ts). */
  readonly ending?: Ending
}

export interface BuildResult {
  readonly ran: readonly string[]
  readonly fresh: readonly string[]
  readonly restored: readonly string[]
  readonly failed: readonly { readonly stage: string; readonly error: ErrorRecord }[]
  readonly blocked: readonly string[]
  /** Frozen: outputs came out other than the lock file says. */
  readonly drift?: QuantError
}

/** Its code is loaded only where there is a remote. */
async function connect({ remote: settings }: Project, store: Store, { emit, signal, requireRemote }: BuildOptions) {
  if (!settings) {
    if (!requireRemote) return undefined
    throw new QuantError('usage', 'a remote store is required, and none is set', {
      hint: 'set `store.remote` in quant.yaml, or QUANT_REMOTE',
    })
  }
  const { openRemote } = await import('./remote/remote.js')
  const remote = openRemote(settings, store, emit)
  signal.addEventListener('abort', () => remote.close())
  const trouble = requireRemote ? await remote.check() : undefined
  if (trouble === undefined) return remote
  throw new QuantError('remote', `remote store ${settings.url}: ${trouble}`, {
    hint: 'it is required for this build; without --require-remote the build goes on without it',
  })
}

export function openWorkspace(project: Project): Workspace {
  const state = openState(project.state)
  return { project, state, store: openStore(project.store), files: openFiles(project.root, state) }
}

export async function build(project: Project, options: BuildOptions): Promise<BuildResult> {
  const begun = performance.now()
  const { signal } = options
  const told: Event[] = []
  const emit: Emit = (event) => {
    if (options.ending) told.push(event)
    options.emit(event)
  }
  disk.makeFolder(project.state)
  const lock = await takeLock(project.state, options.onWait ?? (() => {}), signal)
  const staging = join(project.state, 'staging')
  try {
    dropSnapshot(project.state)
    const local = openWorkspace(project)
    // A build has this folder as long as it goes on: where it is already, the last one was killed.
    if (disk.exists(staging)) sweep(local)
    disk.remove(staging)
    disk.makeFolder(staging)
    local.store.register(project.state)
    const remote = await connect(project, local.store, options)
    const work: Workspace = { ...local, remote }
    const stages = closure(project.stages, options.wanted ?? project.stages)
    const frozen = options.lockFile?.frozen ? await holdTo(options.lockFile.path, work, stages) : undefined
    const planned = stages.map(({ name, title }) => {
      const lastMs = work.state.stage(name)?.ms
      return { name, title, ...(lastMs === undefined ? {} : { lastMs }) }
    })
    emit({ type: 'planned', stages: planned })
    const result = { ran: [], fresh: [], restored: [], failed: [], blocked: [] } as {
      ran: string[]
      fresh: string[]
      restored: string[]
      failed: { stage: string; error: ErrorRecord }[]
      blocked: string[]
    }
    let repeated = 0
    const limit = pLimit(options.parallel)
    /** Settles to the digests of the stage's outputs, or to undefined when it failed or was blocked. */
    const done = new Map<string, Promise<Readonly<Record<string, string>> | undefined>>()
    for (const stage of stages) done.set(stage.name, process(stage))
    await Promise.all(done.values())
    if (!signal.aborted) await remote?.finish()
    remote?.close()
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
      ...(options.twice ? { repeated } : {}),
      ms: performance.now() - begun,
    })
    const drift = frozen?.(
      new Map(await Promise.all([...done].map(async ([name, outputs]) => [name, await outputs] as const))),
    )
    if (drift) return { ...result, drift }
    if (options.lockFile?.frozen === false && !options.wanted && result.failed.length === 0)
      writeLock(options.lockFile.path, project, work.state)
    if (options.ending && !options.wanted && result.fresh.length === stages.length)
      writeSnapshot(work, options.ending, told)
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
          const [how, outputs] = await bring(stage, upstream)
          if (options.twice) {
            const aside = join(staging, `${fileName(stage.name)}+again`)
            await repeat(work, stage, upstream, outputs, aside, { signal, emit })
            repeated++
          }
          result[how].push(stage.name)
          return outputs
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
    ): Promise<['fresh' | 'restored' | 'ran', Readonly<Record<string, string>>]> {
      const verdict = await examine(work, stage, upstream)
      if (verdict.is === 'fresh') {
        work.store.used(verdict.key)
        emit({ type: 'fresh', stage: stage.name, warnings: verdict.record.warnings })
        return ['fresh', verdict.record.outputs]
      }
      const { inputs, reasons } = verdict
      if (verdict.is === 'restorable' && (await restore(work, stage, verdict))) return restored(verdict.action)
      const action = await work.remote?.fetch(stage, inputs.key)
      if (signal.aborted) throw new QuantError('interrupted', 'interrupted')
      if (action && (await restore(work, stage, { is: 'restorable', inputs, action, reasons })))
        return restored(action, { remote: true })
      const outputs = await run(work, stage, upstream, inputs, reasons, join(staging, fileName(stage.name)), options)
      return ['ran', outputs]

      function restored(
        { outputs, warnings }: ActionRecord,
        from: { remote?: true } = {},
      ): ['restored', ActionRecord['outputs']] {
        work.store.used(inputs.key)
        const bytes = Object.values(outputs).reduce((sum, digest) => sum + work.store.size(digest), 0)
        emit({ type: 'restored', stage: stage.name, because: reasons, bytes, warnings, ...from })
        return ['restored', outputs]
      }
    }
  } finally {
    disk.remove(staging)
    lock.release()
  }
}

const fileName = (stage: string): string => stage.replaceAll(/[^\w.-]/g, '_')
