import { functionOf } from '../../ir/functions.js'
import type { FunctionOp } from '../../ir/graph.js'
import type { QWeight } from '../qgraph.js'
import { clamp, type IntType, intRange, roundHalfAway, zeroOf } from '../rounding.js'

/** table[x & 255] = clamp(round(f((x - input zero) * input scale) / output scale + output zero)) for every stored x; f in double. */
export function lookupTable(op: FunctionOp, input: IntType, output: IntType): QWeight {
  const f = functionOf(op)
  const [first] = intRange(input.kind)
  const [low, high] = intRange(output.kind)
  const [from, to] = [zeroOf(input), zeroOf(output)]
  const data = output.kind === 'i8' ? new Int8Array(256) : new Uint8Array(256)
  for (let x = first; x < first + 256; x++)
    data[x & 255] = clamp(roundHalfAway(f((x - from) * input.scale) / output.scale + to), low, high)
  return { shape: [1, 1, 1, 256], data, kind: output.kind }
}
