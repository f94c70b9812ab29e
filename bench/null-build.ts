/**
 * What a build costs in which little or nothing is to be done: CPU time of all its processes, against starting Node, and against make and
 * ninja on a graph of the same shape with `cp` for work, where they are installed.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onnxBuilder } from '../src/ir/onnx/builder.js'
import { table } from '../src/show/table.js'
import { milliseconds, times } from './measure.js'
import { cpuOf, exampleProject, program } from './project.js'

const least = (work: () => number, before: () => void = () => {}, rounds = 7): number => {
  let best = Infinity
  for (let round = 0; round < rounds; round++) {
    before()
    best = Math.min(best, work())
  }
  return best
}

/** Files that were changed less than two seconds ago are not believed by their times. */
const settle = (): void => void execFileSync('sleep', ['2.1'])

/** Of a command that may be run again and again with the same end. */
const repeated = (...command: string[]): number => least(() => cpuOf(command, 10), undefined, 3)

const bare = repeated(process.execPath, '-e', '0')
const rows = [['', 'CPU', 'of node -e 0']]
const add = (what: string, seconds: number): void =>
  void rows.push([what, milliseconds(seconds), times(seconds / bare)])
add('node -e 0', bare)

street()
dataset(1000)
dataset(5000)
for (const [tool, file, text] of [
  ['make', 'Makefile', makefile()],
  ['ninja', 'build.ninja', ninjaFile()],
] as const)
  if (spawnSync(tool, ['--version']).status === 0) other(tool, file, text)
console.log(table(rows, { align: 'lrr' }))

function street(): void {
  const { folder, build, remove } = exampleProject()
  build()
  settle()
  build()
  add('street: nothing to do', repeated(process.execPath, program, 'build', '-C', folder))
  add(
    'street: every input touched',
    least(
      () => build(),
      () => touch(join(folder, 'calibration')),
    ),
  )
  settle()
  build()
  const cli = program.replace('quant.cjs', 'cli.js')
  add('street: the same, found out anew', repeated(process.execPath, cli, 'build', '-C', folder))
  const restore = (): void => rmSync(join(folder, 'build'), { recursive: true })
  add(
    'street: all restored',
    least(() => build(), restore),
  )
  const calibration = readdirSync(join(folder, 'calibration'))
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(folder, 'calibration', name))
  let n = 0
  const change = (): void => cpSync(calibration[n + 1]!, calibration[n++]!)
  add(
    'street: one calibration picture replaced',
    least(() => build(), change, 2),
  )
  remove()
}

function touch(folder: string): void {
  for (const name of readdirSync(folder)) utimesSync(join(folder, name), new Date(), new Date())
}

/** Many small pictures and a model of 100 MB, of which most is a tensor that nothing reads. */
function dataset(count: number): void {
  const folder = mkdtempSync(join(tmpdir(), 'quant-bench-'))
  const b = onnxBuilder('large')
  b.input('x', [1, 3, 32, 32])
  b.weight('unused', [25_000_000], new Float32Array(25_000_000))
  b.node('Conv', ['x', b.weight('w', [4, 3, 1, 1], new Float32Array(12).fill(0.1))], 'y', { kernel_shape: [1, 1] })
  b.output('y', [1, 4, 32, 32])
  writeFileSync(join(folder, 'model.onnx'), b.finish())
  const { folder: from, remove } = exampleProject()
  const picture = join(from, 'calibration', readdirSync(join(from, 'calibration'))[0]!)
  mkdirSync(join(folder, 'pictures'))
  for (let n = 0; n < count; n++)
    cpSync(picture, join(folder, 'pictures', `${n}${picture.slice(picture.lastIndexOf('.'))}`))
  remove()
  writeFileSync(
    join(folder, 'quant.yaml'),
    `model: { name: large, path: model.onnx }
preprocess: { scale: [0.0039216, 0.0039216, 0.0039216] }
calibration: { dataset: pictures, method: max }
variants: { int8: { quantize: INT8 } }
`,
  )
  const build = (): number => cpuOf([process.execPath, program, 'build', '-C', folder])
  add(`${count} pictures, 100 MB model: first build`, build())
  settle()
  build()
  add(`${count} pictures, 100 MB model: nothing to do`, repeated(process.execPath, program, 'build', '-C', folder))
  const cli = program.replace('quant.cjs', 'cli.js')
  add(
    `${count} pictures, 100 MB model: the same, found out anew`,
    repeated(process.execPath, cli, 'build', '-C', folder),
  )
  rmSync(folder, { recursive: true })
}

/** The street's shape: 12 steps, 180 pictures that the second reads, the last that needs them all. */
function other(tool: string, file: string, text: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'quant-bench-'))
  mkdirSync(join(folder, 'in'))
  for (let n = 0; n < 180; n++) writeFileSync(join(folder, `in/${n}`), String(n))
  writeFileSync(join(folder, file), text)
  const build = (): number => cpuOf([tool, '-C', folder])
  build()
  add(`${tool}: nothing to do`, repeated(tool, '-C', folder))
  const ago = new Date(Date.now() + 1000)
  add(
    `${tool}: every input touched`,
    least(build, () => touch(join(folder, 'in'))),
  )
  add(
    `${tool}: one input changed`,
    least(build, () => utimesSync(join(folder, 'in/7'), ago, new Date())),
  )
  add(
    `${tool}: outputs deleted`,
    least(build, () => {
      for (const name of readdirSync(folder)) if (name.startsWith('out')) rmSync(join(folder, name))
    }),
  )
  rmSync(folder, { recursive: true })
}

function steps(): { from: string[]; to: string }[] {
  const pictures = Array.from({ length: 180 }, (_, n) => `in/${n}`)
  return Array.from({ length: 12 }, (_, n) => ({
    from: n === 0 ? ['in/0'] : n === 1 ? [...pictures, 'out0'] : [`out${n - 1}`],
    to: `out${n}`,
  }))
}

function makefile(): string {
  const rules = steps().map(({ from, to }) => `${to}: ${from.join(' ')}\n\tcat ${from.join(' ')} > ${to}\n`)
  return `out11:\n${rules.join('')}`
}

function ninjaFile(): string {
  const rules = steps().map(({ from, to }) => `build ${to}: cat ${from.join(' ')}\n`)
  return `rule cat\n  command = cat $in > $out\n${rules.join('')}`
}
