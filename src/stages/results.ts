/**
 * What a build made, as figures that can be compared with those of another build. Read by what lies in the folder of artifacts, so that a
 * folder that was copied or committed will do:
 *
 *   NAME.mlir                      says NAME
 *   verify.json                    the figures of every variant
 *   NAME_VARIANT.bmodel            its size
 *   NAME_VARIANT_estimate.json     what the chip will take
 *   NAME_cali_table                thresholds
 *   NAME_qtable, NAME_VARIANT_qtable, and ..._selection.json    the layers kept float, and the loss that they leave
 */
import { readCalibrationTable } from '../calibrate/table.js'
import { QuantError } from '../errors.js'
import type { Precision } from '../quantize/qgraph.js'
import { readQtable } from '../search/qtable.js'
import type { EstimateRecord } from './estimate.js'
import type { Selection } from './selection.js'
import type { Figures, Verification } from './verification.js'

/** Artifacts, wherever they lie. Paths are relative to the output folder, with '/'. */
export interface Artifacts {
  readonly list: readonly string[]
  read(path: string): Uint8Array | undefined
  /** Bytes. */
  size(path: string): number | undefined
}

export interface Results {
  /** `model.name`. */
  readonly model: string
  /** `float` first; only what was found of each. */
  readonly variants: Readonly<Record<string, VariantResults>>
  /** Layer -> threshold; undefined without a calibration table. */
  readonly thresholds: Readonly<Record<string, number>> | undefined
  /** Variant ('' where the files do not name it, as with a single search) -> what was chosen for it. */
  readonly chosen: Readonly<Record<string, Chosen>>
}

export interface VariantResults {
  readonly figures: Figures | undefined
  /** Estimated time on the chip for one inference. */
  readonly microseconds: number | undefined
  /** Of the .bmodel. */
  readonly bytes: number | undefined
}

export interface Chosen {
  /** Layer -> what it is computed in. */
  readonly layers: Readonly<Record<string, Precision>>
  /** With these layers in float, as the search measured it (null: nothing differs); undefined where the table was not made by a search. */
  readonly loss: number | null | undefined
}

/** @returns undefined when nothing of a build lies there. @throws QuantError 'input' for a file that is damaged. */
export function readResults({ list, read, size }: Artifacts): Results | undefined {
  const graph = list.find((path) => /^[^/]+\.mlir$/.test(path) && !path.endsWith('_tpu.mlir'))
  const verification = json<Verification>('verify.json')
  const model = graph?.slice(0, -'.mlir'.length) ?? verification?.model
  if (model === undefined) return undefined
  const names = new Set([
    ...Object.keys(verification?.variants ?? {}),
    ...between(`${model}_`, '.bmodel'),
    ...between(`${model}_`, '_estimate.json'),
  ])
  const table = text(`${model}_cali_table`)
  return {
    model,
    variants: Object.fromEntries(
      [...names].map((name) => [
        name,
        {
          figures: verification?.variants[name],
          microseconds: json<EstimateRecord>(`${model}_${name}_estimate.json`)?.microseconds,
          bytes: list.includes(`${model}_${name}.bmodel`) ? size(`${model}_${name}.bmodel`) : undefined,
        },
      ]),
    ),
    thresholds:
      table === undefined
        ? undefined
        : Object.fromEntries(
            [...readCalibrationTable(table, `${model}_cali_table`).thresholds].map(([name, { threshold }]) => [
              name,
              threshold,
            ]),
          ),
    chosen: Object.fromEntries(
      [...(list.includes(`${model}_qtable`) ? [''] : []), ...between(`${model}_`, '_qtable')].map((variant) => [
        variant,
        chosenBy(variant === '' ? model : `${model}_${variant}`),
      ]),
    ),
  }

  /** What stands between the two in names of files, sorted. */
  function between(start: string, end: string): string[] {
    return list
      .filter((path) => path.startsWith(start) && path.endsWith(end) && path.length > start.length + end.length)
      .map((path) => path.slice(start.length, -end.length))
      .sort()
  }

  function chosenBy(prefix: string): Chosen {
    const { modes } = readQtable(text(`${prefix}_qtable`) ?? '', `${prefix}_qtable`)
    const selection = json<Selection>(`${prefix}_selection.json`)
    return { layers: Object.fromEntries(modes), loss: selection?.joint.loss }
  }

  function text(path: string): string | undefined {
    const bytes = list.includes(path) ? read(path) : undefined
    return bytes && new TextDecoder().decode(bytes)
  }

  function json<T>(path: string): T | undefined {
    const content = text(path)
    if (content === undefined) return undefined
    try {
      return JSON.parse(content) as T
    } catch {
      throw new QuantError('input', `${path} is no JSON`, {
        place: { file: path },
        hint: 'it was damaged or edited; `quant build` repairs it',
      })
    }
  }
}
