/**
 * Temporary projects for the engine, made from object literals. Stages are small text functions; the rig keeps a list of what ran, and
 * `ran()` compares the whole list since the last look and clears it.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { type BuildResult, build } from '../../src/engine/build.js'
import { type Planned, plan } from '../../src/engine/plan.js'
import type { Json, Reason } from '../../src/engine/reason.js'
import type { Project, Stage, StageContext } from '../../src/engine/stage.js'
import type { Event } from '../../src/events.js'

export interface TextStage {
  /** Source files and outputs of other stages. */
  readonly reads: readonly string[]
  readonly writes: string
  readonly params?: Record<string, Json>
  readonly identity?: string
  /** From the texts read to the text written. */
  readonly make: (texts: string[], context: StageContext) => string | Promise<string>
}

export interface Rig {
  readonly root: string
  stages: Record<string, TextStage>
  readonly events: Event[]
  write(path: string, text: string): void
  read(path: string): string
  remove(path: string): void
  build(options?: { parallel?: number; wanted?: string[]; signal?: AbortSignal }): Promise<BuildResult>
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
    build: (options = {}) => {
      const project = self.project()
      const wanted = options.wanted?.map((name) => project.stages.find((stage) => stage.name === name)!)
      return build(project, {
        parallel: options.parallel ?? 2,
        signal: options.signal ?? new AbortController().signal,
        emit: (event) => self.events.push(event),
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
    project() {
      const outputs = new Set(Object.values(self.stages).map((stage) => stage.writes))
      return {
        root,
        output: join(root, 'out'),
        state: join(root, '.quant'),
        store: join(root, '.quant/store'),
        description: [],
        stages: Object.entries(self.stages).map(([name, stage]): Stage => {
          const { params = {}, identity = '1' } = stage
          return {
            name,
            title: name,
            params,
            identity,
            files: stage.reads.filter((path) => !outputs.has(path)),
            needs: stage.reads.filter((path) => outputs.has(path)),
            outputs: [stage.writes],
            async run(context) {
              started.push(name)
              const texts = stage.reads.map((path) => readFileSync(context.path(path), 'utf8'))
              writeFileSync(context.target(stage.writes), await stage.make(texts, context))
              return { note: 'made' }
            },
          }
        }),
      }
    },
  }
  for (const [path, text] of Object.entries(files)) self.write(path, text)
  return self
}

export const upper = (from: string, to: string): TextStage => ({
  reads: [from],
  writes: to,
  make: ([text]) => text!.toUpperCase(),
})

export const join2 = (a: string, b: string, to: string): TextStage => ({
  reads: [a, b],
  writes: to,
  make: (texts) => texts.join('+'),
})
