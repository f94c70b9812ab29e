/**
 * Temporary projects for the engine, made from object literals. Stages are small text functions; the rig keeps a list of what ran, and
 * `ran()` compares the whole list since the last look and clears it.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { type BuildOptions, type BuildResult, build } from '../../src/engine/build.js'
import { type Planned, plan } from '../../src/engine/plan.js'
import type { Reason } from '../../src/engine/reason.js'
import type { Project } from '../../src/engine/stage.js'
import type { Event } from '../../src/events.js'
import { join2, type TextStage, textProject, upper } from './project.js'

export { join2, type TextStage, upper }

export interface Rig {
  readonly root: string
  stages: Record<string, TextStage>
  readonly events: Event[]
  write(path: string, text: string): void
  read(path: string): string
  remove(path: string): void
  build(options?: Partial<Omit<BuildOptions, 'wanted'>> & { wanted?: string[] }): Promise<BuildResult>
  plan(): Promise<Planned[]>
  /** What ran since the last look, as `a b`, in order of start. */
  ran(expected: string): void
  /** The reasons of a stage's last start or restore. */
  reasons(stage: string): readonly Reason[]
  project(): Project
}

const folders: string[] = []
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'quant-'))
  folders.push(folder)
  return folder
}

export function rig(files: Record<string, string>, stages: Record<string, TextStage>): Rig {
  const root = temporaryFolder()
  const started: string[] = []
  const self: Rig = {
    root,
    stages,
    events: [],
    write(path, text) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text)
    },
    read: (path) => readFileSync(join(root, path), 'utf8'),
    remove: (path) => rmSync(join(root, path)),
    build: ({ wanted: names, ...others } = {}) => {
      const project = self.project()
      const wanted = names?.map((name) => project.stages.find((stage) => stage.name === name)!)
      return build(project, {
        parallel: 2,
        signal: new AbortController().signal,
        emit: (event) => self.events.push(event),
        ...others,
        ...(wanted ? { wanted } : {}),
      })
    },
    plan: () => plan(self.project()),
    ran(expected) {
      expect(started.splice(0).join(' ')).toBe(expected)
    },
    reasons(stage) {
      const event = self.events.findLast((e) => (e.type === 'started' || e.type === 'restored') && e.stage === stage)
      return event && 'because' in event ? event.because : []
    },
    project: () => textProject(root, self.stages, (name) => started.push(name)),
  }
  for (const [path, text] of Object.entries(files)) self.write(path, text)
  return self
}
