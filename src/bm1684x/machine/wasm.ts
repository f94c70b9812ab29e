/** Just enough of a WebAssembly assembler for the loops of `dots.ts`: functions of int32 parameters over one memory. */

/** What the language's library does not declare for Node. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Memory: new (descriptor: {
    initial: number
  }) => { readonly buffer: ArrayBuffer; grow(pages: number): number }
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: { readonly f: (...values: number[]) => void } }
}

export type Code = readonly number[]

/** Types of local variables. */
export const i32 = 0x7f
export const f32 = 0x7d
export const v128 = 0x7b

export const get = (local: number): Code => [0x20, local]
export const set = (local: number, ...from: Code): Code => [...from, 0x21, local]
/** 0..63, the numbers that one byte holds. */
export const constant = (whole: number): Code => [0x41, whole]
export const simd = (operation: number, ...immediates: Code): Code => [
  0xfd,
  ...(operation < 128 ? [operation] : [(operation & 127) | 128, operation >> 7]),
  ...immediates,
]
export const add = 0x6a
export const shiftLeft = 0x74
/** From an address on the stack, at a constant distance. */
export const loadI32 = (distance = 0): Code => [0x28, 2, distance]
export const loadF32 = (distance = 0): Code => [0x2a, 2, distance]
export const loadVector = (address: number): Code => [...get(address), ...simd(0x00, 0, 0)]
export const advance = (local: number, by: number): Code => set(local, ...get(local), ...constant(by), add)
/** do { body } while (local < end) */
export const loopBelow = (local: number, end: number, ...body: Code): Code => [
  ...[0x03, 0x40],
  ...body,
  ...[...get(local), ...get(end), 0x49, 0x0d, 0, 0x0b],
]
/** if (the value on the stack is not 0) { body } */
export const when = (...body: Code): Code => [0x04, 0x40, ...body, 0x0b]

export interface Routine {
  /** The memory, at least that many bytes; views taken before are void. */
  reserve(bytes: number): ArrayBuffer
  readonly call: (...values: number[]) => void
}

const pageBytes = 65536

/**
 * A function of that many int32 parameters, which are its first local variables, over a memory of its own.
 * @param locals further variables in order: [how many, type]
 */
export function routine(parameters: number, locals: readonly (readonly [number, number])[], body: Code): Routine {
  const code = [...size(locals.length), ...locals.flat(), ...body, 0x0b]
  const bytes = new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, parameters, ...new Array<number>(parameters).fill(i32), 0]),
    ...section(2, [1, ...name('m'), ...name('m'), 2, 0, 1]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name('f'), 0, 0]),
    ...section(10, [1, ...size(code.length), ...code]),
  ])
  const memory = new WebAssembly.Memory({ initial: 1 })
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { m: { m: memory } }).exports
  return {
    reserve(bytes) {
      const missing = bytes - memory.buffer.byteLength
      if (missing > 0) memory.grow(Math.ceil(missing / pageBytes))
      return memory.buffer
    },
    call: f,
  }
}

const name = (text: string): Code => [text.length, ...new TextEncoder().encode(text)]
const section = (id: number, content: Code): Code => [id, ...size(content.length), ...content]
/** LEB128 */
const size = (whole: number): Code => (whole < 128 ? [whole] : [(whole & 127) | 128, ...size(whole >> 7)])
