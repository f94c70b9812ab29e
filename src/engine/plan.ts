/** What a build would do, without doing it: for `status`, `why`, `graph` and `build --dry-run`. */
import { openWorkspace } from './build.js'
import { damagedOutputs, examine, examineWaiting } from './examine.js'
import type { Reason } from './reason.js'
import { closure, type Project, producerOf, type Stage } from './stage.js'
import type { StageRecord } from './state.js'

/** `maybe`: it runs if a stage before it gives other outputs than last time. If not it stays, or edited outputs are restored. */
export type Would = 'stay' | 'restore' | 'run' | 'maybe'

export interface Planned {
  readonly stage: Stage
  readonly would: Would
  /** First causes; of `maybe`, outputs that are not as they were and the stages it waits for (`upstream-stale`). */
  readonly because: readonly Reason[]
  /** How it last ended well. */
  readonly last: StageRecord | undefined
}

/**
 * Behind a stage that would run its outputs are not known yet. A stage there with changes of its own surely runs, with those as causes;
 * one without is `maybe`.
 * @param wanted stages to plan, with all that they need; default all
 * @returns in the project's order
 */
export async function plan(project: Project, wanted: readonly Stage[] = project.stages): Promise<Planned[]> {
  const work = openWorkspace(project)
  const known = new Map<string, string>()
  const learn = (outputs: Readonly<Record<string, string>>): void => {
    for (const [path, digest] of Object.entries(outputs)) known.set(path, digest)
  }
  const planned: Planned[] = []
  for (const stage of closure(project.stages, wanted)) {
    const last = work.state.stage(stage.name)
    const missing = stage.needs.filter((need) => !known.has(need))
    if (missing.length > 0) {
      const own = await examineWaiting(work, stage, known)
      const waitsFor = new Set(missing.map((need) => producerOf(project.stages, need).name))
      const waiting = [...waitsFor].map((name): Reason => ({ why: 'upstream-stale', stage: name }))
      if (own.length > 0) planned.push({ stage, would: 'run', because: own, last })
      else planned.push({ stage, would: 'maybe', because: [...(await damagedOutputs(work, last!)), ...waiting], last })
      continue
    }
    const verdict = await examine(work, stage, known)
    if (verdict.is === 'fresh') {
      learn(verdict.record.outputs)
      planned.push({ stage, would: 'stay', because: [], last })
      continue
    }
    if (verdict.is === 'restorable') learn(verdict.action.outputs)
    planned.push({ stage, would: verdict.is === 'restorable' ? 'restore' : 'run', because: verdict.reasons, last })
  }
  return planned
}

/** The stages with causes of their own that a `maybe` stage waits for, directly or through others, in the project's order. */
export function firstCauses(planned: readonly Planned[], maybe: Planned): Planned[] {
  const found = new Set<Planned>()
  const follow = ({ because }: Planned): void => {
    for (const reason of because) {
      const before =
        reason.why === 'upstream-stale' ? planned.find(({ stage }) => stage.name === reason.stage) : undefined
      if (!before || found.has(before)) continue
      found.add(before)
      follow(before)
    }
  }
  follow(maybe)
  return planned.filter((one) => found.has(one) && one.would !== 'maybe')
}

export interface Cost {
  /** Milliseconds that these stages took when they last ran, one after the other. */
  readonly ms: number
  /** Stages that never ran here, of which nothing is known. */
  readonly unknown: number
}

/** What the stages that would do `what` took last time. */
export function costOf(planned: readonly Planned[], what: Would): Cost {
  const those = planned.filter(({ would }) => would === what)
  return {
    ms: those.reduce((sum, { last }) => sum + (last?.ms ?? 0), 0),
    unknown: those.filter(({ last }) => last === undefined).length,
  }
}
