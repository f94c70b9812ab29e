/** The chip's roundings against whole-number arithmetic of any size, and against each other. */
import { expect, it } from 'vitest'
import { rounding } from '../../src/bm1684x/isa/forms.js'
import {
  alignedSum,
  bf16Bits,
  f16Bits,
  f16Values,
  f32FromBits,
  roundShift,
  roundShiftBig,
  roundWhole,
} from '../../src/bm1684x/machine/numbers.js'
import { multiplyShift } from '../../src/bm1684x/machine/requant.js'
import { random } from './random.js'

/** value / 2^shift by the definition of each mode, on exact halves. */
function expected(value: bigint, shift: number, mode: number): bigint {
  const unit = 1n << BigInt(shift)
  let down = value / unit
  if (down * unit > value) down -= 1n
  const twice = 2n * (value - down * unit)
  if (twice === 0n) return down
  const nearest = twice > unit ? down + 1n : down
  const tie = twice === unit
  switch (mode) {
    case rounding.halfEven:
      return tie ? (down % 2n === 0n ? down : down + 1n) : nearest
    case rounding.halfAway:
      return tie ? (value > 0n ? down + 1n : down) : nearest
    case rounding.towardZero:
      return value > 0n ? down : down + 1n
    case rounding.floor:
      return down
    case rounding.ceil:
      return down + 1n
    case rounding.halfUp:
      return tie ? down + 1n : nearest
    default:
      return nearest
  }
}

const modes = Object.values(rounding)

it('shifts -5 by one place as the data sheet does', () => {
  expect(modes.map((mode) => roundShift(-5, 1, mode))).toEqual([-2, -3, -2, -3, -2, -2, -3])
})

it('shifts all small numbers by all small amounts in all seven ways', () => {
  let looked = 0
  for (const mode of modes)
    for (let shift = 0; shift <= 9; shift++)
      for (let value = -1100; value <= 1100; value++) {
        const right = Number(expected(BigInt(value), shift, mode))
        if (
          roundShift(value, shift, mode) - right !== 0 ||
          Number(roundShiftBig(BigInt(value), shift, mode)) - right !== 0 ||
          (mode <= rounding.ceil && roundWhole(value / 2 ** shift, mode) - right !== 0)
        )
          throw new Error(`${value} >> ${shift}, mode ${mode}`)
        looked++
      }
  expect(looked).toBe(7 * 10 * 2201)
})

it('shifts that leave nothing still know on which side they are', () => {
  for (const mode of modes)
    for (const shift of [53, 54, 60, 63])
      for (const value of [0, 1, -1, 2 ** 52, -(2 ** 52), 2 ** 53 - 1, -(2 ** 53 - 1)])
        expect(BigInt(roundShift(value, shift, mode))).toBe(expected(BigInt(value), shift, mode))
})

it('requantises exactly, though products have 62 bits', () => {
  const next = random(5)
  const int32 = () => Math.floor((next() - 0.5) * 2 ** Math.ceil(next() * 32))
  let ties = 0
  for (let round = 0; round < 4000; round++) {
    const shift = Math.floor(next() * 64)
    const mode = round % 2 === 0 ? rounding.halfUp : modes[round % 7]!
    // Products that end in halves come up often enough with multipliers that are powers of two.
    const multiplier = round % 3 === 0 ? 2 ** Math.floor(next() * 31) : int32()
    const values = new Float64Array(8).map(int32)
    const right = [...values].map((value) => {
      const product = BigInt(value) * BigInt(multiplier)
      if (shift > 0 && (product + (1n << BigInt(shift - 1))) % (1n << BigInt(shift)) === 0n) ties++
      return expected(product, shift, mode)
    })
    multiplyShift(values, 8, multiplier, shift, mode)
    values.forEach((value, i) => {
      // Beyond 2^53 only the side matters: everything is saturated to 32 bits at most.
      if (right[i]! > -(2n ** 40n) && right[i]! < 2n ** 40n) expect(BigInt(value)).toBe(right[i])
      else expect(Math.sign(value)).toBe(right[i]! > 0n ? 1 : -1)
    })
  }
  expect(ties).toBeGreaterThan(300)
})

it('every fp16 number is itself, and what lies between goes to the nearer one, or the even one', () => {
  for (let bits = 0; bits < 0x7c00; bits++) {
    const [low, high] = [f16Values[bits]!, bits === 0x7bff ? 65536 : f16Values[bits + 1]!]
    const middle = (low + high) / 2
    const even = bits % 2 === 0 ? bits : bits + 1
    const found = [low, middle, middle - (high - low) / 1024, middle + (high - low) / 1024].map((value) =>
      f16Bits(value),
    )
    if (`${found}` !== `${[bits, even, bits, bits + 1]}`) throw new Error(`between ${low} and ${high}: ${found}`)
    if (f16Bits(-low) !== (bits | 0x8000)) throw new Error(`-${low}`)
  }
  expect(f16Bits(Number.NaN) & 0x7fff).toBeGreaterThan(0x7c00)
  // Below a quarter of the smallest number towards 0; directed roundings of integers stop at the largest.
  expect([f16Bits(2 ** -26), f16Bits(-(2 ** -26)), f16Bits(1e9), f16Bits(1e9, rounding.floor, false)]).toEqual([
    0, 0x8000, 0x7c00, 0x7bff,
  ])
})

it('rounds to bf16 as float32 bits say', () => {
  const next = random(9)
  for (let i = 0; i < 20000; i++) {
    const bits = Math.floor(next() * 0x7f7f0000)
    const rest = bits & 0xffff
    const up = rest > 0x8000 || (rest === 0x8000 && (bits >>> 16) % 2 === 1) ? 1 : 0
    // Without float32 subnormals, which arithmetic takes as 0.
    if (bits >= 0x00800000) expect(bf16Bits(f32FromBits(bits))).toBe((bits >>> 16) + up)
  }
})

it('adds fp16 products as the cube does: cut off 24 bits below the largest', () => {
  // 1 + 2^-25 + 2^-25: each part is cut off, though together they would count.
  expect(alignedSum(new Float64Array([1, 2 ** -25, 2 ** -25]), 3)).toBe(1)
  // -(2^-24) is kept, and halfway to the next float32 below 1.
  expect(alignedSum(new Float64Array([1, -(2 ** -24)]), 2)).toBe(1 - 2 ** -24)
  expect(alignedSum(new Float64Array([4096 * 4096, 1, -4096 * 4096]), 3)).toBe(1)
  expect(alignedSum(new Float64Array([0, 0]), 2)).toBe(0)
})
