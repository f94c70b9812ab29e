/** Structure over random shapes: onnxruntime on the file, the imported graph, and in 8 bit the executor and the machine. */
import { expect, it } from 'vitest'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import { lower } from '../../src/quantize/lower.js'
import { expectSame, model } from '../import/helper.js'
import { differences, executed, onMachine, picture } from './net.js'
import { random } from './random.js'

const cases = 12

type Pick = (least: number, most: number) => number

const check = async (onnx: Uint8Array): Promise<void> => {
  const graph = await expectSame(onnx)
  const thresholds = new Map(graph.nodes.map(({ name }, i) => [name, { threshold: 1 + (i % 3), min: -1, max: 1 }]))
  const q = lower(graph, thresholds, () => 'INT8')
  const x = picture(graph.nodes[0]!.shape).map((value) => 2 * value - 1)
  const name = graph.nodes[0]!.name
  const expected = await executed(q, { [name]: x })
  expect(differences(onMachine(generate(q), new Map([[name, x]])), expected)).toBe(0)
}

const makers: Readonly<Record<string, (pick: Pick) => Uint8Array>> = {
  ConvTranspose(pick) {
    const groups = [1, 1, 2, 3][pick(0, 3)]!
    const [ic, oc] = [groups * pick(1, 40), pick(1, 40)]
    const kernel = [pick(1, 4), pick(1, 4)]
    const strides = [pick(1, 3), pick(1, 3)]
    const pads = [0, 1, 2, 3].map((side) => pick(0, kernel[side % 2]! - 1))
    const output_padding = strides.map((stride) => pick(0, stride - 1))
    return model([pick(1, 2), ic, pick(2, 9), pick(2, 9)], (b) => {
      b.node('ConvTranspose', ['x', b.random('w', [ic, oc, ...kernel]), b.random('b', [oc * groups])], 'y', {
        ...{ strides, pads, output_padding, group: groups },
      })
    })
  },
  Gather(pick) {
    const shape = Array.from({ length: pick(2, 5) }, () => pick(2, 9))
    const axis = pick(0, shape.length - 1)
    const indices = Array.from({ length: pick(1, 9) }, () => pick(0, shape[axis]! - 1))
    return model(shape, (b) => b.node('Gather', ['x', b.integers('i', indices)], 'y', { axis }))
  },
  Transpose(pick) {
    const shape = Array.from({ length: pick(2, 5) }, () => pick(1, 7))
    const perm = shape.map((_, axis) => axis)
    for (let at = perm.length - 1; at > 0; at--) {
      const other = pick(0, at)
      ;[perm[at], perm[other]] = [perm[other]!, perm[at]!]
    }
    return model([...shape, 2], (b) => b.node('Transpose', ['x'], 'y', { perm: [...perm, shape.length].reverse() }))
  },
  MatMul(pick) {
    const [stack, k] = [[pick(1, 3), pick(2, 3)], pick(1, 70)]
    return model([...stack, pick(1, 9), k], (b) =>
      b.node('MatMul', ['x', b.random('w', [...stack, k, pick(1, 70)])], 'y'),
    )
  },
  Pow(pick) {
    const shape = [1, pick(1, 70), pick(1, 9), pick(1, 9)]
    return model(shape, (b) => b.node('Pow', [b.node('Sigmoid', ['x'], 's'), b.node('Tanh', ['x'], 't')], 'y'))
  },
  ReduceMax(pick) {
    const shape = Array.from({ length: pick(2, 5) }, () => pick(2, 7))
    const axes = shape.map((_, axis) => axis).filter(() => pick(0, 1) === 1)
    const keepdims = pick(0, 1)
    return model(shape, (b) => b.node('ReduceMax', ['x'], 'y', { axes: axes.length > 0 ? axes : [1], keepdims }))
  },
  Resize(pick) {
    const shape = [1, pick(1, 70), pick(2, 12), pick(2, 12)]
    const sizes = [1, shape[1]!, pick(1, 25), pick(1, 25)]
    const mode = ['nearest', 'linear'][pick(0, 1)]!
    const how = ['half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel'][pick(0, 3)]!
    return model(shape, (b) =>
      b.node('Resize', ['x', '', '', b.integers('s', sizes)], 'y', { mode, coordinate_transformation_mode: how }),
    )
  },
}

it.each(Object.entries(makers))('%s', async (name, make) => {
  const next = random(name.length * 7 + 1)
  const pick: Pick = (least, most) => least + Math.floor(next() * (most - least + 1))
  for (let i = 0; i < cases; i++) await check(make(pick))
})
