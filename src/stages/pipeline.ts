/**
 * Config -> the stages of a build, in topological order:
 *
 *   (fetch) -> import -> (equalize) -> calibrate -> compile:VARIANT ------------------------> detect:VARIANT -> verify -> require
 *                          \-> losses:VARIANT -> select:VARIANT -> compile:VARIANT /
 *
 * Everything in quant.yaml that the disk can contradict is found here, before any work starts.
 */
import { resolve } from 'node:path'
import type { Config } from '../config/config.js'
import * as disk from '../disk.js'
import { type Project, type Stage, stateFolder } from '../engine/stage.js'
import { type Place, QuantError } from '../errors.js'
import type { Pool } from '../runtime/pool.js'
import { calibrateStage } from './calibrate.js'
import { compileStage } from './compile.js'
import { artifactsOf, type Recipe } from './context.js'
import { detectStage, verifyPictures } from './detect.js'
import { equalizeStage } from './equalize.js'
import { fetchStage } from './fetch.js'
import { checkModelFile, importStage } from './import.js'
import type { jobs } from './jobs/index.js'
import { lossesStage } from './losses.js'
import { type Search, selectStage } from './search.js'
import { storePlaces } from './store.js'
import { gateStage, verifyStage } from './verify.js'

export interface PipelineInput {
  readonly config: Config
  /** quant.yaml itself, absolute. */
  readonly file: string
  /** Folder of quant.yaml, absolute. */
  readonly root: string
  readonly places: (path: readonly (string | number)[]) => Place
  readonly pool: Pool<typeof jobs>
  /** QUANT_STORE, QUANT_REMOTE and QUANT_REMOTE_TOKEN stand above quant.yaml. Default: none set. */
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** @throws QuantError 'config' with a place in quant.yaml. */
export function pipeline(input: PipelineInput): Project {
  const { config, root } = input
  const description = new Set([input.file])
  const recipe: Recipe = { ...input, artifacts: artifactsOf(config), look: (path) => description.add(path) }
  checkModelFile(recipe)
  checkTables(recipe)
  const stages: (Stage | undefined)[] = [fetchStage(recipe), importStage(recipe)]
  const { calibration } = config
  if (calibration?.dataset !== undefined && calibration.table === undefined) {
    const given = { ...calibration, dataset: calibration.dataset }
    if (calibration.equalize) stages.push(equalizeStage(recipe, given))
    stages.push(calibrateStage(recipe, given))
  }
  for (const variant of config.variants) {
    if (variant.mix?.kind === 'search') {
      const search: Search = variant.mix
      stages.push(lossesStage(recipe, variant, search), selectStage(recipe, variant, search))
    }
    stages.push(compileStage(recipe, variant))
  }
  if (verifyPictures(recipe).all.length > 0) {
    stages.push(detectStage(recipe, undefined))
    for (const variant of config.variants) stages.push(detectStage(recipe, variant))
    stages.push(verifyStage(recipe))
    if (config.verify.require.length > 0) stages.push(gateStage(recipe))
  }
  return {
    root,
    output: resolve(root, config.output),
    state: stateFolder(root),
    ...storePlaces(config.store, root, input.env ?? {}),
    stages: stages.filter((stage) => stage !== undefined),
    description: [...description],
  }
}

/** Tables that the user gives instead of having them made. */
function checkTables({ config, root, places }: Recipe): void {
  const given: [string | undefined, (string | number)[]][] = [
    [config.calibration?.table, ['calibration', 'table']],
    ...config.variants.map(({ name, mix }): [string | undefined, (string | number)[]] => [
      mix?.kind === 'table' ? mix.table : undefined,
      ['variants', name, 'mix', 'table'],
    ]),
  ]
  for (const [file, at] of given)
    if (file !== undefined && !disk.exists(resolve(root, file)))
      throw new QuantError('config', `the table ${file} does not exist`, {
        place: places(at),
        hint: 'paths are relative to quant.yaml',
      })
}
