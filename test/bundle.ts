/** The program as it is shipped, bundled into a temporary package, with a look at what a process of it loads and touches. */
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from './engine/rig.js'

export interface Trace {
  readonly stats: readonly string[]
  readonly reads: readonly string[]
  readonly lists: readonly string[]
  /** Native modules. */
  readonly addons: readonly string[]
  readonly packages: readonly string[]
}

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
  readonly trace: Trace
}

export interface Bundle {
  /** Absolute path of a file of dist/. */
  path(file: string): string
  run(file: 'quant.cjs' | 'cli.js', args: readonly string[], cwd: string, env?: Record<string, string>): Promise<Ran>
}

const top = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))

export async function makeBundle(): Promise<Bundle> {
  const folder = temporaryFolder()
  symlinkSync(top('node_modules'), join(folder, 'node_modules'))
  cpSync(top('schemas'), join(folder, 'schemas'), { recursive: true })
  cpSync(top('package.json'), join(folder, 'package.json'))
  mkdirSync(join(folder, 'dist'))
  // Plain JavaScript: it runs before anything is built.
  const script = (await import(top('scripts/build.mjs'))) as { bundle: (outdir: string) => Promise<void> }
  await script.bundle(join(folder, 'dist'))
  const hook = join(folder, 'hook.cjs')
  writeFileSync(hook, hookSource)
  const path = (file: string): string => join(folder, 'dist', file)
  return {
    path,
    run(file, args, cwd, env = {}) {
      const traced = join(folder, 'trace.json')
      rmSync(traced, { force: true })
      const child = spawn(process.execPath, ['--require', hook, path(file), ...args], {
        cwd,
        env: { ...process.env, CI: '', NO_COLOR: '', GITHUB_ACTIONS: '', TRACE_TO: traced, ...env },
      })
      let [out, err] = ['', '']
      child.stdout.on('data', (text) => (out += text))
      child.stderr.on('data', (text) => (err += text))
      return new Promise((resolve) =>
        child.on('close', (code) => {
          const trace = existsSync(traced) ? JSON.parse(readFileSync(traced, 'utf8')) : {}
          resolve({ code, out, err, trace: trace as Trace })
        }),
      )
    },
  }
}

const hookSource = `
const fs = require('node:fs')
const trace = { stats: [], reads: [], lists: [], addons: [] }
const watch = (object, name, into) => {
  const work = object[name]
  object[name] = function (...args) {
    into.push(String(args[object === process ? 1 : 0]))
    return work.apply(this, args)
  }
}
const write = fs.writeFileSync
for (const name of ['statSync', 'lstatSync']) watch(fs, name, trace.stats)
for (const name of ['readFileSync', 'openSync', 'open', 'readFile']) watch(fs, name, trace.reads)
for (const name of ['readdirSync', 'readdir', 'opendirSync']) watch(fs, name, trace.lists)
watch(process, 'dlopen', trace.addons)
require('node:module').syncBuiltinESMExports()
process.on('exit', () => {
  const packages = Object.keys(require.cache).map((path) => /node_modules.((?:@[^/]+.)?[^/]+)/.exec(path)?.[1])
  write(process.env.TRACE_TO, JSON.stringify({ ...trace, packages: [...new Set(packages.filter(Boolean))] }))
})
`
