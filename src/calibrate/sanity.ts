/** What a person should hear about a layer before they trust its threshold. */
import type { Warning } from '../events.js'
import { nonZeros, type TensorStatistics } from './statistics.js'

/** More clipped elements than this, of all finite ones, are worth a warning. */
const MAX_SATURATED = 0.01

/** @param threshold the layer's symmetric clip. Warnings in a fixed order, none for a healthy layer. */
export function inspectStatistics(name: string, stats: TensorStatistics, threshold: number): Warning[] {
  const warnings: Warning[] = []
  const warn = (message: string): void => void warnings.push({ about: name, message })
  const finite = stats.count - stats.nan - stats.infinite

  if (stats.nan > 0) warn(`${stats.nan} of ${stats.count} elements are NaN`)
  if (stats.infinite > 0) warn(`${stats.infinite} of ${stats.count} elements are infinite`)
  if (!Number.isFinite(threshold)) warn(`the threshold is ${threshold}`)
  if (finite > 0 && stats.absMax === 0) warn('zero in every calibration picture: its threshold is arbitrary')
  else if (finite > 1 && stats.min === stats.max) warn(`always ${stats.min}: a constant`)
  const share = finite > 0 ? saturated(stats, threshold) / finite : 0
  if (share > MAX_SATURATED) {
    const percent = (100 * share).toFixed(1)
    const clip = Number(threshold.toPrecision(4))
    warn(
      `${percent} % of the elements are beyond the threshold ${clip} (largest ${Number(stats.absMax.toPrecision(4))})`,
    )
  }
  return warnings
}

/** How many elements lie beyond the clip, to within one fine bin. */
function saturated(stats: TensorStatistics, threshold: number): number {
  if (!(threshold < stats.absMax)) return 0
  let inside = 0
  const bins = Math.ceil(threshold / 2 ** stats.exponent)
  for (let k = 0; k < bins; k++) inside += stats.histogram[k]!
  return nonZeros(stats) - inside
}
