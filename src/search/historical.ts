/**
 * The vendor's rule of before February 2023, for comparison with what it published: it ranks the layers whose float form makes the loss
 * WORST first, and keeps those that make it worse by 5 % and more, a quarter of all layers at most. A bug of its own, mended later.
 */
import { type LayerLoss, rankLosses } from './losstable.js'

/** @param int8Loss -dB @returns layers, as its quantize table would list them; none where its tool gives up */
export function historicalChoice(losses: readonly LayerLoss[], int8Loss: number): string[] {
  const ranked = rankLosses(losses, 'historical')
  const end = ranked.findIndex(({ loss }) => loss / int8Loss > 0.95)
  return ranked.slice(0, Math.min(Math.max(0, end), Math.floor(ranked.length / 4))).map(({ layer }) => layer)
}
