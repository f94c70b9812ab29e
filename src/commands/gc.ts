import { collect } from '../engine/gc.js'
import { takeLock } from '../engine/lock.js'
import { QuantError } from '../errors.js'
import { gcText } from '../show/gc.js'
import { openProject, type ProjectOptions } from './project.js'

export interface GcFlags {
  readonly days: string
  readonly size?: string
  readonly dryRun?: boolean
  readonly verify?: boolean
}

/** Deletes from the store what no build of the last days used and nothing needs. */
export async function gcCommand(options: ProjectOptions & GcFlags & { json?: boolean }): Promise<number> {
  const { dryRun = false, verify = false } = options
  const days = daysOf(options.days)
  const size = options.size === undefined ? undefined : bytesOf(options.size)
  const { project, pool } = openProject(options)
  pool.close()
  const wait = (pid: number): void =>
    void process.stderr.write(`waiting for a build here (process ${pid}); Ctrl-C to give up\n`)
  const lock = await takeLock(project.state, wait, new AbortController().signal)
  try {
    const folders = [project.state, project.output]
    const report = await collect(project.store, { days, size, dryRun, verify, folders })
    if (options.json) {
      for (const group of report.groups) process.stdout.write(`${JSON.stringify({ type: 'group', ...group })}\n`)
      const { damaged, projects } = report
      process.stdout.write(`${JSON.stringify({ type: 'store', path: project.store, damaged, projects, dryRun })}\n`)
    } else process.stdout.write(gcText(report, project.store, dryRun))
  } finally {
    lock.release()
  }
  return 0
}

function daysOf(text: string): number {
  if (!/^\d{1,5}(\.\d+)?$/.test(text))
    throw new QuantError('usage', `--days ${text}: a number of days, 0 for all that is not needed now`)
  return Number(text)
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

function bytesOf(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  const factor = units[unit?.toLowerCase() ?? '-']
  if (number === undefined || factor === undefined)
    throw new QuantError('usage', `--size ${text}: a size such as 500MB or 2GB`)
  return Number(number) * factor
}
