/** Where the numbers of predicted boxes lie: all forms of outputs are brought to this one. */

/** Number (anchor, cell, field) is data[from + anchor * byAnchor + cell * byCell + field * byField]. */
export interface Numbers {
  readonly data: Float32Array
  readonly from: number
  readonly byAnchor: number
  readonly byCell: number
  readonly byField: number
  readonly fields: number
}

/** What one grid of cells predicts. Cells go row by row. */
export interface Grid {
  readonly rows: number
  readonly columns: number
  /** Boxes per cell. */
  readonly anchors: number
  /** Pixels of the network's input per cell. */
  readonly strideX: number
  readonly strideY: number
  readonly box: Numbers
  readonly object: Numbers | undefined
  readonly classes: Numbers
  readonly form: Form
}

/** How the outputs hold it: `together`, a channel per number of a box; `apart`, an output per part; `rows`, a row per box for all grids. */
export type Form = 'together' | 'apart' | 'rows'

/** The numbers from field `first` on. */
export const fieldsFrom = (numbers: Numbers, first: number, fields: number): Numbers => ({
  ...numbers,
  from: numbers.from + first * numbers.byField,
  fields,
})
