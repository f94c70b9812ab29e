/** Bytes that are no usable ONNX file end in one clear error, whatever is wrong with them. */
import { describe, expect, it } from 'vitest'
import { QuantError } from '../../src/errors.js'
import { emitOnnx } from '../../src/ir/emit.js'
import { importOnnx } from '../../src/ir/onnx/import.js'
import { TensorProto_DataLocation } from '../../src/ir/onnx/onnx_pb.js'
import { inspectOnnx, parseOnnx } from '../../src/ir/onnx/read.js'
import { edited, model, numbers } from './helper.js'

/** Operators of every kind, constants that compute a shape among them. */
const small = model([1, 3, 8, 8], (b) => {
  b.node('Conv', ['x', b.random('w', [4, 3, 3, 3]), b.random('b', [4])], 'c', { pads: [1, 1, 1, 1], strides: [2, 2] })
  b.node('Relu', ['c'], 'r')
  b.node('MaxPool', ['r'], 'p', { kernel_shape: [2, 2], strides: [2, 2] })
  b.node('Resize', ['p', '', b.floats('s', [1, 1, 2, 2])], 'u', { mode: 'nearest' })
  b.node('Concat', ['u', 'r'], 'k', { axis: 1 })
  b.node('Shape', ['k'], 'shape')
  b.node('Gather', ['shape', b.integers('zero', [0])], 'batch')
  b.node('Concat', ['batch', b.integers('rest', [-1])], 'target', { axis: 0 })
  b.node('Reshape', ['k', 'target'], 'f')
  b.node('Gemm', ['f', b.random('m', [128, 5])], 'y', {})
})

const read = (bytes: Uint8Array) => importOnnx(bytes, { file: 'net.onnx', name: 'net' })

describe('a file that is no ONNX model', () => {
  it.each([
    ['empty', new Uint8Array(), '`net.onnx` (0 bytes) is empty'],
    ['text', new TextEncoder().encode('name: yolo\npath: a.onnx\n'), '`net.onnx` (24 bytes) is no ONNX model'],
    ['a JPEG', Uint8Array.of(255, 216, 255, 224, 0, 16, 74, 70), '`net.onnx` (8 bytes) is no ONNX model'],
    [
      'cut in half',
      small.subarray(0, small.length / 2),
      `\`net.onnx\` (${Math.floor(small.length / 2)} bytes) is no ONNX model`,
    ],
    ['without a graph', edited(small, (m) => delete m.graph), 'has no graph'],
    ['without nodes', edited(small, (m) => void m.graph!.node.splice(0)), 'has no graph'],
  ])('%s', (_, bytes, message) => {
    for (const use of [parseOnnx, inspectOnnx]) {
      const error = failure(() => use(bytes, 'net.onnx'))
      expect(error.message).toContain(message)
      expect([error.code, typeof error.hint]).toEqual(['input', 'string'])
    }
  })

  it('weights in another file are named', () => {
    const bytes = edited(small, ({ graph }) => {
      graph!.initializer[0]!.dataLocation = TensorProto_DataLocation.EXTERNAL
    })
    expect(failure(() => read(bytes)).message).toBe(
      `\`net.onnx\` (${bytes.length} bytes) keeps weight \`w\` in another file`,
    )
  })

  it('a weight with too few bytes is named', () => {
    const bytes = edited(small, ({ graph }) => {
      graph!.initializer[0]!.rawData = new Uint8Array(12)
    })
    expect(failure(() => read(bytes)).message).toBe(
      'tensor `w` of `net.onnx` has 12 bytes, too many or too few for shape 4x3x3x3',
    )
  })
})

describe('damaged bytes never crash', () => {
  it('cut off at any place', () => {
    expect(read(small).nodes.length).toBe(7)
    for (let size = 0; size < small.length; size += 7) expectSound(small.slice(0, size))
  })

  it('with any byte changed', () => {
    let refused = 0
    for (let at = 0; at < small.length; at++) {
      // Nodes come first; behind them are mostly weights, in which one change is as good as the next.
      if (at > 1000 && at % 8 !== 0) continue
      for (const flip of [1, 128, 255]) {
        const bytes = small.slice()
        bytes[at]! ^= flip
        if (!expectSound(bytes)) refused++
      }
    }
    expect(refused).toBeGreaterThan(300)
  })

  it('at random', () => {
    const noise = numbers(60_000)
    for (let i = 0; i < 300; i++)
      expectSound(Uint8Array.from(noise.subarray(i * 200, i * 200 + (i % 200)), (x) => (x + 1) * 128))
  })
})

describe('a summary for the config check', () => {
  it('tells opset, inputs, outputs and tensors', () => {
    expect(inspectOnnx(small, 'net.onnx')).toEqual({
      opset: 13,
      inputs: [{ name: 'x', shape: [1, 3, 8, 8] }],
      outputs: ['y'],
      tensors: ['c', 'r', 'p', 'u', 'k', 'shape', 'batch', 'target', 'f', 'y'],
    })
  })

  it('leaves out initializers that are listed as inputs, and marks what is dynamic', () => {
    const bytes = edited(small, ({ graph }) => {
      const [x] = graph!.input
      graph!.input.push({ ...structuredClone(x!), name: 'w' }, { ...structuredClone(x!), name: 'z' })
      const type = x!.type!.value
      if (type.case === 'tensorType') type.value.shape!.dim[0]!.value = { case: 'dimParam', value: 'N' }
      delete graph!.input[2]!.type
    })
    expect(inspectOnnx(bytes, 'net.onnx').inputs).toEqual([
      { name: 'x', shape: [undefined, 3, 8, 8] },
      { name: 'z', shape: undefined },
    ])
  })
})

function failure(action: () => unknown): QuantError {
  try {
    action()
  } catch (error) {
    expect(error).toBeInstanceOf(QuantError)
    return error as QuantError
  }
  throw new Error('expected a QuantError')
}

/** Either a graph that can be written again or a QuantError; anything else fails the test. */
function expectSound(bytes: Uint8Array): boolean {
  try {
    emitOnnx(read(bytes))
    return true
  } catch (error) {
    if (!(error instanceof QuantError)) throw error
    expect(error.message.length).toBeLessThan(500)
    expect(['input', 'model']).toContain(error.code)
    return false
  }
}
