/** The tables that firmware keeps in static memory, as far as they are known. */
import { lanes, staticBase } from '../chip.js'
import { refuse } from './memory.js'
import { bf16Bits, f16Bits } from './numbers.js'

/** Known stretches: byte offset, contents. */
const tables: readonly (readonly [number, Uint8Array])[] = [
  [1024, bytesOf(new Float32Array(inverseFactorials(32)))],
  [1472, bytesOf(new Int32Array(lanes).map((_, lane) => lane))],
  [2368, bytesOf(new Uint16Array(inverseFactorials(10).map((value) => f16Bits(value))))],
  [2432, bytesOf(new Uint16Array(inverseFactorials(10).map((value) => bf16Bits(value))))],
]

/** A copy of static memory. @throws QuantError for what is not known */
export function staticMemory(address: number, count: number): Uint8Array {
  const offset = address - staticBase
  for (const [start, bytes] of tables)
    if (offset >= start && offset + count <= start + bytes.length)
      return bytes.slice(offset - start, offset - start + count)
  throw refuse(`static memory at 0x${address.toString(16)} is not modelled`)
}

function bytesOf(array: Float32Array | Int32Array | Uint16Array): Uint8Array {
  return new Uint8Array(array.buffer)
}

/** 1/0!, 1/1!, 1/2! ... the Taylor series of exp. */
function inverseFactorials(count: number): number[] {
  const series: number[] = [1]
  for (let i = 1; i < count; i++) series.push(series[i - 1]! / i)
  return series
}
