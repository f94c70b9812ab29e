/**
 * Every text file that the vendor's tools wrote is read by our readers and written back byte for byte: its tables work here, ours
 * there. That ours say the same about the same network is in `lowering.test.ts`.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readCalibrationTable, writeCalibrationTable } from '../../src/calibrate/table.js'
import { layersOf } from '../../src/ir/mlir/layers.js'
import { parseModule } from '../../src/ir/mlir/parse.js'
import type { NpyArray } from '../../src/ir/npz.js'
import { readTop } from '../../src/ir/top/read.js'
import { writeTop } from '../../src/ir/top/write.js'
import { readTpu } from '../../src/quantize/tpu/read.js'
import { writeTpu } from '../../src/quantize/tpu/write.js'
import type { SearchHeader } from '../../src/search/header.js'
import { rankLosses, readLossTable, writeLossTable } from '../../src/search/losstable.js'
import { readQtable, writeQtable } from '../../src/search/qtable.js'
import { shared } from '../shared.js'
import { goldenNames, hasGolden, readNpzOf, symmetric, textOf } from './models.js'

/** Weights that are not at hand, or not the matter: zeros of the stated shapes and types stand for them. */
function zeroWeights(text: string): Map<string, NpyArray> {
  const kinds: Record<string, typeof Int8Array | typeof Int32Array | typeof Float32Array> = {
    i8: Int8Array,
    i32: Int32Array,
    f32: Float32Array,
  }
  return new Map(
    layersOf(parseModule(text, 'x')).weights.map(({ name, type: { shape, element } }) => [
      name,
      { shape, data: new kinds[element]!(shape.reduce((a, b) => a * b, 1)) },
    ]),
  )
}

describe.skipIf(!hasGolden).each(goldenNames)('%s, written by the vendor’s tools', (name) => {
  it('float graph', () => {
    const original = textOf(name, `${name}.mlir`)
    const graph = readTop(original, zeroWeights(original), `${name}.mlir`)
    expect(graph.name).toBe(name)
    expect(writeTop(graph, { weightFile: `${name}_top_f32_all_weight.npz` })).toBe(original)
  })

  it.each(['int8', 'mixed'])('lowered graph: %s', (variant) => {
    const file = `${name}_${variant}_tpu.mlir`
    const original = textOf(name, file)
    const weightFile = /weight_file = "(.*?)"/.exec(original)![1]!
    const back = writeTpu(readTpu(original, zeroWeights(original), file), { mode: 'INT8', weightFile })
    expect(back).toBe(symmetric(original))
  })

  it.each([
    ['', 5],
    ['_notune', 0],
  ])('calibration table%s', (suffix, tuned) => {
    const text = textOf(name, `${name}_cali_table${suffix}`)
    const table = readCalibrationTable(text, name)
    expect(table).toMatchObject({ samples: 100, tuned, method: 'kl' })
    expect(table.thresholds.size).toBeGreaterThan(10)
    expect(writeCalibrationTable(table)).toBe(text)
  })

  it('loss table', () => {
    const text = textOf(name, 'full_loss_table.txt')
    const { header, losses } = readLossTable(text, name)
    expect(losses.length).toBeGreaterThan(8)
    expect(writeLossTable(header as SearchHeader, losses, 'historical')).toBe(text)
    // The other way round, the same rows.
    const ours = readLossTable(writeLossTable(header as SearchHeader, losses), name).losses
    expect(ours[0]!.loss).toBe(Math.min(...losses.map(({ loss }) => loss)))
    expect(rankLosses(ours, 'historical')).toEqual(losses)
  })

  it('quantize table', () => {
    const text = textOf(name, `${name}_qtable`)
    const { modes } = readQtable(text, name)
    expect(modes.size).toBeGreaterThan(0)
    const { header } = readLossTable(text.replace(/^[^#].*$/gm, ''), name)
    expect(writeQtable(header as SearchHeader, modes)).toBe(text)
  })
})

const seed = shared('tpu-mlir', 'yolov3_tiny_cali_table.txt')
it.skipIf(!seed)('the calibration table of the documented flow has its 35 layers', () => {
  const { thresholds } = readCalibrationTable(readFileSync(seed!, 'utf8'), seed!)
  expect(thresholds.size).toBe(35)
  expect(thresholds.get('input_1')).toEqual({ threshold: 0.9969059, min: 0, max: 1.000008 })
})

describe.skipIf(!hasGolden)('what the vendor’s files say, we understand', () => {
  it('multipliers, tables and weights of small', () => {
    const arrays = readNpzOf('small', 'tpu_int8_lowered_weights.npz')
    const graph = readTpu(textOf('small', 'small_int8_tpu.mlir'), arrays, 'small_int8_tpu.mlir')
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

  it('and that the layer its search chose does harm: its list is worst first', () => {
    const { header, losses } = readLossTable(textOf('street_tiny', 'full_loss_table.txt'), 't')
    const [theirs] = [...readQtable(textOf('street_tiny', 'street_tiny_qtable'), 'q').modes.keys()]
    const lossOf = (layer: string) => losses.find((row) => row.layer === layer)!.loss
    expect(lossOf(theirs!)).toBeGreaterThan(header.int8Loss!)
    expect(lossOf('convolution_output12_Conv')).toBeLessThan(1.02 * header.int8Loss!)
  })
})
