/**
 * A build that kills itself: `FOLDER SCENARIO MODE N [FILTER]`. Every call of node:fs that changes something on disk is counted; at the
 * N-th the process ends by SIGKILL, before the call (`before`) or after half of its bytes (`half`: only calls that write bytes count).
 * With a filter only calls on paths that contain it count. Prints the call that it dies at.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { build } from '../../src/engine/build.js'
import { textProject } from './project.js'
import { scenarios } from './scenarios.js'

const [root, scenario, mode, n, filter = ''] = process.argv.slice(2) as [string, keyof typeof scenarios, string, string]

type Call = (...args: never[]) => unknown
const real = { ...fs } as unknown as Record<string, Call>
const patched = fs as unknown as Record<string, Call>
const opened = new Map<number, string>()
let calls = 0

function watch(name: string, pathOf: (args: never[]) => string | undefined, half?: (args: never[]) => void): void {
  const original = real[name]!
  patched[name] = (...args: never[]) => {
    const path = pathOf(args)
    if (path?.includes(filter) && (mode === 'before' || half)) {
      calls++
      if (calls === Number(n)) {
        if (mode === 'half') half!(args)
        real.writeSync!(...([1, `${name} ${path}\n`] as never[]))
        process.kill(process.pid, 'SIGKILL')
      }
    }
    return original(...args)
  }
}

const first = (args: never[]): string => String(args[0])
const second = (args: never[]): string => String(args[1])
const ofDescriptor = (args: never[]): string | undefined => opened.get(Number(args[0]))
const halfOf = (data: Uint8Array | string): Uint8Array => {
  const bytes = Buffer.from(data as string)
  return bytes.subarray(0, bytes.length >> 1)
}

watch('writeSync', ofDescriptor, ([fd, data]) => real.writeSync!(fd!, halfOf(data!) as never))
watch(
  'appendFileSync',
  (args) => ofDescriptor(args) ?? first(args),
  ([to, data]) => real.appendFileSync!(to!, halfOf(data!) as never),
)
watch('writeFileSync', first, ([path, data, options]) => real.writeFileSync!(path!, halfOf(data!) as never, options!))
watch('copyFileSync', second, ([from, to]) => real.writeFileSync!(to!, halfOf(fs.readFileSync(from!)) as never))
watch('rmSync', (args) => (fs.existsSync(args[0]!) ? first(args) : undefined))
watch('mkdirSync', (args) => (fs.existsSync(args[0]!) ? undefined : first(args)))
for (const name of ['rmdirSync', 'unlinkSync', 'truncateSync']) watch(name, first)
for (const name of ['renameSync', 'linkSync']) watch(name, second)
const changes = (flags: unknown): boolean => /^[wa]/.test(String(flags))
watch('openSync', (args) => (changes(args[1]) ? first(args) : undefined))
const open = patched.openSync!
patched.openSync = (...args: never[]) => {
  const fd = open(...args) as number
  opened.set(fd, String(args[0]))
  return fd
}
syncBuiltinESMExports()

await build(textProject(root, scenarios[scenario]), {
  parallel: 1,
  signal: new AbortController().signal,
  emit: () => {},
  lockFile: { path: `${root}/quant.lock`, frozen: false },
})
