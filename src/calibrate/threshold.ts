/**
 * What calibration knows of one tensor. `threshold` is the symmetric clip that becomes the scale (threshold / 127 signed, / 255
 * unsigned); `min` and `max` are the observed extrema, kept untuned. The sign of `min` decides signedness: min < 0 is
 * signed, and -0 is not below 0.
 */
export interface Threshold {
  readonly threshold: number
  readonly min: number
  readonly max: number
  /** Stored with a zero point, so that only the range from max(min, -threshold) to min(max, threshold) has to be covered. */
  readonly asymmetric?: true
  /** Added to the bias of the layer, a conv, when it is computed in 8 bit: real units, one per output channel, float32 numbers. */
  readonly biasCorrection?: readonly number[]
}

/** Layer name -> threshold, in graph order. */
export type Thresholds = ReadonlyMap<string, Threshold>
