import { printable } from '../../show/color.js'
import { table } from '../../show/table.js'

/** What is told of a file: for programs and for people. */
export interface Described {
  readonly facts: { readonly kind: string } & Readonly<Record<string, unknown>>
  /** Lines; no newline at the end. */
  readonly text: string
}

/** A table with a blank line above. Names from files may hold anything: control characters are kept from the terminal. */
export const block = (head: readonly string[], rows: readonly (readonly string[])[], align = ''): string =>
  `\n${table([head, ...rows.map((row) => row.map(printable))], { align })}`

export const shapeText = (shape: readonly (number | undefined)[]): string =>
  shape.length === 0 ? 'scalar' : shape.map((size) => size ?? '?').join('x')

/** Four digits that count. */
export const digits = (value: number): string =>
  Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)))

/** `1 layer`, `2 layers`. */
export const count = (many: number, what: string): string => `${many} ${what}${many === 1 ? '' : 's'}`
