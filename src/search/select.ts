import { type LayerLoss, rankLosses } from './losstable.js'

/**
 * How much better the network is with one layer in float, relative to all INT8. Losses are -SQNR in dB:
 * (int8Loss - loss) / |int8Loss|; 0.05 says that the dB figure grew by 5 %. Negative where float makes it worse.
 */
export function improvement(int8Loss: number, loss: number): number {
  if (loss === int8Loss || Number.isNaN(loss)) return 0
  if (!Number.isFinite(int8Loss) || int8Loss === 0) return loss < int8Loss ? Infinity : -Infinity
  return (int8Loss - loss) / Math.abs(int8Loss)
}

/**
 * The layers that pay alone: those that improve on all INT8 by at least `minImprovement`, and by more than nothing; best first,
 * at most `maxLayers`. Between equals the one that comes first in `losses` (graph order) wins. Whether they pay together
 * is for the caller to measure.
 */
export function selectLayers(search: {
  readonly int8Loss: number
  readonly losses: readonly LayerLoss[]
  /** A fraction, not percent. */
  readonly minImprovement: number
  readonly maxLayers?: number | undefined
}): string[] {
  const { int8Loss, losses, minImprovement, maxLayers } = search
  return rankLosses(losses)
    .filter(({ loss }) => {
      const gain = improvement(int8Loss, loss)
      return gain > 0 && gain >= minImprovement
    })
    .slice(0, maxLayers)
    .map(({ layer }) => layer)
}
