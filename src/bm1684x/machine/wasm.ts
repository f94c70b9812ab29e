/** Just enough of a WebAssembly assembler for the machine's loops: functions over one memory. */

interface Wasm {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => SharedMemory
  readonly Instance: new (module: object, imports: object) => { readonly exports: object }
}

interface SharedMemory {
  readonly buffer: SharedArrayBuffer
  grow(pages: number): number
}

/** What the language's library does not declare for Node. */
declare const WebAssembly: Wasm

export type Code = readonly number[]

/** Types of local variables. */
export const i32 = 0x7f
export const v128 = 0x7b

export const get = (local: number): Code => [0x20, local]
export const set = (local: number, ...from: Code): Code => [...from, 0x21, local]
/** i32.const; any int32 */
export const constant = (whole: number): Code => [0x41, ...signedSize(whole)]
/** A vector of four equal words. */
export const words = (bits: number): Code => {
  const bytes = [bits, bits >> 8, bits >> 16, bits >> 24].map((byte) => byte & 255)
  return simd(0x0c, ...bytes, ...bytes, ...bytes, ...bytes)
}
export const simd = (operation: number, ...immediates: Code): Code => [0xfd, ...size(operation), ...immediates]
/** v128.bitselect: bits of `yes` where `mask` has ones. */
export const choose = (yes: Code, no: Code, mask: Code): Code => [...yes, ...no, ...mask, ...simd(0x52)]
export const both = (a: Code, b: Code): Code => [...a, ...b, ...simd(0x4e)]
/** Bytes of two vectors: 0 .. 15 of the first, 16 .. 31 of the second. */
export const shuffle = (a: Code, b: Code, order: readonly number[]): Code => [...a, ...b, ...simd(0x0d, ...order)]
/** The same with words 0 .. 7. */
export const shuffleWords = (a: Code, b: Code, order: readonly number[]): Code =>
  shuffle(
    a,
    b,
    order.flatMap((word) => [0, 1, 2, 3].map((i) => 4 * word + i)),
  )
export const add = 0x6a
export const subtract = 0x6b
export const multiply = 0x6c
export const shiftLeft = 0x74
/** From an address on the stack, at a constant distance. */
export const loadI32 = (distance = 0): Code => [0x28, 2, ...size(distance)]
export const loadVector = (address: number, distance = 0): Code => [
  ...get(address),
  ...simd(0x00, 0, ...size(distance)),
]
export const storeVector = (address: number, distance: number, ...value: Code): Code => [
  ...get(address),
  ...value,
  ...simd(0x0b, 0, ...size(distance)),
]
export const advance = (local: number, by: number): Code => set(local, ...get(local), ...constant(by), add)
export const advanceBy = (local: number, step: number): Code => set(local, ...get(local), ...get(step), add)
/** Copies bytes; all three are code. */
export const copyBytes = (to: Code, from: Code, bytes: Code): Code => [...to, ...from, ...bytes, 0xfc, 0x0a, 0, 0]
/** do { body } while (local < end) */
export const loopBelow = (local: number, end: number, ...body: Code): Code => [
  ...[0x03, 0x40],
  ...body,
  ...[...get(local), ...get(end), 0x49, 0x0d, 0, 0x0b],
]
/** do { body } while (--local) */
export const times = (local: number, ...body: Code): Code => [
  ...[0x03, 0x40],
  ...body,
  ...[...get(local), ...constant(1), subtract, 0x22, local, 0x0d, 0, 0x0b],
]
/** if (the value on the stack is not 0) { body } */
export const when = (...body: Code): Code => [0x04, 0x40, ...body, 0x0b]

/** A function of int32 without a result: its parameters are the first local variables. */
export interface Routine {
  readonly parameters: number
  /** Further variables in order: [how many, type] */
  readonly locals: readonly (readonly [number, number])[]
  readonly body: Code
}

const pageBytes = 65536
/** A GiB. Pages cost nothing before they are touched. */
const mostPages = 16384

/** A memory that grows without voiding the views of it. */
export interface LoopMemory {
  readonly buffer: SharedArrayBuffer
  /** The memory, at least that many bytes. */
  reserve(bytes: number): SharedArrayBuffer
}

/**
 * Functions of these bodies over a new memory, and that memory. Makes the module at the first call.
 * @param routines what functions there are, by name
 */
export function linker<K extends string>(
  routines: Readonly<Record<K, Routine>>,
): (bytes: number) => { memory: LoopMemory; functions: Readonly<Record<K, (...values: number[]) => void>> } {
  let module: object | undefined
  return (bytes) => {
    module ??= new WebAssembly.Module(assemble(routines))
    const own = new WebAssembly.Memory({ initial: Math.ceil(bytes / pageBytes), maximum: mostPages, shared: true })
    const { exports } = new WebAssembly.Instance(module, { m: { m: own } })
    const memory: LoopMemory = {
      get buffer() {
        return own.buffer
      },
      reserve(most) {
        const missing = most - own.buffer.byteLength
        if (missing > 0) own.grow(Math.ceil(missing / pageBytes))
        return own.buffer
      },
    }
    return { memory, functions: exports as Readonly<Record<K, (...values: number[]) => void>> }
  }
}

function assemble(routines: Readonly<Record<string, Routine>>): Uint8Array {
  const all = Object.entries(routines)
  const counted = (items: readonly Code[]): Code => [...size(items.length), ...items.flat()]
  const code = ({ locals, body }: Routine): Code => {
    const bytes = [...counted(locals), ...body, 0x0b]
    return [...size(bytes.length), ...bytes]
  }
  const parts: Code[] = [
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    section(
      1,
      counted(all.map(([, { parameters }]) => [0x60, ...counted(new Array<Code>(parameters).fill([i32])), 0])),
    ),
    section(2, [1, ...name('m'), ...name('m'), 2, 3, 1, ...size(mostPages)]),
    section(3, counted(all.map((_, i) => size(i)))),
    section(7, counted(all.map(([key], i) => [...name(key), 0, ...size(i)]))),
    section(10, counted(all.map(([, routine]) => code(routine)))),
  ]
  return new Uint8Array(parts.flat())
}

const name = (text: string): Code => [text.length, ...new TextEncoder().encode(text)]
const section = (id: number, content: Code): Code => [id, ...size(content.length), ...content]
/** LEB128 */
const size = (whole: number): Code => (whole < 128 ? [whole] : [(whole & 127) | 128, ...size(whole >>> 7)])
const signedSize = (whole: number): Code =>
  whole >= -64 && whole < 64 ? [whole & 127] : [(whole & 127) | 128, ...signedSize(whole >> 7)]
