import { resolve } from 'node:path'
import type { Variant } from '../config/config.js'
import type { Stage } from '../engine/stage.js'
import { graphFiles } from './calibrate.js'
import { graphParams, type Recipe } from './context.js'

/** Raise it when the compiled model changes; prices of a search do with it. */
export const compileIdentity = 'compile 8'

/** The table that lowering reads: our own, or one that the user gives. */
export function tableOf({ config, artifacts }: Recipe): {
  readonly file?: string
  readonly need?: string
  readonly name: string
} {
  const given = config.calibration?.table
  return given === undefined ? { need: artifacts.table, name: artifacts.table } : { file: given, name: given }
}

const modelFile = ({ config, root, artifacts }: Recipe): string =>
  config.model.source.kind === 'file'
    ? resolve(root, config.model.source.path)
    : resolve(root, config.output, artifacts.model)

/** Graph, thresholds and precisions -> the quantized graph of a variant, and its .bmodel. */
export function compileStage(recipe: Recipe, variant: Variant): Stage {
  const { pool, artifacts } = recipe
  const files = artifacts.variant(variant)
  const table = variant.quantize === 'INT8' ? tableOf(recipe) : undefined
  const qtable = variant.mix === undefined ? undefined : variant.mix.kind === 'table' ? variant.mix.table : files.qtable
  const given = [table?.file, variant.mix?.kind === 'table' ? qtable : undefined]
  const made = [table?.need, variant.mix?.kind === 'search' ? qtable : undefined]
  return {
    name: `compile:${variant.name}`,
    title: `${variant.name}.bmodel`,
    variant: variant.name,
    params: {
      ...graphParams(recipe),
      [`variants.${variant.name}.quantize`]: variant.quantize,
      ...(table?.file === undefined ? {} : { 'calibration.table': table.file }),
      ...(variant.mix?.kind === 'table' ? { [`variants.${variant.name}.mix.table`]: variant.mix.table } : {}),
      [`variants.${variant.name}.quant_input`]: variant.quantInput,
      [`variants.${variant.name}.quant_output`]: variant.quantOutput,
    },
    identity: compileIdentity,
    files: given.filter((file) => file !== undefined),
    needs: [artifacts.mlir, artifacts.weights, ...made.filter((file) => file !== undefined)],
    outputs: [files.mlir, files.weights, files.bmodel, files.estimate],
    async run(context) {
      const { floatLayers, microseconds, warnings } = await pool.run('compileVariant', {
        graph: graphFiles(recipe, context),
        table: table && context.path(table.name),
        quantize: variant.quantize,
        qtable: qtable === undefined ? undefined : context.path(qtable),
        model: modelFile(recipe),
        mlir: context.target(files.mlir),
        weights: context.target(files.weights),
        weightFile: files.weights,
        quantInput: variant.quantInput,
        quantOutput: variant.quantOutput,
        bmodel: context.target(files.bmodel),
        estimate: context.target(files.estimate),
      })
      for (const warning of warnings) context.warn(warning)
      const what = variant.mix ? `${floatLayers} layers float` : variant.quantize
      return { note: `${what}, ${(microseconds / 1000).toFixed(3)} ms estimated` }
    },
  }
}
