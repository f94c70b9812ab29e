import { resolve } from 'node:path'
import { paint, printable, useColor } from '../show/color.js'
import type { Check } from './doctor/check.js'
import { checkFiles, checkSpace } from './doctor/folder.js'
import { checkCmodel, checkPictures, checkRuntime } from './doctor/libraries.js'
import { checkNode, checkProcessor, readCpuinfo } from './doctor/machine.js'
import { checkDescription, checkLock, checkRemote, checkStore } from './doctor/project.js'
import type { ProjectOptions } from './project.js'

/** Whether quant can work here: a line per check, with what to do. Exit code 1 when one fails. */
export async function doctorCommand(options: ProjectOptions & { json?: boolean }): Promise<number> {
  const { checks, project } = checkDescription(options)
  const folder = project?.root ?? resolve(options.directory ?? '.')
  const cmodel = process.env.QUANT_CMODEL
  const results = await Promise.all([
    checkNode(process.versions.node),
    checkProcessor(readCpuinfo()),
    checkRuntime(),
    checkPictures(),
    ...(cmodel ? [checkCmodel(cmodel)] : []),
    checkSpace(folder),
    checkFiles(folder),
    ...checks,
    ...(project ? [checkLock(project), checkStore(project)] : []),
    ...(project?.remote ? [checkRemote(project.remote)] : []),
  ])
  process.stdout.write(options.json ? results.map((one) => `${JSON.stringify(one)}\n`).join('') : told(results))
  return results.some(({ is }) => is === 'fail') ? 1 : 0
}

function told(results: readonly Check[]): string {
  const colors = paint(useColor(process.stdout, process.env))
  const marks = { ok: colors.green('ok  '), warn: colors.yellow('warn'), fail: colors.red('fail') }
  const width = Math.max(...results.map(({ name }) => name.length))
  const lines = results.flatMap(({ name, is, says, hint }) => [
    `${marks[is]}  ${name.padEnd(width)}  ${printable(says)}`,
    ...(is === 'ok' || hint === undefined ? [] : [`${' '.repeat(width + 8)}${colors.dim(printable(hint))}`]),
  ])
  const count = (what: Check['is']): number => results.filter(({ is }) => is === what).length
  const rest = [
    count('fail') > 0 ? `${count('fail')} failed` : '',
    count('warn') > 0 ? `${count('warn')} to look at` : '',
  ]
  return `${[...lines, rest.filter((part) => part !== '').join(', ') || 'all is well'].join('\n')}\n`
}
