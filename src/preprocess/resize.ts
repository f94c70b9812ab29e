/**
 * Bilinear resize of 8-bit pictures, the same bytes as OpenCV's INTER_LINEAR: half-pixel centres, no antialiasing, fixed point.
 * What a network was trained and calibrated with goes through this filter, and others move scores by several percent.
 */

const COEFFICIENT = 2048

/** For each place of the result: which two source places, and how much of each (in 1/2048). */
interface Taps {
  readonly low: Int32Array
  readonly high: Int32Array
  readonly lowWeight: Int32Array
  readonly highWeight: Int32Array
}

/**
 * @param source height x width x channels, uint8, row by row
 * @returns newHeight x newWidth x channels; `source` itself when the size stays
 */
export function resize(
  source: Uint8Array,
  width: number,
  height: number,
  channels: number,
  newWidth: number,
  newHeight: number,
): Uint8Array {
  if (width === newWidth && height === newHeight) return source
  const xs = taps(width, newWidth, channels)
  const ys = taps(height, newHeight, 1)
  // The ends of a row are one pixel alone; the first and last row are blended with themselves, which rounds differently.
  for (let x = 0; x < newWidth; x++) {
    if (xs.low[x] !== xs.high[x]) continue
    xs.lowWeight[x] = COEFFICIENT
    xs.highWeight[x] = 0
  }

  const rowLength = newWidth * channels
  const out = new Uint8Array(rowLength * newHeight)
  let upper = new Int32Array(rowLength)
  let lower = new Int32Array(rowLength)
  let upperRow = -1
  let lowerRow = -1
  for (let y = 0; y < newHeight; y++) {
    const low = ys.low[y]!
    const high = ys.high[y]!
    if (low === lowerRow) {
      ;[upper, lower] = [lower, upper]
      ;[upperRow, lowerRow] = [lowerRow, upperRow]
    }
    if (upperRow !== low) stretchRow(source, low * width * channels, channels, xs, upper)
    if (lowerRow !== high) stretchRow(source, high * width * channels, channels, xs, lower)
    upperRow = low
    lowerRow = high
    const b0 = ys.lowWeight[y]!
    const b1 = ys.highWeight[y]!
    const at = y * rowLength
    for (let i = 0; i < rowLength; i++)
      out[at + i] = (((b0 * (upper[i]! >> 4)) >> 16) + ((b1 * (lower[i]! >> 4)) >> 16) + 2) >> 2
  }
  return out
}

/** One source row at the new width, times 2048. */
function stretchRow(source: Uint8Array, row: number, channels: number, xs: Taps, into: Int32Array): void {
  let to = 0
  for (let x = 0; x < xs.low.length; x++) {
    const low = row + xs.low[x]!
    const high = row + xs.high[x]!
    const a0 = xs.lowWeight[x]!
    const a1 = xs.highWeight[x]!
    for (let c = 0; c < channels; c++) into[to++] = source[low + c]! * a0 + source[high + c]! * a1
  }
}

/** Positions are float32 and come from a rounded double scale, as in OpenCV: other orders of operations differ at ties. */
function taps(size: number, newSize: number, step: number): Taps {
  const scale = 1 / (newSize / size)
  const low = new Int32Array(newSize)
  const high = new Int32Array(newSize)
  const lowWeight = new Int32Array(newSize)
  const highWeight = new Int32Array(newSize)
  for (let i = 0; i < newSize; i++) {
    const position = Math.fround((i + 0.5) * scale - 0.5)
    const floor = Math.floor(position)
    const fraction = Math.fround(position - floor)
    low[i] = Math.min(Math.max(floor, 0), size - 1) * step
    high[i] = Math.min(Math.max(floor + 1, 0), size - 1) * step
    lowWeight[i] = roundHalfEven(Math.fround(1 - fraction) * COEFFICIENT)
    highWeight[i] = roundHalfEven(fraction * COEFFICIENT)
  }
  return { low, high, lowWeight, highWeight }
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor
}
