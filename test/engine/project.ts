/** Projects of small text functions, for tests and the processes they start. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Json } from '../../src/engine/reason.js'
import type { Project, Stage, StageContext } from '../../src/engine/stage.js'

export interface TextStage {
  /** Source files and outputs of other stages. */
  readonly reads: readonly string[]
  readonly writes: string
  readonly params?: Record<string, Json>
  readonly identity?: string
  /** From the texts read to the text written. */
  readonly make: (texts: string[], context: StageContext) => string | Promise<string>
}

/** @param onStart told the name of each stage that runs */
export function textProject(
  root: string,
  stages: Readonly<Record<string, TextStage>>,
  onStart: (stage: string) => void = () => {},
): Project {
  const outputs = new Set(Object.values(stages).map((stage) => stage.writes))
  return {
    root,
    output: join(root, 'out'),
    state: join(root, '.quant'),
    store: join(root, '.quant/store'),
    description: [],
    stages: Object.entries(stages).map(([name, stage]): Stage => {
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
          onStart(name)
          const texts = stage.reads.map((path) => readFileSync(context.path(path), 'utf8'))
          writeFileSync(context.target(stage.writes), await stage.make(texts, context))
          return { note: 'made' }
        },
      }
    }),
  }
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
