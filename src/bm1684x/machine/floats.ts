/** Pieces of vector code for floats. Each changes a local variable in place. */
import { both, type Code, choose, constant, get, set, simd, words } from './wasm.js'

/** float32 takes and gives 0 for subnormal numbers; -0 becomes 0, too. */
export function flushed(local: number): Code {
  const small: Code = [...get(local), ...simd(0xe0), ...words(0x00800000), ...simd(0x43)]
  const negative: Code = [...get(local), ...words(0), ...simd(0x43)]
  return set(local, ...choose(both(negative, words(1 << 31)), get(local), small))
}

/** The same in two doubles, by the exponents of float32. */
export function flushedDoubles(local: number): Code {
  const repeat = (low: number, high: number): Code => {
    const bytes = [low, high].flatMap((bits) => [bits, bits >> 8, bits >> 16, bits >> 24].map((byte) => byte & 255))
    return simd(0x0c, ...bytes, ...bytes)
  }
  const small: Code = [...get(local), ...simd(0xec), ...repeat(0, 0x38100000), ...simd(0x49)]
  const negative: Code = [...get(local), ...words(0), ...simd(0x49)]
  return set(local, ...choose(both(negative, repeat(0, 1 << 31)), get(local), small))
}

/** A NaN gets the bits that x86 makes. */
export const plainNaN = (local: number): Code =>
  set(local, ...choose(get(local), words(0xffc00000), [...get(local), ...get(local), ...simd(0x41)]))

/** binary16 in the lower halves of words to float32, in place. */
export function f16Widened(value: number, bits: number): Code {
  return [
    ...set(bits, ...both(get(value), words(0x7fff)), ...constant(13), ...simd(0xab)),
    ...set(
      value,
      ...both(get(value), words(0x8000)),
      ...[...constant(16), ...simd(0xab)],
      ...[...get(bits), ...words(0x77800000), ...simd(0xe6), ...simd(0x50)], // * 2^112
      ...both([...get(bits), ...words(0x0f7fffff), ...simd(0x3b)], words(0x7f800000)),
      ...simd(0x50),
    ),
  ]
}

/** float32 to binary16 in words, in place: ties to even, every NaN 0x7e00. */
export function f16Narrowed(value: number, sign: number, normal: number): Code {
  const less = (limit: number): Code => [...get(value), ...words(limit), ...simd(0x39)]
  return [
    ...set(sign, ...both(get(value), words(1 << 31))),
    ...set(value, ...get(value), ...get(sign), ...simd(0x51)),
    ...set(
      normal,
      ...[...get(value), ...words(0xc8000fff), ...simd(0xae)],
      ...both([...get(value), ...constant(13), ...simd(0xad)], words(1)),
      ...[...simd(0xae), ...constant(13), ...simd(0xad)],
    ),
    ...set(
      normal,
      // What is below 2^-14 is rounded by adding 0.5, whose last place is the smallest number.
      ...choose(
        [...get(value), ...words(0x3f000000), ...simd(0xe4), ...words(0x3f000000), ...simd(0xb1)],
        get(normal),
        less(0x38800000),
      ),
    ),
    ...set(normal, ...choose(get(normal), words(0x7c00), less(0x47800000))),
    ...set(
      value,
      ...choose(
        [...get(normal), ...get(sign), ...constant(16), ...simd(0xad), ...simd(0x50)],
        words(0x7e00),
        less(0x7f800001),
      ),
    ),
  ]
}
