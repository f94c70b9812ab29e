/**
 * Builds, and builds again when something that a stage reads has changed:
 *
 *   building --(done)--> waiting --(change, quiet for a moment)--> building
 *   building --(change)--> the build is stopped; what it finished is kept
 *
 * quant.yaml is read anew each time; while it is wrong its errors are shown and the watch goes on. What builds write lies in the
 * output and state folders, which are not watched.
 */
import { EventEmitter, once } from 'node:events'
import { join, resolve } from 'node:path'
import chokidar, { type FSWatcher } from 'chokidar'
import type { Config } from '../config/config.js'
import { build } from '../engine/build.js'
import { errorRecord, QuantError } from '../errors.js'
import { useColor } from '../show/color.js'
import { formatError } from '../show/error.js'
import { chooseReporter } from '../show/index.js'
import { findFile, openProject, type ProjectOptions } from './project.js'
import { summarize } from './summary.js'

/** Editors write a file in several steps, copies of folders come in bursts. */
const quietMs = 150

export async function watchCommand(options: ProjectOptions & { json?: boolean }): Promise<number> {
  const file = findFile(options)
  const watcher = chokidar.watch(file, { ignoreInitial: true })
  let stop = new AbortController()
  const changes = new EventEmitter()
  let dirty = false
  let ended = false
  let timer: NodeJS.Timeout | undefined
  const wake = (): void => {
    dirty = true
    stop.abort()
    changes.emit('change')
  }
  watcher.on('all', () => {
    clearTimeout(timer)
    timer = setTimeout(wake, quietMs)
  })
  const end = (): void => {
    ended = true
    wake()
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  while (!ended) {
    stop = new AbortController()
    dirty = false
    await round(options, watcher, stop)
    if (dirty) continue
    if (!options.json) process.stdout.write('\nwatching; Ctrl-C ends\n')
    await once(changes, 'change')
  }
  await watcher.close()
  return 0
}

async function round(
  options: ProjectOptions & { json?: boolean },
  watcher: FSWatcher,
  stop: AbortController,
): Promise<void> {
  try {
    const { config, project, pool } = openProject(options)
    watcher.add(watchedPaths(config).map((path) => resolve(project.root, path)))
    stop.signal.addEventListener('abort', () => pool.close())
    const reporter = await chooseReporter({ json: options.json === true, stream: process.stdout, env: process.env })
    try {
      const { failed, blocked } = await build(project, { parallel: pool.size + 1, signal: stop.signal, emit: reporter })
      reporter.stop()
      if (!options.json && failed.length + blocked.length === 0 && project.stages.some(({ name }) => name === 'verify'))
        process.stdout.write(summarize(project))
    } finally {
      reporter.stop()
      pool.close()
    }
  } catch (error) {
    if (error instanceof QuantError && error.code === 'interrupted') return
    if (options.json) process.stdout.write(`${JSON.stringify({ type: 'error', error: errorRecord(error) })}\n`)
    else process.stderr.write(`${formatError(error, { color: useColor(process.stderr, process.env) })}\n`)
  }
}

/** Everything that quant.yaml names: files, and folders in which files may come and go. */
function watchedPaths({ model, calibration, variants, verify }: Config): string[] {
  const paths = [
    model.source.kind === 'file' ? model.source.path : undefined,
    calibration?.dataset,
    calibration?.table,
    ...variants.map(({ mix }) => (mix?.kind === 'table' ? mix.table : undefined)),
    ...verify.images,
    verify.validation?.images,
    verify.validation?.labels,
    verify.detector?.classes.kind === 'file' ? verify.detector.classes.path : undefined,
  ]
  return paths.filter((path) => path !== undefined).map((path) => join(path))
}
