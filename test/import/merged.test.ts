/** What exporters write in several operators becomes one layer, and computes the same. */
import { expect, it } from 'vitest'
import { expectSame, model, names, opTypes } from './helper.js'

const image = [1, 4, 7, 6]
type Build = Parameters<Parameters<typeof model>[1]>[0]

const conv = (b: Build, bias = true): string =>
  b.node('Conv', ['x', b.random('w', [3, 4, 3, 3]), ...(bias ? [b.random('b', [3])] : [])], 'conv')

const cases: readonly (readonly [what: string, ops: readonly string[], onnx: Uint8Array])[] = [
  [
    'a bias of its own',
    ['Conv'],
    model(image, (b) => b.node('Add', [conv(b, false), b.random('c', [1, 3, 1, 1])], 'y')),
  ],
  [
    'a factor per channel, then a sum taken away, then one factor for all',
    ['Conv'],
    model(image, (b) => {
      const times = b.node('Mul', [b.random('m', [3, 1, 1]), conv(b)], 'times')
      const minus = b.node('Sub', [times, b.random('s', [1, 3, 1, 1])], 'minus')
      b.node('Mul', [minus, b.floats('one', [0.7], [])], 'y')
    }),
  ],
  [
    'a factor per channel of a transposed convolution',
    ['Deconv'],
    model(image, (b) => {
      const up = b.node('ConvTranspose', ['x', b.random('w', [4, 3, 2, 2])], 'up', { strides: [2, 2] })
      b.node('Mul', [up, b.random('c', [1, 3, 1, 1])], 'y')
    }),
  ],
  [
    'a bias and a factor behind a product',
    ['MatMul'],
    model([2, 5], (b) => {
      const product = b.node('MatMul', ['x', b.random('w', [5, 4])], 'product')
      b.node('Mul', [b.node('Add', [product, b.random('c', [4])], 'a'), b.random('d', [1, 4])], 'y')
    }),
  ],
  [
    'but not what is taken from a constant',
    ['Conv', 'Sub'],
    model(image, (b) => b.node('Sub', [b.random('c', [1, 3, 1, 1]), conv(b)], 'y')),
  ],
  [
    'nor what differs from place to place',
    ['Conv', 'Add'],
    model(image, (b) => b.node('Add', [conv(b), b.random('c', [1, 3, 5, 4])], 'y')),
  ],
  [
    'nor where the sum before it is read, too',
    ['Conv', 'Add', 'Mul'],
    model(image, (b) => {
      const before = conv(b)
      b.node('Mul', [b.node('Add', [before, b.random('c', [3, 1, 1])], 'a'), before], 'y')
    }),
  ],
  [
    'Relu6 as a Min of a Max',
    ['Relu'],
    model(image, (b) =>
      b.node('Min', [b.node('Max', ['x', b.floats('o', [0], [])], 'm'), b.floats('l', [0.5], [])], 'y'),
    ),
  ],
  [
    'Relu6 as a Max of a Min',
    ['Relu'],
    model(image, (b) =>
      b.node('Max', [b.floats('o', [0], []), b.node('Min', ['x', b.floats('l', [0.5], [])], 'm')], 'y'),
    ),
  ],
  [
    'HardSwish with its limits as Max and Min',
    ['HardSwish'],
    model(image, (b) => {
      const moved = b.node('Add', ['x', b.floats('three', [3], [])], 'moved')
      const limited = b.node(
        'Min',
        [b.node('Max', [moved, b.floats('o', [0], [])], 'm'), b.floats('six', [6], [])],
        'l',
      )
      b.node('Div', [b.node('Mul', ['x', limited], 'times'), b.floats('by', [6], [])], 'y')
    }),
  ],
  [
    'limits that do not begin at 0',
    ['Clip'],
    model(image, (b) =>
      b.node('Min', [b.node('Max', ['x', b.floats('o', [-0.3], [])], 'm'), b.floats('l', [0.5], [])], 'y'),
    ),
  ],
]

it.each(cases)('%s', async (_, ops, onnx) => {
  const graph = await expectSame(onnx)
  expect(opTypes(graph)).toEqual(ops)
  // Named by what it makes, so that whoever asks for the tensor gets that.
  expect(names(graph).at(-1)).toMatch(/^y_/)
})
