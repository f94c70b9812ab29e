import { describe, expect, it } from 'vitest'
import type { Thresholds } from '../../src/calibrate/threshold.js'
import { QuantError } from '../../src/errors.js'
import { layersOf } from '../../src/ir/mlir/layers.js'
import { parseModule } from '../../src/ir/mlir/parse.js'
import { double, quoted } from '../../src/ir/mlir/print.js'
import { type NpyArray, readNpz, writeNpz } from '../../src/ir/npz.js'
import { readTop } from '../../src/ir/top/read.js'
import { topWeights, writeTop } from '../../src/ir/top/write.js'
import { damaged } from './damage.js'
import { everyFloatOp } from './graphs.js'

/** The vendor's float weights are not at hand: zeros of the stated shapes stand for them. */
function zeroWeights(text: string): Map<string, NpyArray> {
  return new Map(
    layersOf(parseModule(text, 'x')).weights.map(({ name, type: { shape } }) => [
      name,
      { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
    ]),
  )
}

const weights = new Map(topWeights(everyFloatOp))
const text = writeTop(everyFloatOp, { weightFile: 'every_weight.npz' })

function failure(broken: string, arrays: ReadonlyMap<string, NpyArray> = weights): QuantError {
  try {
    readTop(broken, arrays, 'net.mlir')
  } catch (error) {
    if (error instanceof QuantError) return error
    throw error
  }
  throw new Error('it was read')
}

describe('the vendor’s files', () => {
  it('older files have inline locations, placeholders and comments', () => {
    const older = `
      module attributes {module.name = "demo", module.weight_file = "demo.npz", // by hand
                         module.state = "TOP_CALIBRATED", module.chip = "ALL"} {
        func.func @main(%arg0: tensor<1x3x8x8xf32>) -> tensor<1x4x8x8xf32> {
          %0 = "top.None"() : () -> none
          %1 = "top.Input"(%arg0) {pixel_format = "rgb", channel_format = "nchw", keep_aspect_ratio = true,
               pad_type = "center", pad_value = 128 : i64, mean = [0.0, 0.0, 0.0], scale = [0.5, 0.5, 0.5],
               resize_dims = []} : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32> loc("img")
          %2 = "top.Weight"() : () -> tensor<4x3x3x3xf32> loc(fused["w0"])
          %4 = "top.Conv"(%1, %2, %0) {kernel_shape = [3,3], strides = [1,1], dilations = [1,1], pads = [1,1,1,1],
               group = 1 : i64, do_relu = false, relu_limit = -1.0 : f64}
               : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, none)
               -> tensor<1x4x8x8x!quant.calibrated<f32<-6.1:6.1>>> loc(fused["c0_Conv", "extra"])
          %5 = "top.Slice"(%4, %0) {offset = [0, 1, 0, 0], steps = [1, 2, 3, 1]}
               : (tensor<1x4x8x8xf32>, none) -> tensor<1x2x2x8xf32> loc("cut_Slice")
          return %5 : tensor<1x2x2x8xf32>
        }
      }`
    const graph = readTop(older, zeroWeights(older), 'demo.mlir')
    expect(graph.nodes.map(({ name, inputs, shape }) => [name, inputs, shape])).toEqual([
      ['img', [], [1, 3, 8, 8]],
      ['c0_Conv', ['img', 'w0'], [1, 4, 8, 8]],
      ['cut_Slice', ['c0_Conv'], [1, 2, 2, 8]],
    ])
    expect(graph.nodes[0]!.op).toEqual({
      type: 'Input',
      preprocess: {
        pixelFormat: 'rgb',
        mean: [0, 0, 0],
        scale: [0.5, 0.5, 0.5],
        keepAspectRatio: true,
        padValue: 128,
        padType: 'center',
      },
    })
    // Channels 1 and 3, rows 0 and 3, all columns: the ends that such files leave out.
    expect(graph.nodes[2]!.op).toMatchObject({ ends: [1, 4, 4, 8] })
    expect(graph.outputs).toEqual(['cut_Slice'])
  })
})

describe('our files', () => {
  it('every op, attribute, shape, weight and output comes back', () => {
    const stored = readNpz(writeNpz(topWeights(everyFloatOp)), 'every_weight.npz')
    expect(readTop(text, stored, 'net.mlir')).toEqual(everyFloatOp)
  })
  it('leave out weights that no layer reads', () => {
    const spare = { shape: [1], data: new Float32Array(1) }
    const graph = { ...everyFloatOp, weights: new Map([...everyFloatOp.weights, ['spare', spare] as const]) }
    expect(writeTop(graph, { weightFile: 'every_weight.npz' })).toBe(text)
    expect(topWeights(graph).map(([name]) => name)).toEqual(['w', 'b', 'factor', 'right', 'bias', 'square', 'turned'])
  })
  it('after calibration say the range of each layer and of the function’s results', () => {
    const thresholds: Thresholds = new Map([
      ['images:0', { threshold: 1.000008, min: 0, max: 1 }],
      ['nhwc', { threshold: 9.8488722, min: -1e-7, max: 12 }],
      ['leaky', { threshold: 2, min: -0, max: 3 }],
    ])
    const calibrated = writeTop(everyFloatOp, { weightFile: 'w.npz', thresholds })
    expect(calibrated).toContain('module.state = "TOP_CALIBRATED"')
    expect(calibrated).toContain(
      '-> (tensor<2x3xf32>, tensor<1x4x4x8x!quant.calibrated<f32<-9.8488722000000006:9.8488722',
    )
    expect(calibrated).toContain('-> tensor<1x3x8x8x!quant.calibrated<f32<0.000000e+00:1.000008>>> loc(#loc1)')
    expect(calibrated).toContain('tensor<1x4x4x8x!quant.calibrated<f32<0.000000e+00:2.000000e+00>>> loc')
    expect(readTop(calibrated, weights, 'net.mlir')).toEqual(everyFloatOp)
  })
})

describe('numbers and names as MLIR prints them', () => {
  it.each([
    [0, '0.000000e+00'],
    [-0, '-0.000000e+00'],
    [-1, '-1.000000e+00'],
    [0.0039216, '3.921600e-03'],
    [123456, '1.234560e+05'],
    [1.000008, '1.000008'],
    [14.944839, '14.944839'],
    [-9.8488722, '-9.8488722000000006'],
    [Math.fround(0.1), '0.10000000149011612'],
    [Math.fround(0.0039216), '0.0039216000586748123'],
    [0.001513533725490196, '0.001513533725490196'],
    [0.000123456789, '1.23456789E-4'],
    [1234567000, '1234567000'],
    [12345670000, '1.234567E+10'],
    [12345678.9, '12345678.9'],
    [-Infinity, '0xFFF0000000000000'],
  ])('%d', (value, printed) => {
    expect(double(value)).toBe(printed)
  })
  it('read back as the same number', () => {
    for (let i = 1, bits = 1n; i <= 2000; i++) {
      bits = BigInt.asUintN(64, bits * 6364136223846793005n + 1442695040888963407n)
      const value = new Float64Array(new BigUint64Array([bits]).buffer)[0]!
      if (Number.isFinite(value)) expect(Number(double(value))).toBe(value)
    }
  })
  it('are quoted byte by byte', () => {
    expect(quoted('a/b:0 "q" \\ ö\n')).toBe('"a/b:0 \\22q\\22 \\\\ \\C3\\B6\\0A"')
  })
})

describe('what is wrong is said with its place', () => {
  const lineOf = (part: string) => text.slice(0, text.indexOf(part)).split('\n').length

  it('a missing bracket', () => {
    const error = failure(text.replace('"top.Softmax"(', '"top.Softmax"'))
    expect(error.message).toBe(`net.mlir: expected '('`)
    expect(error.place).toMatchObject({ file: 'net.mlir', line: lineOf('"top.Softmax"') })
  })
  it('the column', () => {
    const error = failure('#loc = loc(unknown)\nmodule atributes {} {')
    expect(error.place).toEqual({ file: 'net.mlir', line: 2, column: 8, text: 'module atributes {} {' })
  })
  it.each([
    ['an op that is not known', '"top.SiLU"', '"top.Gelu"', 'op "top.Gelu" is not supported'],
    ['an attribute that is missing', 'alpha =', 'beta =', '"top.LeakyRelu" has no attribute alpha'],
    ['an attribute of another kind', 'alpha = 0.1', 'alpha = true, beta = 0.1', 'attribute alpha must be a number'],
    ['a list of another length', 'order = [0, 2, 3, 1]', 'order = [0, 2, 3]', 'order must be a list of 4 integers'],
    ['a feature we lack', 'mode = 0', 'mode = 1', '"top.Pad": mode other than 0 is not supported'],
    ['the least instead of the largest', '"ArgMax"', '"ArgMin"', '"top.Arg": mode other than ArgMax is not supported'],
    [
      'the last of equals',
      'select_last_index = false',
      'select_last_index = true',
      'select_last_index other than false',
    ],
    ['a name that is only ours', '"top.Arg"', '"top.ArgMax"', 'op "top.ArgMax" is not supported'],
    ['more operands than types', '"top.SiLU"(%13)', '"top.SiLU"(%13, %13)', '2 operands and 1 operand types'],
    [
      'more operands than the op takes',
      '"top.SiLU"(%13) : (',
      '"top.SiLU"(%13, %13) : (tensor<1xf32>, ',
      '"top.SiLU" has 2 operands',
    ],
    [
      'a shape that the op does not give',
      '-> tensor<1x4x4x8xf32> loc(#loc9)',
      '-> tensor<1x4x4x9xf32> loc(#loc9)',
      'mul',
    ],
    ['a value from nowhere', '"top.SiLU"(%', '"top.SiLU"(%9', 'is not defined before this'],
    ['a name given twice', 'loc("leaky")', 'loc("relu")', "name 'relu' is given twice"],
    ['a name taken away', 'loc("leaky")', 'loc(unknown)', 'has no name'],
    ['a weight of another shape', 'tensor<4xf32>', 'tensor<5xf32>', "weight 'b' is 5 here, 4 in its file"],
    ['a tensor beyond all numbers', '-> tensor<1x3x8x8x', '-> tensor<99999999x99999999x8x8x', 'is too large'],
    ['aliases in a circle', '= loc("leaky")', '= loc(#loc1)\n#loc1 = loc(#loc2)\n#loc2 = loc(#loc1)', 'has no name'],
  ])('%s', (_, part, by, message) => {
    expect(text).toContain(part)
    const error = failure(text.replace(part, by))
    expect(error.message).toContain(message)
    expect(error.place?.line).toBeGreaterThan(1)
    expect(error.hint).toBeDefined()
  })
  it('a weight that its file lacks or holds as another type', () => {
    const { data: _, ...rest } = { ...weights.get('w')!, data: null }
    expect(failure(text, new Map()).message).toContain("weight 'w' is not in the weight file")
    const bytes = new Map([...weights, ['w', { ...rest, data: new Int8Array(36) }] as const])
    expect(failure(text, bytes).message).toContain("weight 'w' is not float32")
  })
})

describe('damage', () => {
  it('of any kind gives a graph or a QuantError', () => {
    let refused = 0
    let pieces = 0
    for (const broken of damaged(text, 13)) {
      pieces++
      try {
        readTop(broken, weights, 'net.mlir')
      } catch (error) {
        if (!(error instanceof QuantError)) throw new Error(`not a QuantError for:\n${broken}`, { cause: error })
        expect(error.place?.file).toBe('net.mlir')
        refused++
      }
    }
    expect(refused).toBeGreaterThan(pieces / 2)
  })
  it.each([
    ['brackets', `module attributes {a = ${'['.repeat(1e6)}`],
    ['parentheses', `module attributes {} { func.func @main() { %0 = "top.None"() : () -> none loc${'('.repeat(1e6)}`],
    ['blanks', `${' '.repeat(4e6)}module`],
    ['a string without an end', `module attributes {a = "${'a'.repeat(4e6)}`],
    ['dimensions', `module attributes {} { func.func @main(%0: tensor<${'1x'.repeat(1e6)}`],
  ])('a million %s neither hang nor crash', (_, monster) => {
    expect(failure(monster)).toBeInstanceOf(QuantError)
  })
})
