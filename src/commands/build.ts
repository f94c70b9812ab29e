import { build } from '../engine/build.js'
import type { Project } from '../engine/stage.js'
import { QuantError } from '../errors.js'
import { chooseReporter } from '../show/index.js'
import { findTargets, openProject, type ProjectOptions } from './project.js'
import { summarize } from './summary.js'

export async function buildCommand(
  targets: readonly string[],
  options: ProjectOptions & { json?: boolean; trace?: boolean },
): Promise<number> {
  const { project, pool } = openProject(options)
  const wanted = targets.length === 0 ? undefined : findTargets(project, targets)
  const stop = new AbortController()
  const interrupt = (): void => {
    stop.abort()
    pool.close()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  const reporter = await chooseReporter({ json: options.json === true, stream: process.stdout, env: process.env })
  try {
    const result = await build(project, {
      parallel: pool.size + 1,
      signal: stop.signal,
      emit: reporter,
      onWait: (pid) => process.stderr.write(`waiting for another build here (process ${pid}); Ctrl-C to give up\n`),
      ...(wanted ? { wanted } : {}),
    })
    reporter.stop()
    if (options.trace) for (const { error } of result.failed) process.stderr.write(`${error.stack}\n`)
    if (!options.json && judged(project, result)) process.stdout.write(summarize(project))
    return result.failed.length === 0 ? 0 : 1
  } catch (error) {
    reporter.stop()
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

/** Whether this build came as far as the figures. */
const judged = (
  project: Project,
  { ran, fresh, restored }: { ran: readonly string[]; fresh: readonly string[]; restored: readonly string[] },
): boolean => project.stages.some(({ name }) => name === 'verify') && [...ran, ...fresh, ...restored].includes('verify')
