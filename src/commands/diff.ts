/**
 * What two builds gave, side by side: each a folder of artifacts or a git revision. A revision's artifacts are those that were committed,
 * or those whose digests its quant.lock names, from the store.
 */
import { basename, dirname, posix, relative, resolve } from 'node:path'
import { parseConfig } from '../config/load.js'
import * as disk from '../disk.js'
import { lockPathOf, parseLock } from '../engine/lockfile.js'
import type { Project } from '../engine/stage.js'
import { openStore } from '../engine/store.js'
import { QuantError } from '../errors.js'
import { useColor } from '../show/color.js'
import { movements, movementsText } from '../show/movements.js'
import { type Artifacts, type Results, readResults } from '../stages/results.js'
import { artifactsIn } from './artifacts.js'
import { findFile } from './find.js'
import { openRevision, type Revision } from './git.js'
import { openProject, type ProjectOptions } from './project.js'

/** @param b default: the present build folder. Like a report, it ends with 0 whether something moved or not. */
export async function diffCommand(
  a: string,
  b: string | undefined,
  options: ProjectOptions & { json?: boolean },
): Promise<number> {
  const before = await resultsOf(a, options)
  const after = b === undefined ? presentResults(options) : await resultsOf(b, options)
  const moved = movements(before, after)
  const names = { a, b: b ?? relative(process.cwd(), projectOf(options).output) }
  if (options.json) process.stdout.write(`${JSON.stringify({ ...names, moved, before, after })}\n`)
  else {
    process.stdout.write(`${names.a} -> ${names.b}\n`)
    process.stdout.write(movementsText(moved, { color: useColor(process.stdout, process.env) }))
  }
  return 0
}

function presentResults(options: ProjectOptions): Results {
  const { output } = projectOf(options)
  const results = readResults(artifactsIn(output))
  if (!results) throw new QuantError('usage', `nothing is built in ${output}`, { hint: 'quant build' })
  return results
}

/** A folder stands before a revision of the same name. */
async function resultsOf(name: string, options: ProjectOptions): Promise<Results> {
  const folder = resolve(options.directory ?? '.', name)
  if (disk.stat(folder)?.directory) {
    const results = readResults(artifactsIn(folder))
    if (results) return results
    throw new QuantError('usage', `${name} holds no artifacts`, {
      hint: disk.exists(resolve(folder, 'quant.yaml'))
        ? 'name the folder into which it builds: `output` of its quant.yaml, default build'
        : 'name a folder into which quant has built, or a git revision',
    })
  }
  const file = findFile(options)
  const revision = await openRevision(dirname(file), name)
  if (!revision)
    throw new QuantError('usage', `${name} is neither a folder nor a git revision`, {
      hint: 'for instance: quant diff HEAD~1, or quant diff ../before/build build',
    })
  const results = readResults((await committed(revision, file)) ?? (await locked(revision, file, options)))
  if (results) return results
  throw nowhere(name)
}

/** Artifacts that lie in the revision itself. */
async function committed(revision: Revision, file: string): Promise<Artifacts | undefined> {
  const folder = await outputAt(revision, file)
  const list = await revision.list(folder)
  if (!list.some((path) => path === 'verify.json' || path.endsWith('.mlir'))) return undefined
  return loaded(list, (path) => revision.read(`${folder}/${path}`))
}

/** Artifacts that the revision's lock file names, from the store. */
async function locked(revision: Revision, file: string, options: ProjectOptions): Promise<Artifacts> {
  const path = basename(lockPathOf(file))
  const text = await revision.read(path)
  if (!text) return { list: [], read: () => undefined, size: () => undefined }
  const { stages } = await parseLock(new TextDecoder().decode(text), `${revision.commit.slice(0, 8)}:${path}`)
  const store = openStore(projectOf(options).store)
  const digests = new Map(Object.values(stages).flatMap(({ outputs }) => Object.entries(outputs)))
  return loaded([...digests.keys()], async (output) => {
    const digest = digests.get(output)!
    if (!store.has(digest))
      throw new QuantError('input', `${output} of ${revision.commit.slice(0, 8)} is not in the store any more`, {
        hint: buildThere,
      })
    return disk.readBytes(store.path(digest))
  })
}

/** Only what results are read from is taken: of the large files the size alone. */
async function loaded(
  list: readonly string[],
  read: (path: string) => Promise<Uint8Array | undefined>,
): Promise<Artifacts> {
  const contents = new Map<string, Uint8Array>()
  for (const path of list.filter((one) =>
    /(^verify\.json|\.bmodel|_estimate\.json|_selection\.json|_table|_qtable)$/.test(one),
  )) {
    const content = await read(path)
    if (content) contents.set(path, content)
  }
  return { list, read: (path) => contents.get(path), size: (path) => contents.get(path)?.length }
}

/** Where that revision built into; where its quant.yaml is of another age, where this one does. */
async function outputAt(revision: Revision, file: string): Promise<string> {
  const text = await revision.read(basename(file))
  const parse = (yaml: string): string => parseConfig(yaml, basename(file)).config.output
  try {
    return normal(parse(new TextDecoder().decode(text)))
  } catch {
    return normal(parse(disk.readText(file)))
  }
}

/** With '/', without './' and end slash, as git writes paths. */
const normal = (path: string): string => posix.normalize(path.replaceAll('\\', '/')).replace(/(?<=.)\/$/, '')

const buildThere =
  'build it there: `git worktree add ../before REVISION`, `quant -C ../before build`, then `quant diff ../before/build`'

const nowhere = (name: string): QuantError =>
  new QuantError('usage', `the revision ${name} has neither artifacts nor a quant.lock`, { hint: buildThere })

function projectOf(options: ProjectOptions): Project {
  const { project, pool } = openProject(options)
  pool.close()
  return project
}
