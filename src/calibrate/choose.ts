/** From statistics to thresholds, by the method that the user names. */
import { QuantError, unreachable } from '../errors.js'
import { klThreshold } from './kl.js'
import { maxThreshold } from './max.js'
import { mseThreshold } from './mse.js'
import { percentileThreshold } from './percentile.js'
import type { TensorStatistics } from './statistics.js'
import type { Threshold, Thresholds } from './threshold.js'

export const METHODS = ['kl', 'max', 'percentile', 'mse'] as const
export type Method = (typeof METHODS)[number]
/** `best`: of all methods, tensor by tensor, see `best.ts`. */
export type TableMethod = Method | 'best'

export interface MethodOptions {
  readonly method: Method
  /** Of `percentile` only, in percent; 99.99 when absent. */
  readonly percentile?: number
}

/** The symmetric clip of a tensor that has finite values other than zero. */
export function chooseThreshold(stats: TensorStatistics, { method, percentile = 99.99 }: MethodOptions): number {
  switch (method) {
    case 'kl':
      return klThreshold(stats)
    case 'max':
      return maxThreshold(stats)
    case 'percentile':
      return percentileThreshold(stats, percentile)
    case 'mse':
      return mseThreshold(stats)
    default:
      return unreachable(method)
  }
}

/** What the vendor writes for a tensor that is zero in every picture; there is no scale for [0, 0]. */
const ALL_ZERO: Threshold = { threshold: 1e-5, min: -1e-5, max: 1e-5 }

/**
 * Thresholds in the map's order, which must be the graph's.
 * @throws QuantError 'model' for a layer without a single finite value.
 */
export function thresholdsOf(layers: ReadonlyMap<string, TensorStatistics>, options: MethodOptions): Thresholds {
  const thresholds = new Map<string, Threshold>()
  for (const [name, stats] of layers) {
    if (stats.nan + stats.infinite === stats.count)
      throw new QuantError('model', `layer ${JSON.stringify(name)} has no finite value in any calibration picture`, {
        hint: 'check the weights of the model and the mean and scale of preprocess',
      })
    const { min, max, absMax } = stats
    thresholds.set(name, absMax === 0 ? ALL_ZERO : { threshold: chooseThreshold(stats, options), min, max })
  }
  return thresholds
}
