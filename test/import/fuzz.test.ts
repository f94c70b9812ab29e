/**
 * Damaged models: an error that names the file or the layer, or a network that goes all the way. `bench/fuzz.ts` does it by the
 * thousand. Below, what was found that way, one line each.
 */
import { expect, it } from 'vitest'
import { tinyDetector } from '../build/rig.js'
import { smallModels, zooModels } from './corpus.js'
import { follow } from './follow.js'
import { model } from './helper.js'
import { mutated } from './mutate.js'

const precisions = ['INT8', 'INT8', 'F16', 'F32'] as const

function fuzz(bytes: Uint8Array, seed: number): string {
  const damaged = mutated(bytes, seed)
  try {
    return follow(damaged.bytes, 'm.onnx', precisions[seed % 4]).end
  } catch (cause) {
    throw new Error(`seed ${seed}, ${damaged.kind}: ${(cause as Error).message}`, { cause })
  }
}

it('a model of any kind with something wrong', () => {
  const sound = [...smallModels(), { name: 'tiny detector', bytes: tinyDetector() }]
  const ends = new Set(Array.from({ length: 300 }, (_, seed) => fuzz(sound[(seed * 37) % sound.length]!.bytes, seed)))
  expect([...ends]).toEqual(expect.arrayContaining(['compiled', 'import: input', 'import: model']))
})

it('a detector with something wrong', () => {
  const bytes = tinyDetector()
  const ends = new Set(Array.from({ length: 50 }, (_, seed) => fuzz(bytes, seed)))
  expect([...ends]).toEqual(expect.arrayContaining(['compiled', 'import: input', 'import: model']))
})

it.skipIf(zooModels().length === 0)('a real detector with something wrong', () => {
  const small = zooModels().filter(({ bytes }) => bytes.length < 2_000_000)
  const ends = new Set(Array.from({ length: 40 }, (_, seed) => fuzz(small[seed % small.length]!.bytes, seed)))
  expect([...ends]).toEqual(expect.arrayContaining(['imported', 'import: input', 'import: model']))
})

type Build = Parameters<Parameters<typeof model>[1]>[0]
const image = [1, 4, 7, 6]
const one =
  (type: string, attributes = {}, shape: readonly number[] = image) =>
  (): Uint8Array =>
    model(shape, (b) => b.node(type, ['x'], 'y', attributes))
/** `x` plus a constant that is computed at import. */
const plus =
  (constant: (b: Build) => string): (() => Uint8Array) =>
  () =>
    model(image, (b) => b.node('Add', ['x', constant(b)], 'y'))
const empty = (b: Build, shape: readonly number[]): string => b.weight('w', shape, new Float32Array())

// What happened before stands behind each line.
const found: readonly (readonly [what: string, end: RegExp, onnx: () => Uint8Array])[] = [
  // reduce of an empty array
  ['Max without operands', /^import: model.*no operand 0/, () => model(image, (b) => b.node('Max', [], 'y'))],
  // Cannot read properties of undefined
  ['two scales for four axes', /not one per axis/, one('Upsample', { scales: [1.5, 2.5] })],
  // Invalid typed array length
  ['a huge axis beside an empty one', /empty/, plus((b) => b.node('Transpose', [empty(b, [2 ** 40, 0])], 't'))],
  ['Expand to -1', /asks for shape/, plus((b) => b.node('Expand', [b.floats('a', [1]), b.integers('i', [-1])], 'r'))],
  ['Tile by -1', /repeats/, plus((b) => b.node('Tile', [b.floats('a', [1]), b.integers('i', [-1])], 'r'))],
  // Taken, with a shape of 1.5
  ['a shape of 1.5', /asks for shape/, plus((b) => b.node('ConstantOfShape', [b.floats('i', [1.5])], 'r'))],
  // Maximum call stack size exceeded
  [
    '200 000 operands',
    /^compiled/,
    plus((b) => {
      b.floats('w', [1])
      return b.node('ReduceMax', [b.node('Concat', new Array<string>(200_000).fill('w'), 'c', { axis: 0 })], 'r')
    }),
  ],
  // 3 GB, then Invalid array length
  [
    'constants that double 40 times',
    /joins too many numbers/,
    plus((b) => {
      let w = b.floats('w', [1, 2, 3, 4])
      for (let i = 0; i < 40; i++) w = b.node('Concat', [w, w], `c${i}`, { axis: 0 })
      return w
    }),
  ],
  // 8 GB of weights
  ['an input of 2^31 channels', /would have shape/, one('ReduceMean', { axes: [1] }, [1, 2 ** 31, 1, 1])],
  ['an input of 2^29 channels', /would have shape/, one('ReduceMean', { axes: [1] }, [1, 2 ** 29, 1, 1])],
  // 15 GB of weights
  [
    'a linear Resize of long rows',
    /cannot resize axis 2/,
    () =>
      model([1, 1, 60000, 2], (b) =>
        b.node('Resize', ['x', '', '', b.integers('s', [1, 1, 65536, 2])], 'y', { mode: 'linear' }),
      ),
  ],
  // Taken by import, refused by onnxruntime later; a plan of 2.5 GB
  [
    'a pool padded more than its kernel',
    /smaller than the kernel/,
    one('MaxPool', { kernel_shape: [2, 2], pads: [2, 0, 0, 0] }),
  ],
  [
    'a convolution in an ocean of padding',
    /too large/,
    () =>
      model(image, (b) =>
        b.node('Conv', ['x', b.random('w', [2, 4, 1, 1])], 'y', {
          pads: [2 ** 20, 2 ** 20, 2 ** 20, 2 ** 20],
          strides: [2 ** 20, 2 ** 20],
        }),
      ),
  ],
  // A rescale by NaN is not possible, said of no layer; others were compiled
  ['a slope that is NaN', /alpha is NaN/, one('LeakyRelu', { alpha: Number.NaN })],
  ['an infinite slope', /alpha is Infinity/, one('Elu', { alpha: Number.POSITIVE_INFINITY })],
  [
    'a padding of NaN',
    /value is NaN/,
    () =>
      model(image, (b) =>
        b.node('Pad', ['x', b.integers('p', [0, 0, 0, 0, 0, 0, 0, 2]), b.floats('v', [Number.NaN])], 'y'),
      ),
  ],
  // Read as if it were not there
  ['an axis that is a float', /attribute axis is of type FLOAT, not INT/, one('Softmax', { axis: { float: 1 } })],
  // A mistake in quant itself: what the chip's commands have no bits for
  [
    'a stride of 40',
    /y_Conv.*strides \[40,40\], at most 15/,
    () => model([1, 2, 90, 90], (b) => b.node('Conv', ['x', b.random('w', [2, 2, 1, 1])], 'y', { strides: [40, 40] })),
  ],
  [
    'a dilation of 40',
    /y_Conv.*dilations \[40,40\], at most 15/,
    () =>
      model([1, 2, 90, 90], (b) => b.node('Conv', ['x', b.random('w', [2, 2, 3, 3])], 'y', { dilations: [40, 40] })),
  ],
  [
    'a pool with a stride of 40',
    /y_MaxPool.*strides/,
    one('MaxPool', { kernel_shape: [3, 3], strides: [40, 40] }, [1, 2, 90, 90]),
  ],
  [
    'a pool over all with a stride of 40',
    /^compiled/,
    one('AveragePool', { kernel_shape: [40, 40], strides: [40, 40] }, [1, 2, 40, 40]),
  ],
  [
    '70 000 channels',
    /y_Conv.*does not fit/,
    () => model([1, 70000, 1, 1], (b) => b.node('Conv', ['x', b.random('w', [2, 70000, 1, 1])], 'y')),
  ],
  ['a Softmax over one of five axes, cut in two', /^compiled/, one('Softmax', { axis: 1 }, [2, 3, 4, 5, 70])],
  [
    'an average without its padding, too tall for the chip',
    /y_AveragePool does not fit/,
    one('AveragePool', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, [1, 2, 1300, 150]),
  ],
  // Minutes
  [
    'a batch of 70 000',
    /y_Conv.*does not fit/,
    () => model([70000, 1, 1, 1], (b) => b.node('Conv', ['x', b.random('w', [2, 1, 1, 1])], 'y')),
  ],
  [
    'pixels repeated 40 000 times',
    /y_Resize.*repeated 40000 times/,
    () =>
      model([1, 2, 2, 2], (b) =>
        b.node('Resize', ['x', '', b.floats('s', [1, 1, 200, 200])], 'y', { mode: 'nearest' }),
      ),
  ],
]

it.each(found)('%s', (_, end, onnx) => {
  const way = follow(onnx(), 'm.onnx')
  expect(`${way.end} ${way.message}`).toMatch(end)
})

it('graphs within graphs, 50 000 deep', () => {
  // ModelProto.graph is field 7, GraphProto.node 1, NodeProto.attribute 5, AttributeProto.g 6; written from the inside out.
  const headers: number[][] = []
  let length = 0
  for (let level = 0; level < 150_000; level++) {
    const header = [([6, 5, 1][level % 3]! << 3) | 2]
    for (let rest = length; header.length === 1 || rest > 0; rest >>= 7)
      header.push((rest & 127) | (rest > 127 ? 128 : 0))
    headers.push(header)
    length += header.length
  }
  const last = [(7 << 3) | 2]
  for (let rest = length; rest > 0; rest >>= 7) last.push((rest & 127) | (rest > 127 ? 128 : 0))
  const way = follow(Uint8Array.from([last, ...headers.reverse()].flat()), 'm.onnx')
  expect(`${way.end} ${way.message}`).toMatch(/^import: (input|model) .*m\.onnx/)
})
