/**
 * Brings one stage up to date: its outputs from the store, or by running it.
 *
 * Order that must not change: outputs go to the store, then into place, then the action is recorded, then the state log line is
 * written. Killed in between, the next build sees either the old record or outputs that match no record, and does the rest.
 */
import { isAbsolute, join } from 'node:path'
import * as disk from '../disk.js'
import { QuantError } from '../errors.js'
import type { Emit, Warning } from '../events.js'
import { type Inputs, readInputs, type Verdict, type Workspace } from './examine.js'
import { hashFile } from './hash.js'
import { openMemo } from './memo.js'
import type { Reason } from './reason.js'
import { memoFamily, type Stage, type StageContext } from './stage.js'

/** true when all outputs are in place again; false when the store's copy turned out damaged. */
export async function restore(
  work: Workspace,
  stage: Stage,
  verdict: Verdict & { is: 'restorable' },
): Promise<boolean> {
  const { inputs, action } = verdict
  for (const [path, digest] of Object.entries(action.outputs)) {
    const full = join(work.project.output, path)
    if ((await work.files.digest(full)) === digest) continue
    if (!(await work.store.restore(digest, full))) return false
    await work.files.learn(full, digest)
  }
  await dropOld(work, stage)
  commit(work, stage, inputs, action.outputs, action, { because: verdict.reasons, restored: true })
  return true
}

export async function run(
  work: Workspace,
  stage: Stage,
  upstream: ReadonlyMap<string, string>,
  before: Inputs,
  reasons: readonly Reason[],
  staging: string,
  { signal, emit }: { readonly signal: AbortSignal; readonly emit: Emit },
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
      ...places(work, stage, inputs, staging),
      memo: store.memo(memoFamily(stage)),
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
    const action = { stage: stage.name, memo: memoFamily(stage), outputs, warnings, note, ms: Math.round(ms) }
    store.recordAction(inputs.key, action)
    work.remote?.upload(inputs.key, action)
    await dropOld(work, stage)
    commit(work, stage, inputs, outputs, action, { because, restored: false })
    disk.remove(staging)
    const sameAsBefore = last !== undefined && stage.outputs.every((output) => last.outputs[output] === outputs[output])
    emit({ type: 'finished', stage: stage.name, ms, sameAsBefore, note })
    return outputs
  }
}

/**
 * Runs a stage that is up to date once more aside, with nothing remembered, and compares the bytes. Nothing of it is kept.
 * @param outputs what the stage gave before, by path: its files are in place
 * @throws QuantError 'unrepeatable' that names the first file and byte that differ.
 */
export async function repeat(
  work: Workspace,
  stage: Stage,
  upstream: ReadonlyMap<string, string>,
  outputs: Readonly<Record<string, string>>,
  staging: string,
  { signal, emit }: { readonly signal: AbortSignal; readonly emit: Emit },
): Promise<void> {
  const begun = performance.now()
  const inputs = await readInputs(work, stage, upstream)
  const made = join(staging, 'outputs')
  disk.remove(staging)
  disk.makeFolder(made)
  emit({ type: 'repeating', stage: stage.name })
  await stage.run({
    ...places(work, stage, inputs, made),
    memo: openMemo(join(staging, 'memo')),
    progress: (done, of, unit, reused = 0) => emit({ type: 'progress', stage: stage.name, done, of, reused, unit }),
    warn: () => {},
    signal,
  })
  if (signal.aborted) throw new QuantError('interrupted', 'interrupted')
  if ((await readInputs(work, stage, upstream)).key !== inputs.key)
    throw new QuantError('input', `the inputs of ${stage.name} changed while it ran a second time`, {
      hint: 'build again when they are still',
    })
  for (const [output, digest] of Object.entries(outputs)) {
    const [first, second] = [join(work.project.output, output), join(made, output)]
    if (disk.exists(second) && (await hashFile(second)).sha256 === digest) continue
    const at = disk.exists(second) ? firstDifference(disk.readBytes(first), disk.readBytes(second)) : undefined
    throw new QuantError(
      'unrepeatable',
      at === undefined
        ? `${stage.name} is not repeatable: the second time it did not write ${output}`
        : `${stage.name} is not repeatable: ${output} differs from byte ${at} on`,
      { hint: 'the same inputs and settings gave two results; what the first run gave is kept' },
    )
  }
  disk.remove(staging)
  emit({ type: 'repeated', stage: stage.name, ms: performance.now() - begun })
}

/** Index of the first byte that differs; where one ends before the other, its length. */
function firstDifference(a: Uint8Array, b: Uint8Array): number {
  let at = 0
  while (at < a.length && at < b.length && a[at] === b[at]) at++
  return at
}

/** Where a stage finds what it reads and puts what it writes. */
function places(
  { project }: Workspace,
  stage: Stage,
  inputs: Inputs,
  staging: string,
): Pick<StageContext, 'path' | 'digest' | 'target'> {
  return {
    path: (name) =>
      stage.needs.includes(name) ? join(project.output, name) : isAbsolute(name) ? name : join(project.root, name),
    digest(name) {
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
  { because, restored }: { because: readonly Reason[]; restored: boolean },
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
    because: because.slice(0, mostReasons),
    restored,
  })
}

/** A data set that changed as a whole needs no line per picture in every record. */
const mostReasons = 20

function changedDuringRun(before: Inputs, now: Inputs): Reason[] {
  return [...new Set([...Object.keys(before.digests), ...Object.keys(now.digests)])]
    .filter((path) => before.digests[path] !== now.digests[path])
    .map((path) => ({ why: 'input-changed', path, was: before.digests[path], now: now.digests[path] }))
}
