import { dirname } from 'node:path'
import * as disk from '../disk.js'
import { build } from '../engine/build.js'
import { lockPathOf } from '../engine/lockfile.js'
import { circumstances } from '../engine/snapshot.js'
import type { Project } from '../engine/stage.js'
import { QuantError } from '../errors.js'
import { chooseReporter, type Reporter, type ReporterName } from '../show/index.js'
import { findFile } from './find.js'
import { findTargets, openProject, type ProjectOptions } from './project.js'
import { summarize } from './summary.js'

interface BuildOptions extends ProjectOptions {
  readonly json?: boolean
  readonly trace?: boolean
  readonly reporter?: ReporterName
  readonly frozen?: boolean
  readonly twice?: boolean
  /** false: fail where another build is running. */
  readonly wait?: boolean
  readonly requireRemote?: boolean
}

export async function buildCommand(targets: readonly string[], options: BuildOptions): Promise<number> {
  const reporter = await chooseReporter({
    json: options.json === true,
    wanted: options.reporter,
    stream: process.stdout,
    env: process.env,
    folders: [process.cwd(), dirname(findFile(options))],
  })
  try {
    return await bringUpToDate(targets, options, reporter)
  } catch (error) {
    reporter.stop()
    reporter.fail?.(error)
    throw error
  }
}

async function bringUpToDate(targets: readonly string[], options: BuildOptions, reporter: Reporter): Promise<number> {
  const since = disk.now()
  const { project, pool } = openProject(options)
  const wanted = targets.length === 0 ? undefined : findTargets(project, targets)
  const lockPath = lockPathOf(findFile(options))
  const known = circumstances(findFile(options), process.env)
  let text: string | undefined
  const figures = (): string => (text ??= summarize(project))
  const stop = new AbortController()
  const interrupt = (): void => {
    stop.abort()
    pool.close()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    const result = await build(project, {
      parallel: pool.size + 1,
      signal: stop.signal,
      emit: reporter,
      requireRemote: options.requireRemote === true,
      onWait: options.wait === false ? refuse : tellWaiting,
      lockFile: { path: lockPath, frozen: options.frozen === true },
      twice: options.twice === true,
      ...(wanted ? { wanted } : {}),
      // What a build says that was asked for more than to bring all up to date is not what the next one would say.
      ...(known && !options.frozen && !options.twice
        ? {
            ending: {
              circumstances: known,
              since,
              also: [lockPath],
              epilogue: () => (hasFigures(project) ? figures() : ''),
            },
          }
        : {}),
    })
    reporter.stop()
    if (options.trace) for (const { error } of result.failed) process.stderr.write(`${error.stack}\n`)
    if (!options.json && judged(project, result)) {
      process.stdout.write(figures())
      reporter.figures?.(figures())
    }
    if (result.drift) throw result.drift
    return result.failed.length === 0 ? 0 : 1
  } catch (error) {
    throw stop.signal.aborted
      ? new QuantError('interrupted', 'interrupted', {
          hint: 'what was finished is kept; `quant build` goes on from there',
        })
      : error
  } finally {
    pool.close()
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

function tellWaiting(pid: number): void {
  process.stderr.write(`waiting for another build here (process ${pid}); Ctrl-C to give up\n`)
}

function refuse(pid: number, since: Date): never {
  throw new QuantError(
    'busy',
    `another build is running here (process ${pid}, since ${since.toTimeString().slice(0, 8)})`,
    {
      hint: 'without --no-wait this one waits for it',
    },
  )
}

/** Whether this build came as far as the figures. */
const judged = (
  project: Project,
  { ran, fresh, restored }: { ran: readonly string[]; fresh: readonly string[]; restored: readonly string[] },
): boolean => hasFigures(project) && [...ran, ...fresh, ...restored].includes('verify')

const hasFigures = (project: Project): boolean => project.stages.some(({ name }) => name === 'verify')
