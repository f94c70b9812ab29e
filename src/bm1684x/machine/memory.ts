/** The memories that commands see, and how operands lie in local memory. */
import { QuantError } from '../../errors.js'
import { globalBase, laneBytes, lanes, localBase, roundUp, vectorBytes } from '../chip.js'
import { prec } from '../isa/forms.js'
import { createLoops, type Loops } from './loops.js'
import { bf16Bits, f16Bits, f16Values, f32FromBits } from './numbers.js'

/** One memory, seen as elements of each kind. */
export interface Space {
  readonly i8: Int8Array
  readonly u8: Uint8Array
  readonly i16: Int16Array
  readonly u16: Uint16Array
  readonly i32: Int32Array
  readonly u32: Uint32Array
  readonly f32: Float32Array
}

export interface Memory {
  /** 64 lanes of 256 KiB, lane after lane. */
  readonly local: Space
  /** From `globalBase` on. */
  readonly global: Space
  readonly l2: Space
  /** Loops that work in local memory, whose addresses are theirs. */
  readonly loops: Loops
}

const l2Base = 0x1000_0000
const l2Bytes = 2 * 1024 * 1024

function space(buffer: ArrayBufferLike, bytes: number): Space {
  return {
    u8: new Uint8Array(buffer, 0, bytes),
    i8: new Int8Array(buffer, 0, bytes),
    i16: new Int16Array(buffer, 0, bytes / 2),
    u16: new Uint16Array(buffer, 0, bytes / 2),
    i32: new Int32Array(buffer, 0, bytes / 4),
    u32: new Uint32Array(buffer, 0, bytes / 4),
    f32: new Float32Array(buffer, 0, bytes / 4),
  }
}

/** Memory in which every byte is `fill`. */
export function createMemory(globalBytes: number, fill: number): Memory {
  const loops = createLoops()
  const buffer = (bytes: number) => new ArrayBuffer(roundUp(bytes, 8))
  const memory = {
    local: space(loops.memory.buffer, lanes * laneBytes),
    global: space(buffer(globalBytes), roundUp(globalBytes, 8)),
    l2: space(buffer(l2Bytes), l2Bytes),
    loops,
  }
  if (fill !== 0) refill(memory, fill)
  return memory
}

/** Makes every byte of all memories `fill`. */
export function refill({ local, global, l2 }: Memory, fill: number): void {
  for (const { u8 } of [local, global, l2]) u8.fill(fill)
}

/** What the chip would not do; the runner puts the command in front. */
export const refuse = (message: string): QuantError => new QuantError('runtime', message)

/** Bytes of an element by `prec` code. */
export function sizeOf(code: number): 1 | 2 | 4 {
  const size = sizes[code]
  if (size === undefined) throw refuse(`element type ${code} does not exist`)
  return size
}
const sizes: readonly (1 | 2 | 4)[] = [1, 2, 4, 2, 4, 2]

export const isFloat = (code: number): boolean => code === prec.fp16 || code === prec.fp32 || code === prec.bf16

/** Smallest and largest of an integer type. */
export function rangeOf(code: number, signed: boolean): readonly [number, number] {
  const bits = sizeOf(code) * 8
  return signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1]
}

/** [n, c, h, w] */
export type Shape = readonly [number, number, number, number]
/** Steps of n, of groups of 64 channels, of h and of w, in elements. */
export type Strides = readonly [number, number, number, number]

/** A tensor in local memory: channel c in lane (lane + c) mod 64. */
export interface Operand {
  readonly lane: number
  /** Byte in the lane. */
  readonly offset: number
  readonly prec: number
  readonly signed: boolean
  readonly strides: Strides
}

/** Groups of channels that lie in one lane. */
export const groupsOf = (lane: number, channels: number): number => Math.ceil((lane + channels) / lanes)

/** Rows packed, channels beginning at multiples of 64 bytes. */
export function alignedStrides([, c, h, w]: Shape, code: number, lane: number): Strides {
  const channel = roundUp(h * w, vectorBytes / sizeOf(code))
  return [channel * groupsOf(lane, c), channel, w, 1]
}

/** Rows and channels packed. */
export const compactStrides = ([, c, h, w]: Shape, lane: number): Strides => [h * w * groupsOf(lane, c), h * w, w, 1]

/** Every row at a multiple of 64 bytes. */
export function lineStrides([, c, h, w]: Shape, code: number, lane: number): Strides {
  const row = roundUp(w, vectorBytes / sizeOf(code))
  return [h * row * groupsOf(lane, c), h * row, row, 1]
}

/** One value per channel. */
export const perChannel: Strides = [0, 1, 0, 0]

/**
 * A tensor at a local address as TIU commands spell it.
 * @throws QuantError where it leaves its lanes or begins between elements
 */
export function operandAt(
  address: number,
  shape: Shape,
  code: number,
  signed: boolean,
  layout: Strides | 'aligned',
): Operand {
  if (address >= lanes * laneBytes) throw refuse(`address 0x${address.toString(16)} lies outside local memory`)
  const lane = Math.floor(address / laneBytes)
  const offset = address % laneBytes
  const size = sizeOf(code)
  const strides = layout === 'aligned' ? alignedStrides(shape, code, lane) : layout
  if (shape.some((side) => side < 1)) throw refuse(`shape [${shape.join(', ')}] has an empty side`)
  if (offset % size !== 0) throw refuse(`address 0x${address.toString(16)} is no multiple of ${size}`)
  const [n, c, h, w] = shape
  const last = (n - 1) * strides[0] + (groupsOf(lane, c) - 1) * strides[1] + (h - 1) * strides[2] + (w - 1) * strides[3]
  if (offset + (last + 1) * size > laneBytes)
    throw refuse(`[${shape.join(', ')}] at 0x${address.toString(16)} does not fit a lane`)
  return { lane, offset, prec: code, signed, strides }
}

/** Index of element (n, c, 0, 0) among the elements of local memory. */
export function elementAt({ lane, offset, prec: code, strides }: Operand, n: number, c: number): number {
  const at = lane + c
  return ((at % lanes) * laneBytes + offset) / sizeOf(code) + n * strides[0] + Math.floor(at / lanes) * strides[1]
}

/** Are two operands the same elements, or in no byte the same? `other` is the shape of b where it is not that of a. */
export function separate(shape: Shape, a: Operand, b: Operand, other = shape): boolean {
  const same = a.lane === b.lane && a.offset === b.offset && sizeOf(a.prec) === sizeOf(b.prec) && other === shape
  if (same && a.strides.every((stride, i) => stride === b.strides[i])) return true
  return a.offset >= endOf(other, b) || b.offset >= endOf(shape, a)
}

/** Bytes of a lane up to the end of an operand. */
const endOf = ([n, c, h, w]: Shape, { lane, offset, prec: code, strides: [byN, byC, byH, byW] }: Operand): number =>
  offset + ((n - 1) * byN + (groupsOf(lane, c) - 1) * byC + (h - 1) * byH + (w - 1) * byW + 1) * sizeOf(code)

/**
 * Visits rows of a shape, with the place of the row in each operand: of w elements, or of h * w where all operands have their rows
 * one behind the other.
 * @param visit gets places among elements, the length, and the channel
 */
export function eachRow(
  [n, c, h, w]: Shape,
  operands: readonly Operand[],
  visit: (at: readonly number[], length: number, channel: number) => void,
): void {
  const joined = operands.every(({ strides }) => h === 1 || strides[2] === w * strides[3])
  const rows = joined ? 1 : h
  const length = joined ? h * w : w
  const at: number[] = operands.map(() => 0)
  const starts = operands.map(({ offset, prec: code }) => offset / sizeOf(code))
  const perLane = operands.map(({ prec: code }) => laneBytes / sizeOf(code))
  for (let in_ = 0; in_ < n; in_++)
    for (let ic = 0; ic < c; ic++)
      for (let ih = 0; ih < rows; ih++) {
        for (let k = 0; k < operands.length; k++) {
          const { lane, strides } = operands[k]!
          const place = lane + ic
          at[k] =
            (place % lanes) * perLane[k]! +
            starts[k]! +
            in_ * strides[0] +
            Math.floor(place / lanes) * strides[1] +
            ih * strides[2]
        }
        visit(at, length, ic)
      }
}

/** Elements from local memory (or another space) as numbers. `at` and `step` count elements. */
export function load(
  space: Space,
  code: number,
  signed: boolean,
  at: number,
  step: number,
  count: number,
  into: Float64Array,
): void {
  if (code === prec.fp16) for (let i = 0; i < count; i++) into[i] = f16Values[space.u16[at + i * step]!]!
  else if (code === prec.bf16) for (let i = 0; i < count; i++) into[i] = f32FromBits(space.u16[at + i * step]! << 16)
  else take(viewOf(space, code, signed), at, step, count, into)
}

function viewOf(space: Space, code: number, signed: boolean): View {
  if (code === prec.int8) return signed ? space.i8 : space.u8
  if (code === prec.int16) return signed ? space.i16 : space.u16
  return code === prec.fp32 ? space.f32 : signed ? space.i32 : space.u32
}

type View = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array

const take = (view: View, at: number, step: number, count: number, into: Float64Array): void => {
  if (step === 0) into.fill(view[at]!, 0, count)
  else if (step === 1) into.set(view.subarray(at, at + count))
  else for (let i = 0; i < count; i++) into[i] = view[at + i * step]!
}

/** Numbers as elements: integers keep their low bits, floats are rounded once, ties to even. */
export function store(space: Space, code: number, at: number, step: number, count: number, from: Float64Array): void {
  // A loop for each type: one for all, or TypedArray.set, is five times slower.
  const { u8, u16, i32, u32, f32 } = space
  switch (code) {
    case prec.int8:
      for (let i = 0, to = at; i < count; i++, to += step) u8[to] = from[i]!
      break
    case prec.int16:
      for (let i = 0, to = at; i < count; i++, to += step) u16[to] = from[i]!
      break
    case prec.int32:
      for (let i = 0, to = at; i < count; i++, to += step) i32[to] = from[i]!
      break
    case prec.fp32:
      for (let i = 0, to = at; i < count; i++, to += step) {
        const value = from[i]!
        // The bits of a NaN are chance in JavaScript; these are the ones that x86 makes.
        if (Number.isNaN(value)) u32[to] = 0xffc00000
        else f32[to] = value
      }
      break
    case prec.fp16:
      for (let i = 0, to = at; i < count; i++, to += step) u16[to] = f16Bits(from[i]!)
      break
    default:
      for (let i = 0, to = at; i < count; i++, to += step) u16[to] = bf16Bits(from[i]!)
  }
}

/** Elements of one width, whatever they mean. */
export function rawView(space: Space, code: number): Uint8Array | Uint16Array | Uint32Array {
  const size = sizeOf(code)
  return size === 1 ? space.u8 : size === 2 ? space.u16 : space.u32
}

/** An immediate: the low bits of a field, read as a type. */
export function immediate(bits: number, code: number, signed: boolean): number {
  if (code === prec.fp32) return f32FromBits(bits)
  if (code === prec.fp16) return f16Values[bits & 0xffff]!
  if (code === prec.bf16) return f32FromBits(bits << 16)
  const width = sizeOf(code) * 8
  return signed ? (bits << (32 - width)) >> (32 - width) : (bits << (32 - width)) >>> (32 - width)
}

/** Where a DMA address points: a memory and a byte in it. */
export function locate(memory: Memory, address: number): { space: Space; at: number; local: boolean } {
  if (address >= globalBase && address < globalBase + memory.global.u8.length)
    return { space: memory.global, at: address - globalBase, local: false }
  if (address >= localBase && address < localBase + lanes * laneBytes)
    return { space: memory.local, at: address - localBase, local: true }
  if (address >= l2Base && address < l2Base + l2Bytes) return { space: memory.l2, at: address - l2Base, local: false }
  throw refuse(`address 0x${address.toString(16)} lies in no memory`)
}

/**
 * Room for a row of numbers that is used again by the next command: big rows would cost more to allocate than to compute. What it holds
 * is left over.
 */
export function rowBuffer(which: 0 | 1, length: number): Float64Array {
  if (rows[which].length < length) rows[which] = new Float64Array(length)
  return rows[which]
}
const rows: [Float64Array, Float64Array] = [new Float64Array(0), new Float64Array(0)]
