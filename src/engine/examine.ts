/**
 * Is a stage fresh, can its outputs be restored, or must it run: decided once, here, with the reasons. `build` acts on it, `status`
 * and `why` print it.
 */
import { join, resolve } from 'node:path'
import * as disk from '../disk.js'
import type { Files } from './files.js'
import { canonical, sha256 } from './hash.js'
import type { Json, Reason } from './reason.js'
import type { Remote } from './remote/remote.js'
import { type Project, producerOf, type Stage } from './stage.js'
import type { StageRecord, State } from './state.js'
import type { ActionRecord, Store } from './store.js'

export interface Inputs {
  /** Source files and outputs of other stages: name -> SHA-256. A source file that is not there is absent. */
  readonly digests: Readonly<Record<string, string>>
  readonly key: string
}

export type Verdict =
  | { readonly is: 'fresh'; readonly key: string; readonly record: StageRecord }
  | {
      readonly is: 'restorable'
      readonly inputs: Inputs
      readonly action: ActionRecord
      readonly reasons: readonly Reason[]
    }
  | { readonly is: 'stale'; readonly inputs: Inputs; readonly reasons: readonly Reason[] }

export interface Workspace {
  readonly project: Project
  readonly state: State
  readonly store: Store
  readonly files: Files
  readonly remote?: Remote | undefined
}

/**
 * Fingerprints what the stage reads.
 * @param upstream output path -> SHA-256, for every output in `stage.needs`.
 */
export async function readInputs(
  work: Workspace,
  stage: Stage,
  upstream: ReadonlyMap<string, string>,
): Promise<Inputs> {
  const digests: Record<string, string> = {}
  for (const file of stage.files) {
    const digest = await work.files.digest(file)
    if (digest !== undefined) digests[file] = digest
  }
  for (const need of stage.needs) digests[need] = upstream.get(need)!
  return { digests, key: sha256(canonical([stage.name, stage.identity, stage.params, stage.outputs, digests])) }
}

export async function examine(work: Workspace, stage: Stage, upstream: ReadonlyMap<string, string>): Promise<Verdict> {
  const inputs = await readInputs(work, stage, upstream)
  const last = work.state.stage(stage.name)
  const action = work.store.action(inputs.key)
  if (last?.key === inputs.key) {
    const damaged = await damagedOutputs(work, last)
    if (damaged.length === 0) return { is: 'fresh', key: inputs.key, record: last }
    return action ? { is: 'restorable', inputs, action, reasons: damaged } : { is: 'stale', inputs, reasons: damaged }
  }
  const reasons = last ? differences(work.project, stage, last, inputs) : [{ why: 'never-built' } as const]
  return action ? { is: 'restorable', inputs, action, reasons } : { is: 'stale', inputs, reasons }
}

/**
 * Of a stage that waits for others: what is known to have changed although some outputs of `needs` are still to come. Those count as the
 * same, so what comes back surely holds. Empty: it hangs on them alone.
 * @param upstream as far as it is known
 */
export async function examineWaiting(
  work: Workspace,
  stage: Stage,
  upstream: ReadonlyMap<string, string>,
): Promise<Reason[]> {
  const last = work.state.stage(stage.name)
  if (!last) return [{ why: 'never-built' }]
  const assumed = stage.needs.flatMap((need): [string, string][] => {
    const digest = upstream.get(need) ?? last.inputs[need]
    return digest === undefined ? [] : [[need, digest]]
  })
  const now = await readInputs(work, stage, new Map(assumed))
  const neverRead = stage.needs
    .filter((need) => now.digests[need] === undefined)
    .map((output): Reason => {
      const { name } = producerOf(work.project.stages, output)
      return { why: 'upstream-changed', stage: name, output, was: undefined, now: undefined }
    })
  return [...differences(work.project, stage, last, now), ...neverRead]
}

/** Outputs of the last run that are not there any more as they were. */
export async function damagedOutputs(work: Workspace, last: StageRecord): Promise<Reason[]> {
  const reasons: Reason[] = []
  for (const [path, digest] of Object.entries(last.outputs)) {
    const now = await work.files.digest(join(work.project.output, path))
    if (now === undefined) reasons.push({ why: 'output-missing', path })
    else if (now !== digest) reasons.push({ why: 'output-edited', path })
  }
  return reasons
}

/** Under the name of a source file, or of an output. */
const isThere = ({ root, output }: Project, path: string): boolean =>
  disk.exists(resolve(root, path)) || disk.exists(join(output, path))

/** Every difference between how the stage last ran and how it would run now. Never empty where the keys differ. */
function differences(project: Project, stage: Stage, last: StageRecord, now: Inputs): Reason[] {
  const reasons: Reason[] = []
  if (last.identity !== stage.identity) reasons.push({ why: 'tool-changed', was: last.identity, now: stage.identity })
  for (const at of union(last.params, stage.params)) {
    const [was, is] = [last.params[at], stage.params[at]]
    if (canonical(was) !== canonical(is)) reasons.push(...paramReasons(at, was, is))
  }
  for (const path of union(last.inputs, now.digests)) {
    const [was, is] = [last.inputs[path], now.digests[path]]
    if (was === is) continue
    if (stage.needs.includes(path) && is !== undefined)
      reasons.push({
        why: 'upstream-changed',
        stage: producerOf(project.stages, path).name,
        output: path,
        was,
        now: is,
      })
    else if (is === undefined && isThere(project, path)) reasons.push({ why: 'input-dropped', path })
    else reasons.push({ why: 'input-changed', path, was, now: is })
  }
  for (const path of stage.outputs) if (!(path in last.outputs)) reasons.push({ why: 'output-missing', path })
  for (const path of Object.keys(last.outputs))
    if (!stage.outputs.includes(path)) reasons.push({ why: 'output-dropped', path })
  return reasons
}

/** Goes into records, so that the reason names the one key that changed. */
function paramReasons(at: string, was: Json | undefined, now: Json | undefined): Reason[] {
  if (!isRecord(was) || !isRecord(now)) return [{ why: 'param-changed', at, was, now }]
  return union(was, now)
    .filter((key) => canonical(was[key]) !== canonical(now[key]))
    .flatMap((key) => paramReasons(`${at}.${key}`, was[key], now[key]))
}

const isRecord = (value: Json | undefined): value is { readonly [key: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const union = (a: object, b: object): string[] => [...new Set([...Object.keys(a), ...Object.keys(b)])]
