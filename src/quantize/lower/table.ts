import type { QWeight } from '../qgraph.js'
import { clamp, type IntType, intRange, roundHalfAway } from '../rounding.js'

const functions = {
  Sigmoid: (x: number): number => 1 / (1 + Math.exp(-x)),
  SiLU: (x: number): number => x / (1 + Math.exp(-x)),
} as const

/** table[x & 255] = clamp(round(f(x * input scale) / output scale)) for every stored x; f in double. */
export function lookupTable(type: keyof typeof functions, input: IntType, output: IntType): QWeight {
  const [first] = intRange(input.kind)
  const [low, high] = intRange(output.kind)
  const data = output.kind === 'i8' ? new Int8Array(256) : new Uint8Array(256)
  for (let x = first; x < first + 256; x++)
    data[x & 255] = clamp(roundHalfAway(functions[type](x * input.scale) / output.scale), low, high)
  return { shape: [1, 1, 1, 256], data, kind: output.kind }
}
