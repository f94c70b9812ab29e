/** Pictures with channels last, as TensorFlow's converters leave them: the input itself is turned. */
import { describe, expect, it } from 'vitest'
import { inputsOf, type Tensor } from '../../src/ir/graph.js'
import { DataType } from '../../src/ir/onnx/builder.js'
import type { ImportOptions } from '../../src/ir/onnx/import.js'
import { edited, imported, model, opTypes, relativeError, run, runGraph, tensor } from './helper.js'

const last = [1, 6, 8, 3]
const toFirst = { perm: [0, 3, 1, 2] }
type Build = Parameters<Parameters<typeof model>[1]>[0]

const conv = (b: Build, x: string): string => b.node('Conv', [x, b.random('w', [4, 3, 3, 3])], 'y')

const preprocess: NonNullable<ImportOptions['preprocess']> = {
  pixelFormat: 'rgb',
  mean: [0, 0, 0],
  scale: [1, 1, 1],
  keepAspectRatio: true,
  padValue: 0,
  padType: 'center',
}

/** The picture as the file wants it. */
function channelsLast({ shape, data }: Tensor): Tensor {
  const [n, c, h, w] = shape as [number, number, number, number]
  return { shape: [n, h, w, c], data: data.map((_, i) => data[(i % c) * h * w + Math.floor(i / c)]!) }
}

const cases: readonly (readonly [what: string, ops: readonly string[], onnx: Uint8Array])[] = [
  ['turned at once', ['Conv'], model(last, (b) => conv(b, b.node('Transpose', ['x'], 't', toFirst)))],
  [
    'scaled, moved and padded before it is turned',
    // The padding goes on into the convolution.
    ['Mul', 'Sub', 'Conv'],
    model(last, (b) => {
      const scaled = b.node('Mul', ['x', b.floats('two', [2], [])], 'scaled')
      const moved = b.node('Sub', [scaled, b.floats('mean', [0.1, 0.2, 0.3])], 'moved')
      const padded = b.node('Pad', [moved, b.integers('p', [0, 0, 1, 0, 0, 2, 1, 0])], 'padded')
      conv(b, b.node('Transpose', [padded], 't', toFirst))
    }),
  ],
  [
    'its channels in another order before it is turned',
    ['Slice', 'Slice', 'Concat', 'Conv'],
    model(last, (b) => {
      const part = (from: number, to: number): string =>
        b.node(
          'Slice',
          ['x', b.integers(`s${from}`, [from]), b.integers(`e${from}`, [to]), b.integers(`a${from}`, [3])],
          `p${from}`,
        )
      const both = b.node('Concat', [part(2, 3), part(0, 2)], 'c', { axis: -1 })
      conv(b, b.node('Transpose', [both], 't', toFirst))
    }),
  ],
]

describe('a picture with channels last', () => {
  it.each(cases)('%s', async (_, ops, onnx) => {
    const graph = imported(onnx, { preprocess })
    expect(inputsOf(graph)).toEqual([{ name: 'x', op: { type: 'Input', preprocess }, inputs: [], shape: [1, 3, 6, 8] }])
    expect(opTypes(graph)).toEqual(ops)
    const picture = tensor([1, 3, 6, 8])
    const [want] = (await run(onnx, { x: channelsLast(picture) })).values()
    const [got] = (await runGraph(graph, { x: picture })).values()
    expect(relativeError(got!, want!)).toBeLessThan(1e-6)
  })

  it('as 8-bit integers that are cast at once', () => {
    const onnx = edited(cases[0]![2], ({ graph }) => {
      const { value } = graph!.input[0]!.type!
      if (value.case === 'tensorType') value.value.elemType = DataType.UINT8
      const [turn] = graph!.node
      graph!.node.unshift({ ...turn!, opType: 'Cast', name: 'cast', input: ['x'], output: ['f'], attribute: [] })
      graph!.node[0]!.attribute.push({ ...turn!.attribute[0]!, name: 'to', type: 2, i: 1n, ints: [] })
      turn!.input = ['f']
    })
    expect(opTypes(imported(onnx, { preprocess }))).toEqual(['Conv'])
    const direct = edited(onnx, ({ graph }) => {
      graph!.node.splice(0, 1)
      graph!.node[0]!.input = ['x']
    })
    expect(() => imported(direct)).toThrow('input `x` of `m.onnx` is no float tensor')
  })

  it('that something else reads, too, stays as it is, and no picture fits it', () => {
    const onnx = model(
      last,
      (b) => {
        conv(b, b.node('Transpose', ['x'], 't', toFirst))
        b.node('Softmax', ['x'], 'soft')
      },
      { outputs: ['y', 'soft'] },
    )
    expect(inputsOf(imported(onnx))[0]!.shape).toEqual(last)
    expect(() => imported(onnx, { preprocess })).toThrow('no input of `m.onnx` takes rgb pictures')
  })
})
