/** Memory full of seeded numbers of a kind, and what a command changed in it. */
import { createHash } from 'node:crypto'
import { laneBytes, lanes } from '../../src/bm1684x/chip.js'
import { random } from './random.js'

/** What the memory is full of: any bits, int32 of all sizes, floats of moderate and of all sizes. */
export type Kind = 'bits' | 'i32' | 'f32' | 'f32wide' | 'f16' | 'bf16'

/** Truncates a float32 to the bits of a 16-bit float; only numbers that lie well inside its range. */
function half(value: number, kind: 'f16' | 'bf16'): number {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0]!
  if (kind === 'bf16') return bits >>> 16
  const exponent = ((bits >>> 23) & 255) - 112
  return exponent <= 0 ? 0 : ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 1023)
}

/** A stretch of numbers; its length is no multiple of a lane, so that lanes differ. */
function pattern(kind: Kind): Uint8Array {
  const next = random(kind.length * 1000 + kind.charCodeAt(1))
  const bytes = new Uint8Array(65521 * 4)
  const view = new DataView(bytes.buffer)
  const normal = () => (next() + next() + next() + next() - 2) * 2
  for (let at = 0; at < bytes.length; at += 4)
    if (kind === 'bits') view.setUint32(at, Math.floor(next() * 2 ** 32), true)
    else if (kind === 'i32') view.setInt32(at, Math.trunc((next() - 0.5) * 2 ** (1 + next() * 31)), true)
    else if (kind === 'f32') view.setFloat32(at, normal() * 3, true)
    else if (kind === 'f32wide') view.setFloat32(at, normal() * 2 ** (next() * 60 - 30), true)
    else for (const i of [0, 2]) view.setUint16(at + i, half(normal(), kind), true)
  return bytes
}

const patterns = new Map<Kind, Uint8Array>()

/** Fills a memory, and writes stretches to the same place of every lane. */
export function fill(
  memory: Uint8Array,
  kind: Kind,
  puts: readonly (readonly [offset: number, bytes: Uint8Array])[],
): void {
  const bytes = patterns.get(kind) ?? pattern(kind)
  patterns.set(kind, bytes)
  for (let at = 0; at < memory.length; at += bytes.length)
    memory.set(bytes.subarray(0, Math.min(bytes.length, memory.length - at)), at)
  for (let lane = 0; lane < lanes && memory.length >= lanes * laneBytes; lane++)
    for (const [offset, put] of puts) memory.set(put, lane * laneBytes + offset)
}

/** A short hash of all words that differ, with their places; '' where none does. */
export function changes(before: Uint8Array, after: Uint8Array): string {
  const [a, b] = [before, after].map(
    ({ buffer, byteOffset, length }) => new Uint32Array(buffer, byteOffset, length / 4),
  )
  const words: number[] = []
  for (let i = 0; i < a!.length; i++) if (a![i] !== b![i]) words.push(i, b![i]!)
  return words.length === 0 ? '' : createHash('sha256').update(new Uint32Array(words)).digest('hex').slice(0, 16)
}
