/** The vector loops of the machine against whole-number arithmetic: every length around a vector's, and not a byte beside the result. */
import { expect, it } from 'vitest'
import { laneBytes } from '../../src/bm1684x/chip.js'
import { eu, type Instruction, prec, rounding } from '../../src/bm1684x/isa/forms.js'
import { createMemory } from '../../src/bm1684x/machine/memory.js'
import { execute } from '../../src/bm1684x/machine/run.js'
import { random } from './random.js'

const memory = createMemory(64, 0)
const { i8, u8, i32, f32 } = memory.local
const lengths = [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 100]
const [resultAt, aAt, bAt] = [0, 8192, 16384]

/** Fills lanes 0 and 1 with any bits, then runs a command on rows of so many elements in both. @returns the memory before it */
function run(instruction: Instruction, seed: number, prepare: () => void = () => {}): Uint8Array {
  const next = random(seed)
  for (let at = 0; at < 2 * laneBytes; at += laneBytes)
    for (let i = 0; i < 6144; i++) i32[at / 4 + i] = Math.floor(next() * 2 ** 32)
  prepare()
  const before = u8.slice(0, 2 * laneBytes)
  execute(memory, instruction)
  return before
}

/** Nothing but the first `bytes` of the result changed in either lane. */
function onlyResult(before: Uint8Array, bytes: number): void {
  for (const lane of [0, laneBytes])
    expect(before.findIndex((byte, i) => i >= lane + resultAt + bytes && i < lane + 32768 && byte !== u8[i])).toBe(-1)
}

const shape = (w: number) => ({ res0_n: 1, res0_c: 2, res0_h: 1, res0_w: w, res0_addr: resultAt })
const clamp = (value: bigint, least: bigint, most: bigint): bigint =>
  value < least ? least : value > most ? most : value
const asBig = (bytes: Uint8Array, kind: 'i8' | 'i32', lane: number, at: number, i: number): bigint =>
  BigInt(
    (kind === 'i8' ? new Int8Array(bytes.buffer) : new Int32Array(bytes.buffer))[
      (lane + at) / (kind === 'i8' ? 1 : 4) + i
    ]!,
  )

it('requantises int32 to 8 bits at every shift, with a zero point', () => {
  const next = random(1)
  let looked = 0
  for (let shift = 15; shift <= 63; shift++)
    for (const signed of [0, 1]) {
      const w = lengths[shift % lengths.length]!
      const multiplier = Math.floor((next() - 0.3) * 2 ** (shift < 32 ? shift - 3 : 31))
      const zero = Math.floor(next() * 64)
      const second = ((-shift & 0xff) | (zero << 16)) >>> 0
      const before = run(
        {
          form: 'rqdq',
          fields: {
            ...shape(w),
            tsk_typ: 4,
            tsk_eu_typ: eu.rqdq.rq1,
            opd0_sign: 1,
            opd2_sign: signed,
            res0_prec: prec.int8,
            opd0_prec: prec.int32,
            opd1_const: 1,
            opd2_n_str: rounding.halfUp,
            opd0_addr: aAt,
            opd1_addr: multiplier >>> 0,
            opd2_addr: second,
          },
        },
        shift,
        // Some numbers whose results are not at the ends.
        () => {
          for (const lane of [0, laneBytes])
            for (let i = 0; i < w; i += 2)
              i32[(lane + aAt) / 4 + i] =
                (Math.floor((next() - 0.5) * 400) * 2 ** Math.min(shift, 50)) / (multiplier || 1)
        },
      )
      for (const lane of [0, laneBytes])
        for (let i = 0; i < w; i++) {
          const product = asBig(before, 'i32', lane, aAt, i) * BigInt(multiplier)
          const right = ((product + (1n << BigInt(shift - 1))) >> BigInt(shift)) + BigInt(zero)
          const made = (signed ? i8 : u8)[lane + resultAt + i]
          if (made !== Number(signed ? clamp(right, -128n, 127n) : clamp(right, 0n, 255n)))
            expect.fail(`shift ${shift}, element ${i} of ${w}: ${made} instead of ${right}`)
          looked++
        }
      onlyResult(before, w)
    }
  expect(looked).toBeGreaterThan(1000)
})

const arithmetic = (unit: number, type: number, w: number, more: object): Instruction => ({
  form: 'ar',
  fields: {
    ...shape(w),
    tsk_typ: 3,
    tsk_eu_typ: unit,
    tsk_opd_num: 2,
    opd0_sign: 1,
    opd1_sign: 1,
    res0_prec: type,
    opd0_prec: type,
    opd1_prec: type,
    opd0_addr: aAt,
    opd1_addr: bAt,
    ...more,
  },
})

it.each(lengths)('adds %i int32 with saturation, and one value of a channel to all', (w) => {
  // Free strides 0: the one value of each channel.
  for (const more of [{}, { opd0_str: 3, opd0_c_str: 1 }]) {
    const before = run(arithmetic(eu.ar.adds, prec.int32, w, more), w)
    for (const lane of [0, laneBytes])
      for (let i = 0; i < w; i++) {
        const a = asBig(before, 'i32', lane, aAt, 'opd0_str' in more ? 0 : i)
        const right = clamp(a + asBig(before, 'i32', lane, bAt, i), -(2n ** 31n), 2n ** 31n - 1n)
        expect(i32[(lane + resultAt) / 4 + i]).toBe(Number(right))
      }
    onlyResult(before, 4 * w)
  }
})

it.each(lengths)('%i bytes: the larger of two; a product by a number, shifted', (w) => {
  const larger = run(arithmetic(eu.ar.max, prec.int8, w, {}), w)
  for (const lane of [0, laneBytes])
    for (let i = 0; i < w; i++) {
      const [a, b] = [aAt, bAt].map((at) => Number(asBig(larger, 'i8', lane, at, i)))
      expect(i8[lane + resultAt + i]).toBe(Math.max(a!, b!))
    }
  onlyResult(larger, w)
  for (let shift = 0; shift <= 15; shift++) {
    const factor = shift * 17 - 128
    const by = { opd1_const: 1, opd1_addr: factor & 0xff, tsk_opd_num: 3, opd2_const: 1, opd2_addr: -shift & 0xff }
    const before = run(arithmetic(eu.ar.muls, prec.int8, w, { ...by, opd2_n_str: rounding.halfUp }), w + shift)
    for (const lane of [0, laneBytes])
      for (let i = 0; i < w; i++) {
        const product = asBig(before, 'i8', lane, aAt, i) * BigInt(factor)
        const right = shift === 0 ? product : (product + (1n << BigInt(shift - 1))) >> BigInt(shift)
        expect(i8[lane + resultAt + i]).toBe(Number(clamp(right, -128n, 127n)))
      }
    onlyResult(before, w)
  }
})

it('casts float32 to int8: ties, ends and what is no number', () => {
  const values = [
    0.5,
    1.5,
    -0.5,
    -2.5,
    0.49999997,
    126.5,
    127.5,
    -128.5,
    3e9,
    -Infinity,
    Number.NaN,
    -0,
    8388609,
    1e-40,
  ]
  const even = [0, 2, 0, -2, 0, 126, 127, -128, 127, -128, 0, 0, 127, 0]
  const away = [1, 2, -1, -3, 0, 127, 127, -128, 127, -128, 0, 0, 127, 0]
  for (const [mode, right] of [
    [rounding.halfEven, even],
    [rounding.halfAway, away],
  ] as const) {
    const w = 3 * values.length
    run(
      arithmetic(eu.ar.cast, prec.int8, w, { opd0_prec: prec.fp32, opd2_sign: 1, opd2_n_str: mode, tsk_opd_num: 1 }),
      mode,
      () => {
        for (let i = 0; i < w; i++) f32[aAt / 4 + i] = values[i % values.length]!
      },
    )
    expect([...i8.subarray(resultAt, resultAt + w)]).toEqual([...right, ...right, ...right])
  }
})

it('operands that overlap: what the row was before counts', () => {
  // The result begins in the middle of the first input, and the other way round.
  for (const res0_addr of [aAt + 8, aAt - 8]) {
    const before = run(arithmetic(eu.ar.max, prec.int8, 100, { res0_addr }), 5)
    const right = Array.from({ length: 100 }, (_, i) =>
      Number([aAt, bAt].map((at) => asBig(before, 'i8', 0, at, i)).reduce((a, b) => (a > b ? a : b))),
    )
    expect([...i8.subarray(res0_addr, res0_addr + 100)]).toEqual(right)
  }
})
