import type { TensorStatistics } from './statistics.js'

/** Nothing is clipped. */
export const maxThreshold = (stats: TensorStatistics): number => stats.absMax
