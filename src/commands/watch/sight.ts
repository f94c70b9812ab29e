/**
 * What a watch sees when it looks: the project as quant.yaml describes it now, and the content of all it reads and has written. Two sights
 * that are alike need no build in between, whatever happened to the files: they were touched, or written by us.
 */
import { dirname, join, resolve } from 'node:path'
import type { Config } from '../../config/config.js'
import * as disk from '../../disk.js'
import { openFiles } from '../../engine/files.js'
import { canonical, sha256 } from '../../engine/hash.js'
import { openState } from '../../engine/state.js'
import { errorRecord } from '../../errors.js'
import type { Pool } from '../../runtime/pool.js'
import type { jobs } from '../../stages/jobs/index.js'
import { type OpenedProject, openProject, type ProjectOptions, readDescription } from '../project.js'

export interface Sight {
  /** The project, or what is wrong with its description. */
  readonly opened: OpenedProject | { readonly error: unknown }
  /** SHA-256 over stages, settings and the content of every file that they read; or the error. */
  readonly reads: string
  /** Outputs that are not as builds left them, with their digests; '' when there is none. */
  readonly damaged: string
  readonly watched: Watched
}

/** Absolute paths. */
export interface Watched {
  readonly files: readonly string[]
  /** In which files may come and go. */
  readonly folders: readonly string[]
  readonly outputs: readonly string[]
}

/** Never throws for what is wrong in the project: that is a sight, too. */
export async function look(options: ProjectOptions & { file: string }, pool: Pool<typeof jobs>): Promise<Sight> {
  try {
    const opened = openProject(options, pool)
    const { project } = opened
    const state = openState(project.state)
    const contents = openFiles(project.root, state)
    const files = [...new Set(project.stages.flatMap((stage) => stage.files))]
    const digests: Record<string, string> = {}
    for (const file of files) digests[file] = (await contents.digest(file)) ?? 'absent'
    const stages = project.stages.map(({ name, identity, params, needs, outputs }) => [
      name,
      identity,
      params,
      needs,
      outputs,
    ])
    const damaged: string[] = []
    for (const { name } of project.stages)
      for (const [output, digest] of Object.entries(state.stage(name)?.outputs ?? {})) {
        const now = (await contents.digest(join(project.output, output))) ?? 'absent'
        if (now !== digest) damaged.push(`${output} ${now}`)
      }
    const isFolder = (path: string): boolean => disk.stat(path)?.directory === true
    return {
      opened,
      reads: sha256(canonical([project.output, project.store, stages, digests])),
      damaged: damaged.join('\n'),
      watched: {
        files: [
          ...project.description.filter((path) => !isFolder(path)),
          ...files.map((file) => resolve(project.root, file)),
        ],
        folders: project.description.filter(isFolder),
        outputs: project.stages.flatMap(({ outputs }) => outputs.map((output) => join(project.output, output))),
      },
    }
  } catch (error) {
    const { stack, ...record } = errorRecord(error)
    const files = [options.file, ...namedFiles(options)]
    return {
      opened: { error },
      reads: JSON.stringify(record),
      damaged: '',
      watched: { files, folders: files.slice(1), outputs: [] },
    }
  }
}

/** What quant.yaml names, whether it is there or not: what is missing may come. None while it cannot be read at all. */
function namedFiles(options: ProjectOptions): string[] {
  try {
    return pathsIn(readDescription(options).config).map((path) => resolve(dirname(options.file ?? ''), path))
  } catch {
    return []
  }
}

function pathsIn({ model, calibration, variants, verify }: Config): string[] {
  return [
    model.source.kind === 'file' ? model.source.path : undefined,
    calibration?.dataset,
    calibration?.table,
    ...variants.map(({ mix }) => (mix?.kind === 'table' ? mix.table : undefined)),
    ...verify.images,
    verify.validation?.images,
    verify.validation?.labels,
    verify.detector?.classes.kind === 'file' ? verify.detector.classes.path : undefined,
    verify.classifier?.classes.kind === 'file' ? verify.classifier.classes.path : undefined,
  ].filter((path) => path !== undefined)
}
