/**
 * How long a watcher waits: from saving a file of the example to the end of the round that it caused. Wall time, in a copy of the example;
 * `tsx bench/watch.ts [built]` by hand: `built` measures dist/ instead of the sources.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { table } from '../src/show/table.js'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const command =
  process.argv[2] === 'built'
    ? [here('../dist/cli.js')]
    : ['--import', import.meta.resolve('tsx'), here('../src/cli.ts')]
const root = mkdtempSync(join(tmpdir(), 'quant-watch-'))
cpSync(here('../examples/street'), root, { recursive: true })
rmSync(join(root, '.quant'), { recursive: true, force: true })
rmSync(join(root, 'build'), { recursive: true, force: true })
const file = join(root, 'quant.yaml')
const yaml = readFileSync(file, 'utf8')

const child = spawn(process.execPath, [...command, '--json', '-C', root, 'watch'], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
const waiting: ((stages: string[]) => void)[] = []
let stages: string[] = []
createInterface({ input: child.stdout }).on('line', (line) => {
  const event = JSON.parse(line)
  if (event.type === 'finished') stages.push(`${event.stage} ${(event.ms / 1000).toFixed(2)}`)
  if (event.type === 'restored') stages.push(`${event.stage} restored`)
  if (event.type === 'error' || event.type === 'failed') console.error(line)
  if (event.type !== 'round' && event.type !== 'error') return
  waiting.shift()?.(stages)
  stages = []
})
const round = (): Promise<string[]> => new Promise((resolve) => waiting.push(resolve))

const rows: string[][] = [['from saving to the end of the round', 'seconds', 'stages that ran, seconds each']]
async function measure(what: string, edit: () => void): Promise<void> {
  // Beyond the moment in which equal times prove nothing, as between two thoughts of a person.
  await new Promise((resolve) => setTimeout(resolve, 2500))
  const ended = round()
  const begun = performance.now()
  edit()
  const ran = await ended
  rows.push([what, ((performance.now() - begun) / 1000).toFixed(2), ran.join(', ')])
}
const set = (from: string | RegExp, to: string) => (): void => writeFileSync(file, yaml.replace(from, to))

try {
  await round()
  await measure('score 0.5 -> 0.6', set('score: 0.5', 'score: 0.6'))
  await measure('score 0.6 -> 0.55', set('score: 0.5', 'score: 0.55'))
  await measure('score back to 0.5: restored', set('', ''))
  for (const value of ['30%', '90%', '5%'])
    await measure(`min_improvement -> ${value}`, set('min_improvement: 1%', `min_improvement: ${value}`))
  await measure('max_float_layers 4 -> 2', set('max_float_layers: 4', 'max_float_layers: 2'))
  await measure('iou 0.45 -> 0.5', set('iou: 0.45', 'iou: 0.5'))
  await measure('all back', set('', ''))
  const pictures = join(root, 'calibration')
  const [picture] = readdirSync(pictures).sort()
  await measure('one calibration picture new', () => cpSync(join(pictures, picture!), join(pictures, `zz_${picture}`)))
  await measure('and gone', () => rmSync(join(pictures, `zz_${picture}`)))
  console.log(table(rows, { align: 'lr' }))
} finally {
  child.kill('SIGINT')
  await new Promise((resolve) => child.on('close', resolve))
  rmSync(root, { recursive: true, force: true })
}
