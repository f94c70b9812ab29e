/** Whole builds in temporary projects, by the program as it is shipped, with the CPU time of all its processes. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readLossTable } from '../src/search/losstable.js'
import { shared, yolov3Tiny } from '../test/shared.js'
import { example } from './networks.js'

export const program = fileURLToPath(new URL('../dist/quant.cjs', import.meta.url))

export interface BenchProject {
  /** As `networks` calls it. */
  readonly name: string
  readonly folder: string
  /** Builds a target, or everything; user and system seconds of the program and its workers. */
  build(target?: string): number
  /** Lines of the loss table: how many layers were tried. */
  candidates(): number
  remove(): void
}

/** The example, copied without what was built. */
export function exampleProject(): BenchProject {
  const folder = mkdtempSync(join(tmpdir(), 'quant-bench-'))
  cpSync(example, folder, { recursive: true, filter: (path) => !/(\.quant|build)$/.test(path) })
  return project('street', folder)
}

/** A network of the zoo with its hundred photos; undefined where they are not. */
export function zooProject(name: 'yolov3_tiny_rand' | 'yolo-lite-coco'): BenchProject | undefined {
  const photos = shared('zoo', 'images', 'coco100')
  const lite = shared('zoo', 'models', 'yolo-lite-coco.onnx')
  if (photos === undefined || lite === undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'quant-bench-'))
  const letterbox = name === 'yolov3_tiny_rand'
  if (letterbox) writeFileSync(join(folder, 'model.onnx'), yolov3Tiny())
  else cpSync(lite, join(folder, 'model.onnx'))
  writeFileSync(
    join(folder, 'quant.yaml'),
    `model: { name: bench, path: model.onnx }
preprocess: { scale: [0.0039216, 0.0039216, 0.0039216], keep_aspect_ratio: ${letterbox}, pad_value: ${letterbox ? 128 : 0} }
calibration: { dataset: ${photos}, input_num: 100, method: kl, tune_num: 5 }
variants: { mix: { quantize: INT8, mix: { mode: F32, input_num: 10 } } }
`,
  )
  return project(name, folder)
}

function project(name: string, folder: string): BenchProject {
  return {
    name,
    folder,
    build: (target) => cpuOf([process.execPath, program, 'build', ...(target ? [target] : []), '-C', folder]),
    candidates: () => lossTable(join(folder, 'build')).losses.length,
    remove: () => rmSync(folder, { recursive: true }),
  }
}

function lossTable(folder: string) {
  const file = readdirSync(folder).find((name) => name.endsWith('_full_loss_table.txt'))!
  return readLossTable(readFileSync(join(folder, file), 'utf8'), file)
}

/** User and system seconds of a command and everything that it starts; the mean of `runs`, since shells count in hundredths. */
export function cpuOf(command: readonly string[], runs = 1): number {
  const script = 'n=$1; shift; while [ $n -gt 0 ]; do "$@" > /dev/null || exit 1; n=$((n - 1)); done; times'
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', String(runs), ...command], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${command.join(' ')} failed:\n${stderr}`)
  // Two lines, the shell's own times and its children's: 0m0.01s 0m0.00s
  const [user, system] = stdout.trim().split('\n').at(-1)!.split(' ')
  return (seconds(user!) + seconds(system!)) / runs
}

function seconds(text: string): number {
  const [minutes, rest] = text.replace('s', '').split('m')
  return Number(minutes) * 60 + Number(rest)
}
