import { type NpyArray, readNpy, readNpz } from '../../ir/npz.js'
import { block, count, type Described, digits, shapeText } from './described.js'

/** What arrays a .npz or .npy file holds, and their ranges. */
export function describeArrays(bytes: Uint8Array, file: string): Described {
  const single = /\.npy$/i.test(file)
  const arrays = single ? new Map([['', readNpy(bytes, file)]]) : readNpz(bytes, file)
  const rows = [...arrays].map(([name, array]) => ({ name, ...statistics(array) }))
  return {
    facts: { kind: single ? 'npy' : 'npz', arrays: rows },
    text: [
      `${file}: ${count(rows.length, 'array')}`,
      block(
        ['name', 'type', 'shape', 'min', 'max', 'mean'],
        rows.map(({ name, type, shape, min, max, mean }) => [
          name,
          type,
          shapeText(shape),
          ...[min, max, mean].map((value) => (value === null ? '' : digits(value))),
        ]),
        'lllrrr',
      ),
    ].join('\n'),
  }
}

export interface ArrayStatistics {
  readonly type: string
  readonly shape: readonly number[]
  /** null of empty arrays, and where a NaN stands. */
  readonly min: number | null
  readonly max: number | null
  readonly mean: number | null
}

export function statistics({ shape, data }: NpyArray): ArrayStatistics {
  let [min, max, sum] = [Infinity, -Infinity, 0]
  for (const element of data) {
    const value = Number(element)
    min = Math.min(min, value)
    max = Math.max(max, value)
    sum += value
  }
  const type = data.constructor.name.replace('Array', '').toLowerCase()
  const known = (value: number): number | null => (data.length === 0 || Number.isNaN(value) ? null : value)
  return { type, shape, min: known(min), max: known(max), mean: known(sum / data.length) }
}
