/** Whole builds in temporary projects, by the program as it is shipped, with the CPU time of all its processes. */
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { shared, yolov3Tiny } from '../test/shared.js'
import { example } from './networks.js'

export const program = fileURLToPath(new URL('../dist/quant.cjs', import.meta.url))

export interface BenchProject {
  /** As `networks` calls it. */
  readonly name: string
  readonly folder: string
  /** Builds a target, or everything; user and system seconds of the program and its workers. */
  build(target?: string): number
  /** Builds a target, watched: what it took. */
  cost(target: string): Promise<Cost>
  /** Asks for another table of losses, and forgets what is known of losses: the next build measures anew. */
  losses(table: 'ranked' | 'exhaustive'): void
  remove(): void
}

export interface Cost {
  /** User and system seconds of the program and its workers. */
  readonly cpu: number
  readonly wall: number
  /** MB that the largest worker had at its peak, where the system says it (/proc); what it had at a tenth of a second before its end. */
  readonly peak: number | undefined
}

export type ZooProject = 'yolov3_tiny_rand' | 'yolo-lite-coco' | 'yolo-fastest-1.1' | 'yolov5n-320'

/** The example, copied without what was built. */
export function exampleProject(): BenchProject {
  const folder = mkdtempSync(join(tmpdir(), 'quant-bench-'))
  cpSync(example, folder, { recursive: true, filter: (path) => !/(\.quant|build)$/.test(path) })
  return project('street', folder)
}

/** A network of the zoo with its hundred photos; undefined where they are not. */
export function zooProject(name: ZooProject): BenchProject | undefined {
  const photos = shared('zoo', 'images', 'coco100')
  if (photos === undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'quant-bench-'))
  const padValue = { yolov3_tiny_rand: 128, 'yolov5n-320': 114 }[name as string]
  if (name === 'yolov3_tiny_rand') writeFileSync(join(folder, 'model.onnx'), yolov3Tiny())
  else cpSync(shared('zoo', 'models', `${name}.onnx`)!, join(folder, 'model.onnx'))
  writeFileSync(
    join(folder, 'quant.yaml'),
    `model: { name: bench, path: model.onnx }
preprocess: { scale: [0.0039216, 0.0039216, 0.0039216], keep_aspect_ratio: ${padValue !== undefined}, pad_value: ${padValue ?? 0} }
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
    cost: (target) => costOf([process.execPath, program, 'build', target, '-C', folder]),
    losses(table) {
      const yaml = readFileSync(join(folder, 'quant.yaml'), 'utf8').replace(/loss_table: \w+, /, '')
      writeFileSync(join(folder, 'quant.yaml'), yaml.replace('mode: F32,', `loss_table: ${table}, mode: F32,`))
      rmSync(join(folder, '.quant/store/memo/losses'), { recursive: true, force: true })
      rmSync(join(folder, '.quant/store/actions'), { recursive: true, force: true })
    },
    remove: () => rmSync(folder, { recursive: true }),
  }
}

async function costOf(command: readonly string[]): Promise<Cost> {
  const began = performance.now()
  const child = spawn('sh', ['-c', '"$@" > /dev/null || exit 1; times', 'sh', ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  let peak: number | undefined
  const watch = setInterval(() => {
    for (const worker of childrenOf(child.pid!).flatMap(childrenOf)) {
      const kilobytes = Number(/^VmHWM:\s*(\d+)/m.exec(ifThere(`/proc/${worker}/status`))?.[1] ?? 0)
      if (kilobytes > 0) peak = Math.max(peak ?? 0, kilobytes / 1024)
    }
  }, 100)
  const status = await new Promise((resolve) => child.on('close', resolve))
  clearInterval(watch)
  if (status !== 0) throw new Error(`${command.join(' ')} failed`)
  const [user, system] = said.trim().split('\n').at(-1)!.split(' ')
  return { cpu: seconds(user!) + seconds(system!), wall: (performance.now() - began) / 1000, peak }
}

const childrenOf = (pid: number): number[] =>
  ifThere(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number)

/** Processes end while they are looked at. */
function ifThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
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
