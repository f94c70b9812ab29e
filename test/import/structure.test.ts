/** Operators of structure, as every opset writes them, against onnxruntime on the original file. */
import { describe, expect, it } from 'vitest'
import { expectSame, opTypes } from './helper.js'
import { structureCases } from './structure-cases.js'
import { structureNets } from './structure-nets.js'

describe('an operator of structure gives what onnxruntime gives', () => {
  it.each(structureCases)('%s', async (_, ops, onnx) => {
    const graph = await expectSame(onnx)
    if (ops) expect(opTypes(graph)).toEqual(ops)
  })
})

describe('a piece of a network gives what onnxruntime gives', () => {
  it.each(Object.entries(structureNets))('%s', async (_, { onnx }) => {
    await expectSame(onnx())
  })
})
