/** One build of the soak's pipeline as its folder describes it: `node soak-child.mjs FOLDER`. Prints the stages that ran, one a line. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from '../src/engine/build.js'
import { type TextStage, textProject } from '../test/engine/project.js'

const root = process.argv[2]!
const { factor, shape } = JSON.parse(readFileSync(join(root, 'settings.json'), 'utf8')) as {
  factor: number
  shape: string
}
const sources = readdirSync(join(root, 'in')).sort()
const say = (text: string): void => console.log(text)

/** Each source is counted by itself, pieces of them in the memo; then joined, shortened, and judged. */
const stages: Record<string, TextStage> = {
  ...Object.fromEntries(
    sources.map((name): [string, TextStage] => [
      `count:${name}`,
      {
        reads: [`in/${name}`],
        writes: `counts/${name}`,
        make: ([text]) => [...new Set(text)].sort().join('').repeat(20),
      },
    ]),
  ),
  join: { reads: sources.map((name) => `counts/${name}`), writes: 'joined', make: (texts) => texts.join('\n') },
  shape: { reads: ['joined'], writes: `shaped.${shape}`, params: { shape }, make: ([text]) => text!.slice(0, 40) },
  judge: {
    reads: ['joined', `shaped.${shape}`, 'extra'],
    writes: 'judged',
    params: { factor },
    make: (texts) => texts.map((text) => text.length * factor).join(' ') + texts.join(''),
  },
}
if (!existsSync(join(root, 'extra'))) stages.judge = { ...stages.judge!, reads: ['joined', `shaped.${shape}`] }

const result = await build(textProject(root, stages, say), {
  parallel: 2,
  signal: new AbortController().signal,
  emit: () => {},
  lockFile: { path: join(root, 'quant.lock'), frozen: false },
})
if (result.failed.length > 0) {
  console.error(result.failed)
  process.exitCode = 1
}
