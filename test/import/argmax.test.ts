/** ArgMax at the end of a network, as exporters write it: indices that are integers there and float32 here. */
import { describe, expect, it } from 'vitest'
import { QuantError } from '../../src/errors.js'
import { TensorProto_DataType as Type } from '../../src/ir/onnx/onnx_pb.js'
import { imported, model, names, opTypes, run, runGraph, tensor } from './helper.js'

const shape = [2, 5, 6, 7]

const ending = (attributes: Record<string, number>, to?: Type, opset = 13): Uint8Array =>
  model(
    shape,
    (b) => {
      const index = b.node('ArgMax', ['x'], to === undefined ? 'y' : 'i', attributes)
      if (to !== undefined) b.node('Cast', [index], 'y', { to })
    },
    {
      opset,
      edit: ({ graph }) => {
        const type = graph!.output[0]!.type!.value
        if (type.case === 'tensorType') type.value.elemType = to ?? Type.INT64
      },
    },
  )

const refusal = (onnx: Uint8Array): [string, string | undefined] => {
  try {
    imported(onnx)
  } catch (error) {
    if (error instanceof QuantError) return [error.message, error.hint]
    throw error
  }
  throw new Error('it was imported')
}

describe('the indices are those of onnxruntime', () => {
  it.each([9, 11, 12, 13, 17, 21])('of opset %i', async (opset) => {
    for (const axis of [0, 1, 2, 3])
      for (const keepdims of [0, 1]) {
        const onnx = ending({ axis, keepdims }, undefined, opset)
        const graph = imported(onnx)
        expect(names(graph)).toEqual(['x', 'y_ArgMax'])
        const feeds = { x: tensor(shape) }
        const want = (await run(onnx, feeds)).get('y')!
        const got = (await runGraph(graph, feeds)).get('y_ArgMax')!
        expect(got.data).toBeInstanceOf(Float32Array)
        expect(got.shape).toEqual(want.shape)
        expect([...got.data]).toEqual(Array.from(want.data, Number))
        expect(new Set(got.data).size).toBe(shape[axis])
      }
  })

  it.each([Type.INT32, Type.INT64, Type.FLOAT])('as type %i, which leaves nothing behind', (to) => {
    const graph = imported(ending({ axis: -1 }, to))
    expect(graph.nodes.at(-1)).toMatchObject({ name: 'i_ArgMax', op: { axis: 3, keepDims: true }, shape: [2, 5, 6, 1] })
    expect(opTypes(graph)).toEqual(['ArgMax'])
  })
})

describe('refused are', () => {
  it('the last one of equal values', () => {
    expect(refusal(ending({ axis: 1, select_last_index: 1 }))).toEqual([
      'ArgMax `y` of `m.onnx`: takes the last one of equal values, only the first one is supported',
      'export it without select_last_index',
    ])
  })

  it('axes that there are not, types that indices may not fit', () => {
    expect(refusal(ending({ axis: 4 }))[0]).toBe('ArgMax `y` of `m.onnx`: axis 4 is out of range for rank 4')
    expect(refusal(ending({ axis: 1 }, Type.UINT8))[0]).toBe(
      'Cast `y` of `m.onnx`: casts a computed tensor to integers',
    )
  })

  it('with the tensor to cut at', () => {
    const onnx = model(shape, (b) => b.node('ArgMax', [b.node('Relu', ['x'], 'r')], 'y', { select_last_index: 1 }))
    expect(refusal(onnx)[1]).toContain('end the network before it: model.outputs: [r]')
  })
})
