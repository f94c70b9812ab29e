/** What the checks of commands are made of. */
import { laneBytes, lanes, vectorBytes } from '../chip.js'
import { alignedStrides, compactStrides, reach, type Shape4, type Strides } from '../layout.js'
import type { Values } from './fields.js'
import { type Prec, prec, precBytes } from './forms.js'

export const laneOf = (address: number): number => Math.floor(address / laneBytes)
export const offsetOf = (address: number): number => address % laneBytes

/** An operand in local memory: where it begins, and the bytes it spans in each of its lanes. */
export interface Operand {
  readonly name: string
  readonly address: number
  readonly bytes: number
}

export interface Findings {
  readonly list: readonly string[]
  /** A field; 0 where it is not given. */
  field(name: string): number
  /** A function where building the message costs more than the check. */
  need(ok: boolean, message: string | (() => string)): void
  /** Every field is within 1..most. */
  atLeastOne(names: readonly string[], most?: number): void
  /** The type in a field, which must be one of those. */
  type<P extends Prec>(name: string, allowed: readonly P[]): P
  /** An operand that is there: at a multiple of `align` and within its lane. */
  place(name: string, align: number, bytes: number): Operand
  /** In the aligned layout. */
  aligned(name: string, shape: Shape4, type: Prec): Operand
  /** One value for each channel, side by side. */
  perChannel(name: string, channels: number, elementBytes: number): Operand
  /** In the layout given. */
  strided(name: string, shape: Shape4, type: Prec, strides: Strides): Operand
  sameLane(operands: readonly (Operand | undefined)[]): void
  /** The result is written while the others are still read. */
  apart(result: Operand, others: readonly (Operand | undefined)[]): void
}

const typeNames = Object.keys(prec) as Prec[]

export function findings(form: string, fields: Values): Findings {
  const list: string[] = []
  const field = (name: string): number => fields[name] ?? 0
  const need = (ok: boolean, message: string | (() => string)): void => {
    if (!ok) list.push(`${form}: ${typeof message === 'string' ? message : message()}`)
  }
  const at = (name: string): string => `${name} 0x${field(name).toString(16)}`

  function place(name: string, align: number, bytes: number): Operand {
    const address = field(name)
    need(address < lanes * laneBytes, () => `${at(name)} is outside local memory`)
    need(address % align === 0, () => `${at(name)} is not a multiple of ${align}`)
    need(offsetOf(address) + bytes <= laneBytes, () => `${at(name)} with ${bytes} bytes goes beyond its lane`)
    return { name, address, bytes }
  }

  return {
    list,
    field,
    need,
    atLeastOne(names, most = 65535) {
      for (const name of names)
        need(field(name) >= 1 && field(name) <= most, () => `${name} = ${field(name)}, not 1..${most}`)
    },
    type<P extends Prec>(name: string, allowed: readonly P[]): P {
      const found = typeNames.find((one) => prec[one] === field(name))
      const fits = allowed.find((one) => one === found)
      need(fits !== undefined, () => `${name} is ${found ?? field(name)}, not one of ${allowed.join(', ')}`)
      return fits ?? allowed[0]!
    },
    place,
    aligned: (name, shape, type) => {
      const lane = laneOf(field(name))
      return place(name, vectorBytes, reach(shape, alignedStrides(shape, type, lane), precBytes[type], lane))
    },
    perChannel: (name, channels, elementBytes) => {
      const lane = laneOf(field(name))
      const shape: Shape4 = [1, channels, 1, 1]
      return place(name, elementBytes, reach(shape, compactStrides(shape, lane), elementBytes, lane))
    },
    strided: (name, shape, type, strides) =>
      place(name, precBytes[type], reach(shape, strides, precBytes[type], laneOf(field(name)))),
    sameLane(operands) {
      const there = operands.filter((one) => one !== undefined)
      const first = there[0]
      for (const one of there)
        need(
          laneOf(one.address) === laneOf(first!.address),
          () => `${at(one.name)} and ${at(first!.name)} start in different lanes`,
        )
    },
    apart(result, others) {
      for (const one of others) {
        if (!one || laneOf(one.address) !== laneOf(result.address)) continue
        const [a, b] = [offsetOf(result.address), offsetOf(one.address)]
        need(a + result.bytes <= b || b + one.bytes <= a, () => `${at(result.name)} lies over ${at(one.name)}`)
      }
    },
  }
}
