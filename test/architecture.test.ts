/** The walls of the house: which folder may import which, and who may touch files, clocks and the terminal. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const src = fileURLToPath(new URL('../src', import.meta.url))

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path: path.replaceAll('\\', '/'), text: readFileSync(join(src, path), 'utf8') }))

const everyone = ['errors', 'disk', 'events', 'nearest', 'version']

/** Folder -> folders and files of src/ it may import besides itself. */
const allowed: Record<string, string[]> = {
  quant: ['cli', 'commands', 'engine', 'show', ...everyone],
  cli: ['commands', 'errors', 'version', 'show'],
  index: ['config', 'engine', 'stages', 'ir', 'quantize', ...everyone],
  commands: [
    'show',
    'stages',
    'engine',
    'config',
    'runtime',
    'ir',
    'preprocess',
    'calibrate',
    'quantize',
    'search',
    'detect',
    'bm1684x',
    ...everyone,
  ],
  show: ['engine', 'stages', 'bm1684x', ...everyone], // the types of reasons and of verify.json
  stages: [
    'engine',
    'config',
    'ir',
    'runtime',
    'preprocess',
    'calibrate',
    'quantize',
    'search',
    'detect',
    'bm1684x',
    ...everyone,
  ],
  engine: everyone,
  config: ['ir', ...everyone],
  ir: ['calibrate', ...everyone], // the type of thresholds, for calibrated tensor types in Top text
  runtime: ['ir', ...everyone],
  preprocess: ['ir', ...everyone],
  calibrate: ['ir', 'runtime', ...everyone],
  quantize: ['ir', 'runtime', 'calibrate', ...everyone],
  search: ['ir', 'runtime', 'quantize', ...everyone],
  detect: ['ir', 'preprocess', ...everyone],
  bm1684x: ['ir', 'runtime', 'quantize', ...everyone],
  events: ['engine', 'errors'],
  errors: [],
  nearest: [],
  version: [],
  disk: ['errors'],
}

const folderOf = (path: string): string => path.split('/')[0]!.replace(/\.ts$/, '')

function importsOf({ path, text }: { path: string; text: string }): string[] {
  return [...text.matchAll(/from '(\.[^']+)'|import\('(\.[^']+)'\)/g)]
    .map((match) => relative(src, join(src, dirname(path), match[1] ?? match[2]!)).replaceAll('\\', '/'))
    .filter((target) => !target.startsWith('..'))
    .map((target) => target.replace(/\.js$/, '.ts'))
}

test('imports go one way', () => {
  expect(files.length).toBeGreaterThan(50)
  const wrong = files.flatMap((file) => {
    const from = folderOf(file.path)
    const may = allowed[from]
    if (!may) return [`${file.path}: nobody said what ${from} may import`]
    return importsOf(file)
      .map(folderOf)
      .filter((to) => to !== from && !may.includes(to))
      .map((to) => `${file.path} imports ${to}`)
  })
  expect(wrong).toEqual([])
})

test('the folders of the parts know nothing of the engine, nor it of them', () => {
  const parts = ['ir', 'runtime', 'preprocess', 'calibrate', 'quantize', 'search', 'detect', 'bm1684x']
  for (const part of parts) expect(allowed[part]).not.toContain('engine')
  for (const part of parts) expect(allowed.engine).not.toContain(part)
})

const holding = (pattern: RegExp, except: (path: string) => boolean): string[] =>
  files.filter(({ path, text }) => !except(path) && pattern.test(text)).map(({ path }) => path)

test('only disk.ts touches files', () => {
  expect(holding(/from 'node:fs|from 'fs/, (path) => path === 'disk.ts')).toEqual([])
})

test('only commands and the command line print', () => {
  expect(
    holding(
      /console\.|process\.std(out|err)/,
      (path) => ['quant.ts', 'cli.ts'].includes(path) || path.startsWith('commands/'),
    ),
  ).toEqual([])
})

test('no clock and no chance in results', () => {
  // quant.ts, engine/build.ts and bring.ts measure how long stages take, which goes into the view and the state log, never into an artifact.
  // engine/remote/client.ts measures how long a server is waited for.
  const may = (path: string) =>
    path === 'disk.ts' ||
    path.startsWith('show/') ||
    ['quant.ts', 'engine/build.ts', 'engine/bring.ts', 'engine/remote/client.ts'].includes(path)
  expect(holding(/Date\.now|new Date\(\)|Math\.random|performance\.now/, may)).toEqual([])
})

test('the engine stays able to start without onnxruntime and sharp', () => {
  // What the main process loads for a build in which nothing is to be done: everything that commands/ reaches by static imports.
  const reached = new Set<string>()
  const visit = (path: string): void => {
    if (reached.has(path)) return
    reached.add(path)
    const file = files.find((one) => one.path === path)
    if (!file) return
    const imports = [...file.text.matchAll(/^(?:import|export) (?!type)[^;]*?from '(\.[^']+)'/gm)]
    for (const match of imports)
      visit(
        relative(src, join(src, dirname(path), match[1]!))
          .replaceAll('\\', '/')
          .replace(/\.js$/, '.ts'),
      )
  }
  for (const { path } of files) if (path.startsWith('commands/')) visit(path)
  expect(reached.size).toBeGreaterThan(20)
  const heavy = [...reached].filter((path) => {
    const text = files.find((one) => one.path === path)?.text ?? ''
    return (
      /from '(onnxruntime-node|sharp|typebox)'/.test(text) &&
      !/import type .* from '(onnxruntime-node|sharp|typebox)'/.test(text)
    )
  })
  expect(heavy).toEqual([])
})
