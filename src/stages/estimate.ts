/** NAME_VARIANT_estimate.json: how long the chip will take, layer by layer, by the cycle model of `bm1684x/timing`. */
import type { Estimate } from '../bm1684x/timing/simulate.js'

export interface EstimateRecord {
  /** At 1 GHz. */
  readonly cycles: number
  readonly microseconds: number
  /** Share of the peak rate of multiply-accumulates, 0..1. */
  readonly mac_utilisation: number
  readonly bound_by: Estimate['boundBy']
  /** To and from global memory. */
  readonly bytes_in: number
  readonly bytes_out: number
  /** `cycles` is a layer's part of the critical path; `tiu` and `dma` are what its commands keep the engines busy, hidden or not. */
  readonly layers: readonly LayerRecord[]
}

export interface LayerRecord {
  readonly layer: string
  readonly cycles: number
  readonly tiu: number
  readonly dma: number
  readonly macs: number
  readonly mac_utilisation: number
  readonly bytes_in: number
  readonly bytes_out: number
  readonly bound_by: Estimate['boundBy']
}

export const estimateRecord = (estimate: Estimate): EstimateRecord => ({
  cycles: estimate.cycles,
  microseconds: estimate.cycles / 1000,
  mac_utilisation: Number(estimate.macUtilisation.toFixed(4)),
  bound_by: estimate.boundBy,
  bytes_in: estimate.bytesIn,
  bytes_out: estimate.bytesOut,
  layers: estimate.layers.map(({ layer, cycles, tiu, dma, macs, macUtilisation, bytesIn, bytesOut, boundBy }) => ({
    layer,
    cycles,
    tiu,
    dma,
    macs,
    mac_utilisation: Number(macUtilisation.toFixed(4)),
    bytes_in: bytesIn,
    bytes_out: bytesOut,
    bound_by: boundBy,
  })),
})
