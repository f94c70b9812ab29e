import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { QuantError } from '../../src/errors.js'
import { layersOf } from '../../src/ir/mlir/layers.js'
import { parseModule } from '../../src/ir/mlir/parse.js'
import { type NpyArray, readNpz, writeNpz } from '../../src/ir/npz.js'
import { readTpu } from '../../src/quantize/tpu/read.js'
import { tpuWeights, writeTpu } from '../../src/quantize/tpu/write.js'
import { shared } from '../shared.js'
import { damaged } from './damage.js'
import { everyIntOp } from './graphs.js'

const options = { weightFile: 'every_weight.npz', mode: 'INT8' } as const
const weights = new Map(tpuWeights(everyIntOp))
const text = writeTpu(everyIntOp, options)

const FILES = ['small', 'street_tiny', 'yolo_lite_coco', 'yolov3_tiny_rand'].flatMap((model) => [
  { model, file: `${model}_int8_tpu.mlir` },
  { model, file: `${model}_mixed_tpu.mlir` },
])

function zeroWeights(source: string): Map<string, NpyArray> {
  const kinds: Record<string, typeof Int8Array | typeof Int32Array | typeof Float32Array> = {
    i8: Int8Array,
    i32: Int32Array,
    f32: Float32Array,
  }
  return new Map(
    layersOf(parseModule(source, 'x')).weights.map(({ name, type: { shape, element } }) => [
      name,
      { shape, data: new kinds[element]!(shape.reduce((a, b) => a * b, 1)) },
    ]),
  )
}

describe('the vendor’s lowered files', () => {
  it.skipIf(!shared('golden')).each(FILES)('$file is read and written back', ({ model, file }) => {
    const original = readFileSync(shared('golden', model, file)!, 'utf8')
    const weightFile = /weight_file = "(.*?)"/.exec(original)![1]!
    const back = writeTpu(readTpu(original, zeroWeights(original), file), { ...options, weightFile })
    // What a QGraph has no place for: an asymmetric scale that nothing uses, and ranges of float values.
    const kept = original
      .replace(/ out_int8_(scale|zp) = [^,]* : f64,/g, '')
      .replace(/!quant\.calibrated<f32<[^>]*>>/g, 'f32')
    expect(back).toBe(kept)
  })
  it.skipIf(!shared('golden'))('multipliers, tables and weights are those of its weight file', () => {
    const at = (name: string) => shared('golden', 'small', name)!
    const arrays = readNpz(readFileSync(at('tpu_int8_lowered_weights.npz')), 'weights.npz')
    const graph = readTpu(readFileSync(at('small_int8_tpu.mlir'), 'utf8'), arrays, 'small_int8_tpu.mlir')
    const op = (name: string) => graph.nodes.find((node) => node.name === name)!.op
    const conv = op('/Relu_output_0_Relu')
    expect(conv).toMatchObject({ type: 'ConvInt', relu: true, strides: [2, 2] })
    if (conv.type === 'ConvInt') expect([conv.multipliers[1], conv.shifts[2]]).toEqual([4229823, 28])
    expect(op('/LeakyRelu_output_0_LeakyRelu')).toEqual({ type: 'LeakyReluInt', requant: { multiplier: 51, shift: 9 } })
    expect(op('/Relu_1_output_0_Relu')).toEqual({
      type: 'AddInt',
      requants: [
        { multiplier: 57, shift: 6 },
        { multiplier: 19, shift: 4 },
      ],
      relu: true,
    })
    expect(op('/ReduceMean_output_0_ReduceMean')).toMatchObject({
      type: 'AvgPoolInt',
      keepDims: false,
      requant: { multiplier: 35, shift: 13 },
    })
    expect(op('logits_Gemm')).toMatchObject({ type: 'MatMulInt', requant: { multiplier: 560977, shift: 29 } })
    expect(op('/Mul_output_0_Mul')).toEqual({ type: 'Lut' })
    expect(graph.nodes[1]).toMatchObject({
      name: 'images_ui8',
      layer: undefined,
      type: { kind: 'u8', scale: 0.0039216 },
    })
    expect(graph.weights.get('/Mul_output_0_Mul_table')!.data).toBeInstanceOf(Int8Array)
    expect([...graph.weights.keys()].sort()).toEqual([...arrays.keys()].sort())
    expect(graph.outputs).toEqual(['logits_Gemm_f32'])
  })
})

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
    ['a zero point', 'u8:f32, 3.921600e-03>> loc', 'u8:f32, 3.921600e-03:3>> loc', 'zero point 3 is not 0'],
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
