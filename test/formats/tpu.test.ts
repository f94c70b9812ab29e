import { describe, expect, it } from 'vitest'
import { QuantError } from '../../src/errors.js'
import { readNpz, writeNpz } from '../../src/ir/npz.js'
import { readTpu } from '../../src/quantize/tpu/read.js'
import { tpuWeights, writeTpu } from '../../src/quantize/tpu/write.js'
import { damaged } from './damage.js'
import { everyIntOp } from './graphs.js'

const options = { weightFile: 'every_weight.npz', mode: 'INT8' } as const
const weights = new Map(tpuWeights(everyIntOp))
const text = writeTpu(everyIntOp, options)

describe('our files', () => {
  it('every op, type, scale, weight and layer comes back', () => {
    const stored = readNpz(writeNpz(tpuWeights(everyIntOp)), 'every_weight.npz')
    expect(readTpu(text, stored, 'net.mlir')).toEqual(everyIntOp)
  })
  it('keep 16-bit weights as bits', () => {
    // 1, -0.5, 2^-24, -3 * 2^-20, 65504, -0, infinity, 1 + 2^-10, 2^-14 as IEEE binary16.
    const half = [0x3c00, 0xb800, 0x0001, 0x8030, 0x7bff, 0x8000, 0x7c00, 0x3c01, 0x0400]
    // 1, -0.5, 2^-126, -1.5, the largest, -0, infinity, 1 + 2^-7, 5 as bfloat16.
    const brain = [0x3f80, 0xbf00, 0x0080, 0xbfc0, 0x7f7f, 0x8000, 0x7f80, 0x3f81, 0x40a0]
    expect(weights.get('h')!.data).toEqual(new Uint16Array(half))
    expect(weights.get('bf')!.data).toEqual(new Uint16Array(brain))
  })
})

describe('what is wrong is said', () => {
  it.each([
    ['a zero point', 'u8:f32, 3.921600e-03>> loc', 'u8:f32, 3.921600e-03:3>> loc', 'zero point 3 of u8'],
    ['a width we lack', '!quant.uniform<u8:f32, 3.921600e-03>> loc', '!quant.uniform<i4:f32, 0.5>> loc', 'of type i4'],
    ['a multiplier too few', '[5, 6, 7, 8]', '[5, 6, 7]', 'attribute rshift must be a list of 4 integers'],
    ['a region', '"tpu.Lut"(', '"tpu.Group"({', '"tpu.Group" has a region'],
    ['an op', '"tpu.Softmax"', '"tpu.Topk"', 'op "tpu.Topk" is not supported'],
  ])('%s', (_, part, by, message) => {
    expect(text).toContain(part)
    expect(() => readTpu(text.replace(part, by), weights, 'net.mlir')).toThrow(message)
  })
  it('a weight stored as another type', () => {
    const wrong = new Map([...weights, ['table', { shape: [1, 1, 1, 256], data: new Uint8Array(256) }] as const])
    expect(() => readTpu(text, wrong, 'net.mlir')).toThrow("weight 'table' is not stored as i8")
  })
  it('damage of any kind gives a graph or a QuantError', () => {
    let refused = 0
    let pieces = 0
    for (const broken of damaged(text, 17)) {
      pieces++
      try {
        readTpu(broken, weights, 'net.mlir')
      } catch (error) {
        if (!(error instanceof QuantError)) throw new Error(`not a QuantError for:\n${broken}`, { cause: error })
        refused++
      }
    }
    expect(refused).toBeGreaterThan(pieces / 2)
  })
})
