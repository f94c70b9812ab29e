/** From the command line to a project: finds quant.yaml, reads it, opens the workers. */
import { availableParallelism } from 'node:os'
import { dirname, relative } from 'node:path'
import type { Config } from '../config/config.js'
import { parseConfig } from '../config/load.js'
import * as disk from '../disk.js'
import type { Project, Stage } from '../engine/stage.js'
import { type Place, QuantError } from '../errors.js'
import { suggest } from '../nearest.js'
import { openPool, type Pool } from '../runtime/pool.js'
import type { jobs } from '../stages/jobs/index.js'
import { pipeline } from '../stages/pipeline.js'
import { findFile } from './find.js'

export interface ProjectOptions {
  readonly directory?: string
  readonly file?: string
  readonly jobs?: string
}

export interface OpenedProject {
  readonly config: Config
  readonly project: Project
  readonly pool: Pool<typeof jobs>
  /** Where a setting stands in quant.yaml, by its name in reasons. */
  readonly placeOfSetting: (at: string) => Place
}

/** @param pool workers that are there already, and stay the caller's */
export function openProject(options: ProjectOptions, pool = openWorkers(options)): OpenedProject {
  const description = readDescription(options)
  return {
    config: description.config,
    placeOfSetting: description.placeOfSetting,
    pool,
    project: pipeline({ ...description, file: findFile(options), pool, env: process.env }),
  }
}

/** What quant.yaml says; paths in it are relative to `root`. */
export function readDescription(options: ProjectOptions): ReturnType<typeof parseConfig> & { readonly root: string } {
  const file = findFile(options)
  const shown = relative(process.cwd(), file) || file
  return { ...parseConfig(disk.readText(file), shown), root: dirname(file) }
}

/** No process is started before there is work for it. */
export const openWorkers = (options: ProjectOptions): Pool<typeof jobs> =>
  openPool<typeof jobs>(workerEntry(), workersOf(options))

function workersOf({ jobs }: ProjectOptions): number {
  if (jobs === undefined) return Math.min(8, availableParallelism())
  if (!/^[1-9]\d{0,2}$/.test(jobs)) throw new QuantError('usage', `--jobs ${jobs}: a whole number from 1 on`)
  return Number(jobs)
}

/** The worker beside this file: .ts from the sources, .js when built. */
const workerEntry = (): URL =>
  new URL(`../stages/worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/** Variants and stages by name. @throws QuantError 'usage' for a name that is neither. */
export function findTargets(project: Project, targets: readonly string[]): Stage[] {
  const { stages } = project
  return targets.flatMap((target) => {
    const found = stages.filter(({ name, variant }) => name === target || variant === target)
    if (found.length > 0) return found
    const known = [
      ...new Set(stages.flatMap(({ name, variant }) => (variant === undefined ? [name] : [variant, name]))),
    ]
    throw new QuantError('usage', `there is no variant or stage \`${target}\``, { hint: suggest(target, known) })
  })
}
