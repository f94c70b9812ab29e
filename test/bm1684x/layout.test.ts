import { describe, expect, it } from 'vitest'
import type { Packed } from '../../src/bm1684x/codegen/kernel.js'
import {
  alignedBytes,
  alignedStrides,
  compactStrides,
  globalStrides,
  lineStrides,
  packConv,
  packDepthwise,
  packRequant,
  packTogether,
  packVector,
  reach,
  toBf16,
  toF16,
} from '../../src/bm1684x/layout.js'
import { random } from './random.js'

describe('tensors', () => {
  it('int8 [1,130,20,20]: three groups of 448 bytes; channel 100 is in lane 36 at 448', () => {
    expect(alignedStrides([1, 130, 20, 20], 'int8')).toEqual({ n: 1344, c: 448, h: 20, w: 1 })
    expect(alignedBytes([1, 130, 20, 20], 'int8')).toBe(1344)
    // Behind the last element there are 48 bytes of padding.
    expect(reach([1, 130, 20, 20], alignedStrides([1, 130, 20, 20], 'int8'), 1)).toBe(1344 - 48)
  })

  it('a start lane moves channels into the next group', () => {
    expect(alignedStrides([2, 60, 1, 1], 'fp32', 0).n).toBe(16)
    expect(alignedStrides([2, 60, 1, 1], 'fp32', 5).n).toBe(32)
  })

  it('the vector of a lane holds 64, 32 or 16 elements', () => {
    expect(alignedStrides([1, 1, 1, 1], 'int8').c).toBe(64)
    expect(alignedStrides([1, 1, 3, 11], 'bf16').c).toBe(64)
    expect(alignedStrides([1, 1, 3, 11], 'int32').c).toBe(48)
  })

  it('compact, line by line, and in global memory', () => {
    expect(compactStrides([1, 128, 3, 3])).toEqual({ n: 18, c: 9, h: 3, w: 1 })
    expect(lineStrides([1, 4, 3, 70], 'int8')).toEqual({ n: 384, c: 384, h: 128, w: 1 })
    expect(globalStrides([2, 3, 5, 7])).toEqual({ n: 105, c: 35, h: 7, w: 1 })
  })
})

const lane = ({ data, rowBytes }: Packed, index: number): Uint8Array =>
  data.subarray(index * rowBytes, (index + 1) * rowBytes)

describe('filters of convolution', () => {
  /** Only the weight at one place is 1: where is it? */
  function place<T extends Int8Array | Uint16Array | Float32Array>(
    make: (length: number) => T,
    [oc, ic, kh, kw]: readonly [number, number, number, number],
    at: readonly [number, number, number, number],
  ) {
    const filter = make(oc * ic * kh * kw)
    filter[((at[0] * ic + at[1]) * kh + at[2]) * kw + at[3]] = 1
    const packed = packConv('w', filter, [oc, ic, kh, kw])
    const byte = packed.data.findIndex((value) => value !== 0)
    return {
      rowBytes: packed.rowBytes,
      lane: Math.floor(byte / packed.rowBytes),
      element: Math.floor((byte % packed.rowBytes) / filter.BYTES_PER_ELEMENT),
    }
  }

  it('int8 3x3, 100 channels to 70: (66, 70, 1, 2) is in lane 2 at 2054', () => {
    const found = place((n) => new Int8Array(n), [70, 100, 3, 3], [66, 70, 1, 2])
    expect(found).toEqual({ rowBytes: 2304, lane: 2, element: 2054 })
  })

  it('the same in fp16: element 1894', () => {
    const found = place((n) => new Uint16Array(n), [70, 100, 3, 3], [66, 70, 1, 2])
    expect(found).toEqual({ rowBytes: 4608, lane: 2, element: 1894 })
  })

  it('fp32 has no blocks: ((group * IC + ic) * KH + kh) * KW + kw', () => {
    const found = place((n) => new Float32Array(n), [130, 5, 3, 2], [129, 4, 2, 1])
    expect(found).toEqual({ rowBytes: 3 * 5 * 6 * 4, lane: 1, element: ((2 * 5 + 4) * 3 + 2) * 2 + 1 })
  })

  it('every weight arrives once, the rest is 0', () => {
    const next = random(3)
    const filter = Int8Array.from({ length: 70 * 100 * 3 * 3 }, () => 1 + Math.floor(next() * 100))
    const packed = packConv('w', filter, [70, 100, 3, 3])
    expect(packed).toMatchObject({ name: 'w', rows: 64, rowBytes: 2304 })
    const total = (values: Iterable<number>): number => [...values].reduce((sum, value) => sum + value, 0)
    expect(total(packed.data)).toBe(total(filter))
    expect(packed.data.filter((value) => value !== 0)).toHaveLength(filter.length)
  })

  it('fewer channels than lanes take as many rows', () => {
    expect(packConv('w', new Int8Array(8 * 3 * 9), [8, 3, 3, 3])).toMatchObject({ rows: 8, rowBytes: 576 })
  })

  it('depthwise: tap after tap, channel after channel', () => {
    const filter = Int8Array.from({ length: 66 * 4 }, (_, i) => i % 128)
    const packed = packDepthwise('w', filter, [66, 1, 2, 2])
    expect(packed).toMatchObject({ rows: 64, rowBytes: 8 })
    expect([...lane(packed, 1)]).toEqual([4, 5, 6, 7, 4, 5, 6, 7]) // channels 1 and 65: 260 & 127 = 4
    expect([...lane(packed, 2)]).toEqual([8, 9, 10, 11, 0, 0, 0, 0])
  })
})

describe('what goes with a filter', () => {
  it('a value for each channel, group after group', () => {
    const packed = packVector(
      'b',
      Int32Array.from({ length: 66 }, (_, i) => -i),
    )
    expect(packed).toMatchObject({ rows: 64, rowBytes: 8 })
    expect(new Int32Array(lane(packed, 1).slice().buffer)).toEqual(Int32Array.of(-1, -65))
  })

  it('records of requantisation stand 64 bytes apart', () => {
    const channels = Array.from({ length: 130 }, (_, i) => i)
    const packed = packRequant(
      'r',
      channels.map((i) => 1000 + i),
      channels.map((i) => -i),
      3,
    )
    expect(packed).toMatchObject({ rows: 64, rowBytes: 2 * 64 + 12 })
    const words = new Int32Array(lane(packed, 1).slice().buffer)
    expect([...words.subarray(0, 3)]).toEqual([1001, -1, 3])
    expect([...words.subarray(16, 19)]).toEqual([1065, -65, 3])
    expect([...words.subarray(32, 35)]).toEqual([1129, -129, 3])
  })

  /** isa.md 6.4: the official row of requant, bias, filter. */
  it.each([
    [32, 12, 64],
    [128, 76, 128],
    [256, 204, 256],
    [512, 460, 512],
    [1024, 972, 1088],
  ])('%i channels together: bias at %i, filter at %i', (oc, bias, filter) => {
    const channels = Array.from({ length: oc }, (_, i) => i)
    const { packed, offsets } = packTogether('all', [
      { packed: packRequant('r', channels, channels), align: 64 },
      {
        packed: packVector(
          'b',
          Int32Array.from(channels, (i) => i + 7),
        ),
        align: 4,
      },
      { packed: packConv('w', new Int8Array(oc * 18 * 6).fill(1), [oc, 18, 1, 6]), align: 64 },
    ])
    expect(offsets).toEqual([0, bias, filter])
    const groups = Math.ceil(oc / 64)
    expect(packed.rowBytes).toBe(filter + groups * 6 * 64) // 448 for 32 channels, as in the official listing
    const row = lane(packed, 5)
    const words = new DataView(row.buffer, row.byteOffset, row.length)
    expect(words.getInt32((groups - 1) * 64, true)).toBe((groups - 1) * 64 + 5)
    expect(words.getInt32(bias + 4 * (groups - 1), true)).toBe((groups - 1) * 64 + 12)
    expect([...row.subarray(filter, filter + 20)]).toEqual([...Array(18).fill(1), 0, 0])
  })

  it('16-bit floats: the nearest, ties to even', () => {
    const values = Float32Array.of(
      1,
      -2,
      65504,
      65520,
      2 ** -24,
      2 ** -26,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      -0,
      Infinity,
    )
    const f16 = [0x3c00, 0xc000, 0x7bff, 0x7c00, 1, 0, 0x3c00, 0x3c02, 0x8000, 0x7c00]
    expect([...toF16(values)]).toEqual(f16)
    const floats = Float32Array.of(1, -2, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4e38, -0, Infinity)
    expect([...toBf16(floats)]).toEqual([0x3f80, 0xc000, 0x3f80, 0x3f82, 0x7f80, 0x8000, 0x7f80])
    expect(toF16(Float32Array.of(Number.NaN))[0]! & 0x7c00).toBe(0x7c00)
    expect(toBf16(Float32Array.of(Number.NaN))[0]! & 0x7f).not.toBe(0)
  })
})
