/** What a build would do, without doing it: for `status` and `why`. */
import { openWorkspace } from './build.js'
import { examine } from './examine.js'
import type { Reason } from './reason.js'
import { type Project, producerOf, type Stage } from './stage.js'
import type { StageRecord } from './state.js'

export interface Planned {
  readonly stage: Stage
  readonly would: 'stay' | 'restore' | 'run'
  readonly because: readonly Reason[]
  /** How it last ended well. */
  readonly last: StageRecord | undefined
}

/**
 * Behind a stage that would run nothing is certain: its outputs may come out the same. Such stages are `run` with the reason
 * `upstream-stale`.
 */
export async function plan(project: Project): Promise<Planned[]> {
  const work = openWorkspace(project)
  const outputs = new Map<string, string>()
  const planned: Planned[] = []
  for (const stage of project.stages) {
    const last = work.state.stage(stage.name)
    const waiting = [
      ...new Set(stage.needs.filter((need) => !outputs.has(need)).map((need) => producerOf(project.stages, need).name)),
    ]
    if (waiting.length > 0) {
      planned.push({
        stage,
        would: 'run',
        because: waiting.map((name) => ({ why: 'upstream-stale', stage: name })),
        last,
      })
      continue
    }
    const verdict = await examine(work, stage, outputs)
    const known =
      verdict.is === 'fresh' ? verdict.record.outputs : verdict.is === 'restorable' ? verdict.action.outputs : {}
    for (const [path, digest] of Object.entries(known)) outputs.set(path, digest)
    planned.push({
      stage,
      would: verdict.is === 'fresh' ? 'stay' : verdict.is === 'restorable' ? 'restore' : 'run',
      because: verdict.is === 'fresh' ? [] : verdict.reasons,
      last,
    })
  }
  return planned
}
