/**
 * Makes a fresh clone ready: installs the dependencies when they are missing or older than the lock file, and builds dist/ when it is
 * missing or older than a source. Plain JavaScript: it runs before anything is installed. Says nothing when there is nothing to do.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19))
  fail(`Node ${process.versions.node} is too old: 20.19 or later is needed`)

const installed = join(root, 'node_modules/.package-lock.json')
if (!existsSync(installed) || time(installed) < time(join(root, 'package-lock.json'))) {
  console.log('installing dependencies ...')
  // Without install scripts: none is needed, and one would download GPU libraries. npm 10 does not know `allowScripts`.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'])
}

const entry = join(root, 'dist/index.d.ts') // what is written last
const sources = [
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'scripts/build.mjs',
  ...walk('schemas'),
  ...walk('src'),
]
if (!existsSync(entry) || sources.some((source) => time(join(root, source)) > time(entry))) {
  console.log('building ...')
  run(process.execPath, [join(root, 'scripts/build.mjs')])
}

function walk(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? walk(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`],
  )
}

function time(path) {
  return statSync(path).mtimeMs
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (error) fail(`cannot run ${command}: ${error.message}`)
  if (status !== 0) fail(`${command} ${args.join(' ')} failed`)
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
