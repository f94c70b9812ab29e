/** How weights of the quantized graph are typed in the text and stored in its npz: 16-bit floats as the bits of uint16. */
import { halfToNumber, type NpyArray, type NpyData } from '../../ir/npz.js'
import type { QWeight, QWeightData } from '../qgraph.js'

type Kind = QWeight['kind']

const ELEMENTS: Readonly<Record<Kind, string>> = {
  i8: 'si8',
  u8: 'ui8',
  i32: 'i32',
  f32: 'f32',
  f16: 'f16',
  bf16: 'bf16',
}

export const isWeightKind = (element: string): element is Kind => Object.hasOwn(ELEMENTS, element)

/** The type of a weight in the text. */
export const elementOf = (kind: Kind): string => ELEMENTS[kind]

export function storeWeight({ shape, data, kind }: QWeight): NpyArray {
  if (kind === 'f16') return { shape, data: eachOf(new Uint16Array(data.length), data, halfBits) }
  if (kind === 'bf16')
    return { shape, data: eachOf(new Uint16Array(data.length), data, (value) => floatBits(value) >>> 16) }
  return { shape, data }
}

/** `from` of typed arrays takes ten times as long. */
function eachOf<T extends Uint16Array | Float32Array>(
  to: T,
  from: ArrayLike<number>,
  of: (value: number) => number,
): T {
  for (let i = 0; i < to.length; i++) to[i] = of(from[i]!)
  return to
}

/** The values of a stored array; undefined when it is not stored as its kind is. */
export function loadWeight(kind: Kind, stored: NpyData): QWeightData | undefined {
  switch (kind) {
    case 'i8':
      return stored instanceof Int8Array ? stored : undefined
    case 'u8':
      return stored instanceof Uint8Array ? stored : undefined
    case 'i32':
      return stored instanceof Int32Array ? stored : undefined
    case 'f32':
      return stored instanceof Float32Array ? stored : undefined
    case 'f16':
      return stored instanceof Uint16Array ? eachOf(new Float32Array(stored.length), stored, halfToNumber) : undefined
    case 'bf16':
      return stored instanceof Uint16Array
        ? new Float32Array(Uint32Array.from(stored, (b) => b << 16).buffer)
        : undefined
  }
}

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

export function floatBits(value: number): number {
  float[0] = value
  return bits[0]!
}

/** The bits of a value that float16 holds exactly. */
export function halfBits(value: number): number {
  const wide = floatBits(value)
  const sign = (wide >>> 16) & 0x8000
  const size = Math.abs(value)
  if (Number.isNaN(size)) return 0x7e00
  if (size === Infinity) return sign | 0x7c00
  // Below 2^-14 float16 counts in steps of 2^-24.
  if (size < 2 ** -14) return sign | (size * 2 ** 24)
  return sign | (((wide >>> 13) & 0x3ffff) - ((127 - 15) << 10))
}
