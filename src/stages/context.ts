/** What every stage maker needs to know: names and places, decided once here. */
import { resolve } from 'node:path'
import type { Config, Variant } from '../config/config.js'
import type { Json } from '../engine/reason.js'
import type { Place } from '../errors.js'
import type { Pool } from '../runtime/pool.js'
import type { jobs } from './jobs/index.js'

export interface Recipe {
  readonly config: Config
  /** Folder of quant.yaml; paths in the config are relative to it. */
  readonly root: string
  /** Where a setting stands in quant.yaml. */
  readonly places: (path: readonly (string | number)[]) => Place
  readonly pool: Pool<typeof jobs>
  readonly artifacts: Artifacts
  /** Takes down a file or folder (absolute) that was looked at to find out which stages there are. */
  readonly look: (path: string) => void
}

/** What decides which graph is read: to be told by whoever reads it, not as a file that is gone. Only where it is set. */
export const graphParams = ({ config }: Recipe): Record<string, Json> =>
  config.calibration?.equalize ? { 'calibration.equalize': true } : {}

/** Files in the output folder. NAME is `model.name`. */
export interface Artifacts {
  /** A downloaded model. */
  readonly model: string
  /** What import makes. */
  readonly imported: { readonly mlir: string; readonly weights: string }
  /** What everything behind it reads: the same, or the equalised graph. */
  readonly mlir: string
  readonly weights: string
  readonly table: string
  /** How the table came about, and which pictures weigh in it. */
  readonly calibration: string
  readonly equalization: string
  readonly verify: string
  readonly variant: (variant: Variant) => VariantArtifacts
  readonly detections: (variant: string) => string
  readonly drawing: (variant: string, picture: string) => string
}

export interface VariantArtifacts {
  readonly mlir: string
  readonly weights: string
  readonly bmodel: string
  readonly estimate: string
  readonly lossTable: string
  readonly qtable: string
  readonly selection: string
}

/** The float model is a variant of its own in verification; its pictures go to the folder that the vendor's flow calls so. */
export const floatVariant = 'float'

export function artifactsOf(config: Config): Artifacts {
  const { name } = config.model
  // One searched variant: the vendor's names. Several: the variant's name in between.
  const searched = config.variants.filter(({ mix }) => mix?.kind === 'search').length
  const imported = { mlir: `${name}.mlir`, weights: `${name}_top_f32_all_weight.npz` }
  return {
    model: `${name}.onnx`,
    imported,
    ...(config.calibration?.equalize
      ? { mlir: `${name}_equalized.mlir`, weights: `${name}_equalized_top_f32_all_weight.npz` }
      : imported),
    table: `${name}_cali_table`,
    calibration: `${name}_calibration.json`,
    equalization: `${name}_equalization.json`,
    verify: 'verify.json',
    variant(variant) {
      const prefix = `${name}_${variant.name}`
      const search = searched > 1 ? prefix : name
      return {
        mlir: `${prefix}_tpu.mlir`,
        weights: `${prefix}_tpu_weight.npz`,
        bmodel: `${prefix}.bmodel`,
        estimate: `${prefix}_estimate.json`,
        lossTable: `${search}_full_loss_table.txt`,
        qtable: `${search}_qtable`,
        selection: `${search}_selection.json`,
      }
    },
    detections: (variant) => `${folder(variant)}/detections.json`,
    drawing: (variant, picture) => `${folder(variant)}/${picture}.jpg`,
  }
}

const folder = (variant: string): string => `detect/${variant === floatVariant ? 'onnx' : variant}`

export const inRoot = ({ root }: Recipe, path: string): string => resolve(root, path)
