/** A quantize table of another tool may name nodes that are part of a larger layer here. */
import { expect, test } from 'vitest'
import { onnxBuilder } from '../../src/ir/onnx/builder.js'
import { fusedInto } from '../../src/ir/onnx/fused.js'
import { importOnnx } from '../../src/ir/onnx/import.js'
import { checkQtable, readQtable } from '../../src/search/qtable.js'

/** Conv, BatchNormalization, and x * sigmoid(x), as exporters write SiLU; a second Conv behind it. */
function silu(): Uint8Array {
  const b = onnxBuilder('silu')
  const conv = (from: string, to: string, ic: number, oc: number) =>
    b.node('Conv', [from, b.weight(`${to}_w`, [oc, ic, 1, 1], new Float32Array(oc * ic).fill(0.25))], to, {
      kernel_shape: [1, 1],
    })
  const four = (name: string) => b.weight(name, [4], new Float32Array(4).fill(1))
  b.input('x', [1, 3, 8, 8])
  const even = b.node(
    'BatchNormalization',
    [conv('x', 'conv', 3, 4), four('scale'), four('shift'), four('mean'), four('var')],
    'even',
  )
  conv(b.node('Mul', [even, b.node('Sigmoid', [even], 'gate')], 'act'), 'last', 4, 2)
  b.output('last', [1, 2, 8, 8])
  return b.finish()
}

const preprocess = {
  pixelFormat: 'rgb',
  mean: [0, 0, 0],
  scale: [1, 1, 1],
  keepAspectRatio: false,
  padValue: 0,
  padType: 'center',
} as const

test('the layer that a node went into is proposed, with the place in the table', () => {
  const bytes = silu()
  const graph = importOnnx(bytes, { file: 'silu.onnx', name: 'silu', preprocess })
  const layers = new Set(graph.nodes.map(({ name }) => name))
  // The premise: of five nodes three are layers.
  expect([...layers].filter((name) => name !== 'x')).toHaveLength(3)
  const layer = fusedInto(bytes, 'silu.onnx', layers)
  expect(layer('gate_Sigmoid')).toBe('act_Mul')
  expect(layers.has(layer('conv_Conv') ?? 'none')).toBe(true)
  expect(layers.has(layer('even_BatchNormalization') ?? 'none')).toBe(true)
  expect(layer('nowhere_Conv')).toBeUndefined()

  const text = '# by hand\nlast_Conv F32\ngate_Sigmoid F16\n'
  const check = () =>
    checkQtable(graph, readQtable(text, 'q'), 'q', (known, name) => fusedInto(bytes, 'silu.onnx', known)(name))
  expect(check).toThrow(
    expect.objectContaining({
      hint: 'that node of the model is part of the layer "act_Mul": write that',
      place: expect.objectContaining({ file: 'q', line: 3, column: 1 }),
    }),
  )
  const typo = readQtable('last_Cnv F32\n', 'q')
  expect(() => checkQtable(graph, typo, 'q', (known, name) => fusedInto(bytes, 'silu.onnx', known)(name))).toThrow(
    expect.objectContaining({ hint: 'did you mean "last_Conv"?' }),
  )
})
