/** From a file to a graph: names, cutting, sizes, constants, and what is said when it cannot be done. */
import { describe, expect, it } from 'vitest'
import { QuantError } from '../../src/errors.js'
import type { Preprocess } from '../../src/ir/graph.js'
import { TensorProto_DataType as Type } from '../../src/ir/onnx/onnx_pb.js'
import { halfToNumber } from '../../src/ir/onnx/tensor.js'
import { edited, expectSame, imported, model, names, opTypes } from './helper.js'

const shape = [1, 3, 8, 8]

/** Two heads on one trunk. */
const heads = model(
  shape,
  (b) => {
    b.node('Conv', ['x', b.random('w', [4, 3, 1, 1])], 'trunk')
    b.node('LeakyRelu', ['trunk'], 'leaky')
    b.node('Conv', ['leaky', b.random('v', [6, 4, 1, 1])], 'head_a')
    b.node('MaxPool', ['leaky'], 'pooled', { kernel_shape: [2, 2], strides: [2, 2] })
    b.node('Sigmoid', ['pooled'], 'head_b')
  },
  { outputs: ['head_a', 'head_b'] },
)

const message = (action: () => unknown): readonly [string, string | undefined] => {
  try {
    action()
  } catch (error) {
    if (error instanceof QuantError) return [error.message, error.hint]
    throw error
  }
  throw new Error('expected a QuantError')
}

describe('names', () => {
  it('are the first output and the ONNX type; inputs stay bare; weights keep theirs', () => {
    const graph = imported(heads)
    expect(names(graph)).toEqual([
      'x',
      'trunk_Conv',
      'leaky_LeakyRelu',
      'head_a_Conv',
      'pooled_MaxPool',
      'head_b_Sigmoid',
    ])
    expect([...graph.weights.keys()]).toEqual(['w', 'v'])
  })

  it('parts of a Split are called after the last one', () => {
    const bytes = model([1, 6, 2, 2], (b) => b.node('Split', ['x'], 'p', { axis: 1 }), {
      outputs: ['q', 'p'],
      edit: ({ graph }) => void graph!.node[0]!.output.push('q'),
    })
    expect(imported(bytes).outputs).toEqual(['q_1_Split', 'q_0_Split'])
  })

  it('of weights give way to those of layers', async () => {
    const graph = await expectSame(
      model(
        shape,
        (b) => b.node('Conv', ['x', b.random('y_Relu', [4, 3, 1, 1])], 'c') && void b.node('Relu', ['c'], 'y'),
      ),
    )
    expect(names(graph)).toEqual(['x', 'y_Relu'])
    expect([...graph.weights.keys()]).toEqual(['y_Relu_2'])
  })
})

describe('cutting', () => {
  it('gives the outputs in the order asked for and drops the rest', () => {
    const swapped = imported(heads, { outputs: ['head_b', 'trunk'] })
    expect(swapped.outputs).toEqual(['head_b_Sigmoid', 'trunk_Conv'])
    const one = imported(heads, { outputs: ['pooled'] })
    expect(names(one)).toEqual(['x', 'trunk_Conv', 'leaky_LeakyRelu', 'pooled_MaxPool'])
    expect([...one.weights.keys()]).toEqual(['w'])
  })

  it('keeps a convolution apart from its relu when both are wanted', () => {
    const bytes = model(shape, (b) => {
      b.node('Conv', ['x', b.random('w', [4, 3, 1, 1])], 'c')
      b.node('Relu', ['c'], 'y')
    })
    expect(opTypes(imported(bytes))).toEqual(['Conv'])
    expect(opTypes(imported(bytes, { outputs: ['c', 'y'] }))).toEqual(['Conv', 'Relu'])
  })

  it('drops inputs that are not needed, whatever they are', () => {
    const bytes = edited(heads, ({ graph }) => {
      const info = structuredClone(graph!.input[0]!)
      info.name = 'image_shape'
      if (info.type?.value.case === 'tensorType') info.type.value.value.elemType = Type.INT64
      graph!.input.unshift(info)
    })
    expect(names(imported(bytes))[0]).toBe('x')
  })

  it('names the nearest tensors when one is unknown', () => {
    expect(message(() => imported(heads, { outputs: ['haed_b'] }))).toEqual([
      '`m.onnx` has no tensor `haed_b`',
      'did you mean `head_b` or `head_a`? model.outputs names tensors of the ONNX file',
    ])
  })

  it('refuses one value asked for twice, and one that is no result', () => {
    const bytes = model(shape, (b) => {
      b.node('Identity', ['x'], 'i')
      b.node('Identity', [b.random('k', [2])], 'constant')
      b.node('Relu', ['i'], 'y')
    })
    expect(message(() => imported(bytes, { outputs: ['x', 'i'] }))[0]).toBe(
      'output `i` of `m.onnx` is the same value as another output',
    )
    expect(message(() => imported(bytes, { outputs: ['constant'] }))[0]).toBe(
      'output `constant` of `m.onnx` does not depend on the input',
    )
  })
})

describe('sizes', () => {
  const dynamic = edited(heads, ({ graph }) => {
    const type = graph!.input[0]!.type!.value
    if (type.case === 'tensorType')
      for (const axis of [0, 2, 3]) type.value.shape!.dim[axis]!.value = { case: 'dimParam', value: 'n' }
  })

  it('are given where the file leaves them open', async () => {
    const graph = await expectSame(dynamic, { inputs: { x: [2, 3, 6, 4] } })
    expect(graph.nodes.map((node) => node.shape)).toEqual([
      [2, 3, 6, 4],
      [2, 4, 6, 4],
      [2, 4, 6, 4],
      [2, 6, 6, 4],
      [2, 4, 3, 2],
      [2, 4, 3, 2],
    ])
  })

  it.each([
    [dynamic, undefined, 'input `x` of `m.onnx` is ?x3x?x?: its size is not fixed'],
    [dynamic, { x: [1, 4, 8, 8] }, 'input `x` of `m.onnx` is ?x3x?x?, model.inputs says 1x4x8x8'],
    [heads, { x: [1, 3, 8, 9] }, 'input `x` of `m.onnx` is 1x3x8x8, model.inputs says 1x3x8x9'],
    [heads, { x: [3, 8, 8] }, 'input `x` of `m.onnx` is 1x3x8x8, model.inputs says 3x8x8'],
    [heads, { images: shape }, '`m.onnx` has no input `images`'],
  ])('are refused when they are missing or contradict (%#)', (bytes, inputs, text) => {
    expect(message(() => imported(bytes, { inputs }))[0]).toBe(text)
  })
})

describe('preprocessing', () => {
  const preprocess: Preprocess = {
    pixelFormat: 'bgr',
    mean: [0, 0, 0],
    scale: [1, 1, 1],
    keepAspectRatio: true,
    padValue: 0,
    padType: 'center',
  }
  it('becomes part of the input', () => {
    expect(imported(heads, { preprocess }).nodes[0]!.op).toEqual({ type: 'Input', preprocess })
  })
  it('must fit the channels', () => {
    expect(message(() => imported(heads, { preprocess: { ...preprocess, pixelFormat: 'gray' } }))).toEqual([
      'no input of `m.onnx` takes gray pictures',
      'inputs: x 1x3x8x8; see preprocess.pixel_format',
    ])
  })
})

describe('constants', () => {
  it('a shape computed from the input in five steps is one Reshape', async () => {
    const bytes = model([2, 3, 4, 5], (b) => {
      b.node('Shape', ['x'], 'all')
      b.node('Gather', ['all', b.integers('i', [0], [])], 'n')
      b.node('Unsqueeze', ['n', b.integers('zero', [0])], 'n1')
      b.node('Slice', ['all', b.integers('from', [2]), b.integers('to', [4])], 'hw')
      b.node('Mul', ['hw', b.integers('ones', [1, 1])], 'hw1')
      b.node('Concat', ['n1', b.integers('rest', [-1]), 'hw1'], 'target', { axis: 0 })
      b.node('Cast', ['target'], 'target64', { to: Type.INT64 })
      b.node('Reshape', ['x', 'target64'], 'r')
      b.node('Relu', ['r'], 'y')
    })
    const graph = await expectSame(bytes)
    expect(names(graph)).toEqual(['x', 'y_Relu'])
  })

  it('float arithmetic between constants happens at import', async () => {
    const bytes = model([2, 3, 4], (b) => {
      b.node('Add', [b.random('a', [3, 1]), b.random('c', [1, 4])], 'sum')
      b.node('Sub', ['sum', b.floats('half', [0.5], [])], 'difference')
      b.node('Div', ['difference', b.floats('three', [3])], 'quotient')
      b.node('Neg', ['quotient'], 'negative')
      b.node('Transpose', ['negative'], 't')
      b.node('Transpose', ['t'], 'back', { perm: [1, 0] })
      b.node('ConstantOfShape', [b.integers('s', [3, 4])], 'zeros')
      b.node('Concat', ['back', 'zeros'], 'both', { axis: 1 })
      b.node('Gather', ['both', b.integers('left', [0, 1, 2, -5])], 'picked', { axis: 1 })
      b.node('Mul', ['x', 'picked'], 'y')
    })
    const graph = await expectSame(bytes)
    expect([...graph.weights]).toHaveLength(1)
    expect(names(graph)).toEqual(['x', 'y_Mul'])
  })

  it('integers divide as integers, towards zero', async () => {
    const bytes = model([2, 7], (b) => {
      b.node('Div', [b.integers('a', [-7]), b.integers('c', [2])], 'q')
      b.node('Add', ['q', b.integers('five', [10])], 'seven')
      b.node('Concat', ['seven', b.integers('two', [2])], 's', { axis: 0 })
      b.node('Reshape', ['x', 's'], 'y')
    })
    expect((await expectSame(bytes)).nodes[1]!.shape).toEqual([7, 2])
  })

  it('Constant nodes, Identity, Dropout and Cast leave nothing behind', async () => {
    const bytes = model(shape, (b) => {
      b.node('Constant', [], 'k', { value_float: 2.5 })
      b.node('Identity', ['x'], 'i')
      b.node('Dropout', ['i'], 'd')
      b.node('Cast', ['d'], 'f', { to: Type.FLOAT })
      b.node('Mul', ['f', 'k'], 'y')
    })
    expect(names(await expectSame(bytes))).toEqual(['x', 'y_Mul'])
  })

  it('are read from every encoding', () => {
    const add = model([2, 3], (b) => b.node('Add', ['x', b.floats('k', [1, -2.5, 0.125])], 'y'))
    const written = (
      edit: (tensor: { dataType: number; rawData: Uint8Array; floatData: number[]; doubleData: number[] }) => void,
    ) => imported(edited(add, ({ graph }) => edit(graph!.initializer[0]!))).weights.get('k')!.data
    const raw = (data: ArrayBufferView) => new Uint8Array(data.buffer)
    const want = Float32Array.of(1, -2.5, 0.125)
    expect(written(() => {})).toEqual(want)
    expect(written((t) => Object.assign(t, { rawData: new Uint8Array(), floatData: [1, -2.5, 0.125] }))).toEqual(want)
    expect(
      written((t) => Object.assign(t, { dataType: Type.DOUBLE, rawData: raw(Float64Array.of(1, -2.5, 0.125)) })),
    ).toEqual(want)
    expect(
      written((t) =>
        Object.assign(t, { dataType: Type.FLOAT16, rawData: raw(Uint16Array.of(0x3c00, 0xc100, 0x3000)) }),
      ),
    ).toEqual(want)
  })

  it('half floats, from the smallest to infinity', () => {
    const bits = [0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x3555, 0x7bff, 0xfbff, 0x7c00, 0xfc00]
    const numbers = [0, -0, 2 ** -24, 1023 * 2 ** -24, 6.103515625e-5, 0.333251953125, 65504, -65504]
    expect(bits.map(halfToNumber)).toEqual([...numbers, Infinity, -Infinity])
    expect(halfToNumber(0x7e00)).toBeNaN()
  })

  it('that are not finite are named', () => {
    const bytes = model(shape, (b) => b.node('Conv', ['x', b.floats('w', [1, Number.NaN, 2], [1, 3, 1, 1])], 'y'))
    expect(message(() => imported(bytes))[0]).toBe('weight `w` of `m.onnx` has a number that is NaN or infinite')
  })

  it('listed as inputs as well are still constants', async () => {
    const bytes = edited(heads, ({ graph }) => {
      for (const { name } of graph!.initializer) graph!.input.push({ ...structuredClone(graph!.input[0]!), name })
    })
    expect(names(imported(bytes))[0]).toBe('x')
    expect(names(imported(bytes))).toHaveLength(6)
  })
})

describe('what is not supported is told with a way out', () => {
  it('every unknown operator once, the first with a hint', () => {
    const bytes = model(shape, (b) => {
      b.node('Conv', ['x', b.random('w', [4, 3, 1, 1])], 'c')
      b.node('Det', ['c'], 'e')
      b.node('Det', ['e'], 'e2')
      b.node('NonZero', ['e2'], 'y')
    })
    try {
      imported(bytes)
      expect.unreachable()
    } catch (error) {
      if (!(error instanceof QuantError)) throw error
      expect(error.code).toBe('model')
      expect(error.message).toBe('operator Det is not supported (node `e` of `m.onnx`)')
      expect(error.hint).toMatch(
        /^end the network before it: model\.outputs: \[c\]; supported: Abs Add ArgMax AveragePool .* Upsample$/,
      )
      expect(error.more.map(({ message }) => message)).toEqual([
        'operator NonZero is not supported (node `y` of `m.onnx`)',
      ])
    }
    expect(opTypes(imported(bytes, { outputs: ['c'] }))).toEqual(['Conv'])
  })

  it('operators of other domains, computed indices, unknown opsets', () => {
    const foreign = edited(heads, ({ graph }) => void Object.assign(graph!.node[1]!, { domain: 'com.microsoft' }))
    expect(message(() => imported(foreign))[0]).toBe(
      'operator com.microsoft.LeakyRelu is not supported (node `leaky` of `m.onnx`)',
    )
    const filled = model(shape, (b) => b.node('ConstantOfShape', ['x'], 'y'))
    expect(message(() => imported(filled))[0]).toBe(
      'operator ConstantOfShape of a computed tensor is not supported (node `y` of `m.onnx`)',
    )
    const indices = model(shape, (b) => b.node('Gather', ['x', b.node('Relu', ['x'], 'r')], 'y'))
    expect(message(() => imported(indices))[0]).toBe(
      'Gather `y` of `m.onnx`: its indices must be constant, but `r` is computed',
    )
    expect(message(() => imported(model(shape, (b) => b.node('Relu', ['x'], 'y'), { opset: 7 })))).toEqual([
      '`m.onnx` has opset 7, known are 9 to 21',
      'export it with opset 13',
    ])
  })

  it('nodes out of order and tensors made twice', () => {
    const shuffled = edited(heads, ({ graph }) => void graph!.node.reverse())
    expect(message(() => imported(shuffled))[0]).toBe(
      'Sigmoid `head_b` of `m.onnx`: reads `pooled`, which nothing makes before it',
    )
    const twice = edited(heads, ({ graph }) => void graph!.node.push(graph!.node[0]!))
    expect(message(() => imported(twice))[0]).toBe('tensor `trunk` of `m.onnx` is made by two nodes')
  })
})
