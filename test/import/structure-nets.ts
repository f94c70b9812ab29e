/** Pieces of networks as people export them, with channels that are odd and more than the chip has lanes. */
import { model } from './helper.js'

type Build = Parameters<Parameters<typeof model>[1]>[0]

let count = 0
const conv = (b: Build, x: string, channels: readonly [number, number], name: string, kernel = 1, group = 1): string =>
  b.node(
    'Conv',
    [
      x,
      b.random(`w_${name}`, [channels[1], channels[0] / group, kernel, kernel]),
      b.random(`b_${name}`, [channels[1]]),
    ],
    name,
    {
      kernel_shape: [kernel, kernel],
      pads: Array.from({ length: 4 }, () => Math.floor(kernel / 2)),
      group,
    },
  )
const shape = (b: Build, x: string, to: readonly number[]): string => {
  const id = `shape${count++}`
  return b.node('Reshape', [x, b.integers(id, to)], `${id}_result`)
}

/** Name -> model; `exact`: nothing in it is float whatever is asked for. */
export const structureNets: Readonly<Record<string, { readonly exact: boolean; readonly onnx: () => Uint8Array }>> = {
  'a neck that goes up by transposed convolutions': {
    exact: true,
    onnx: () =>
      model([1, 3, 24, 20], (b) => {
        const fine = conv(b, 'x', [3, 35], 'fine', 3)
        const coarse = b.node('MaxPool', [conv(b, fine, [35, 70], 'deep', 3)], 'coarse', {
          kernel_shape: [2, 2],
          strides: [2, 2],
        })
        const up = b.node('ConvTranspose', [coarse, b.random('up_w', [70, 67, 2, 2]), b.random('up_b', [67])], 'up', {
          strides: [2, 2],
        })
        const normal = b.node(
          'BatchNormalization',
          [
            up,
            b.random('g', [67]),
            b.random('beta', [67]),
            b.random('mean', [67]),
            b.floats('var', new Array<number>(67).fill(0.5)),
          ],
          'bn',
        )
        const each = b.node(
          'ConvTranspose',
          [b.node('Relu', [normal], 'r'), b.random('each_w', [67, 1, 4, 4])],
          'each',
          { strides: [2, 2], pads: [1, 1, 1, 1], group: 67 },
        )
        const joined = b.node(
          'Concat',
          [b.node('MaxPool', [each], 'down', { kernel_shape: [2, 2], strides: [2, 2] }), fine],
          'joined',
          { axis: 1 },
        )
        conv(b, joined, [102, 18], 'y')
      }),
  },
  'a segmentation head that is resized linearly': {
    exact: true,
    onnx: () =>
      model([1, 3, 21, 18], (b) => {
        const deep = conv(b, 'x', [3, 70], 'deep', 3)
        const up = b.node('Resize', [deep, '', b.floats('s', [1, 1, 2, 2])], 'up', {
          mode: 'linear',
          coordinate_transformation_mode: 'half_pixel',
        })
        const low = conv(b, up, [70, 19], 'low')
        b.node('Resize', [low, '', '', b.integers('to', [1, 19, 50, 61])], 'y', {
          mode: 'linear',
          coordinate_transformation_mode: 'align_corners',
        })
      }),
  },
  'a pyramid of odd sizes': {
    exact: true,
    onnx: () =>
      model([1, 3, 19, 10], (b) => {
        const fine = conv(b, 'x', [3, 66], 'fine', 3)
        const coarse = b.node('MaxPool', [fine], 'coarse', {
          kernel_shape: [3, 3],
          strides: [2, 2],
          pads: [1, 1, 1, 1],
        })
        const up = b.node('Resize', [coarse, '', '', b.integers('to', [1, 66, 19, 10])], 'up', {
          mode: 'nearest',
          coordinate_transformation_mode: 'asymmetric',
          nearest_mode: 'floor',
        })
        const more = b.node('Resize', [b.node('Add', [up, fine], 'sum'), '', b.floats('s', [1, 1, 1.5, 1.3])], 'more', {
          mode: 'nearest',
        })
        conv(b, more, [66, 9], 'y', 3)
      }),
  },
  'a unit that shuffles channels': {
    exact: true,
    onnx: () =>
      model([1, 3, 10, 12], (b) => {
        const trunk = conv(b, 'x', [3, 132], 'trunk', 3)
        const left = b.node(
          'Slice',
          [trunk, b.integers('s0', [0]), b.integers('e0', [66]), b.integers('ax', [1])],
          'left',
        )
        const right = b.node('Slice', [trunk, b.integers('s1', [66]), b.integers('e1', [132]), 'ax'], 'right')
        const own = conv(b, conv(b, right, [66, 66], 'point'), [66, 66], 'own', 3, 66)
        const both = b.node('Concat', [left, own], 'both', { axis: 1 })
        const turned = b.node('Transpose', [shape(b, both, [1, 2, 66, 10, 12])], 'turned', { perm: [0, 2, 1, 3, 4] })
        conv(b, shape(b, turned, [1, 132, 10, 12]), [132, 20], 'y')
      }),
  },
  'attention to channels and places': {
    exact: true,
    onnx: () =>
      model([1, 3, 14, 11], (b) => {
        const trunk = conv(b, 'x', [3, 67], 'trunk', 3)
        const mean = b.node('ReduceMean', [trunk], 'mean', { axes: [2, 3] })
        const most = b.node('GlobalMaxPool', [trunk], 'most')
        const gates = conv(
          b,
          b.node('Relu', [conv(b, b.node('Add', [mean, most], 'both'), [67, 9], 'small')], 'r'),
          [9, 67],
          'gates',
        )
        const scaled = b.node('Mul', [trunk, b.node('Sigmoid', [gates], 'gate')], 'scaled')
        const places = b.node(
          'Concat',
          [b.node('ReduceMean', [scaled], 'm', { axes: [1] }), b.node('ReduceMax', [scaled], 'n', { axes: [1] })],
          'places',
          { axis: 1 },
        )
        b.node('Mul', [scaled, b.node('Sigmoid', [conv(b, places, [2, 1], 'place', 7)], 'p')], 'y')
      }),
  },
  'self-attention of two heads': {
    exact: false,
    onnx: () =>
      model([1, 3, 9, 8], (b) => {
        const all = conv(b, conv(b, 'x', [3, 66], 'trunk', 3), [66, 2 * (16 + 16 + 33)], 'qkv')
        const heads = shape(b, all, [1, 2, 65, 72])
        const cut = (name: string, from: number, to: number): string =>
          b.node(
            'Slice',
            [heads, b.integers(`s_${name}`, [from]), b.integers(`e_${name}`, [to]), b.integers(`a_${name}`, [2])],
            name,
          )
        const [q, k, v] = [cut('q', 0, 16), cut('k', 16, 32), cut('v', 32, 65)]
        const scores = b.node('MatMul', [b.node('Transpose', [q], 'qt', { perm: [0, 1, 3, 2] }), k], 'scores')
        const soft = b.node('Softmax', [b.node('Mul', [scores, b.floats('quarter', [0.25])], 'scaled')], 'soft', {
          axis: -1,
        })
        const mixed = b.node('MatMul', [v, b.node('Transpose', [soft], 'st', { perm: [0, 1, 3, 2] })], 'mixed')
        conv(b, shape(b, mixed, [1, 66, 9, 8]), [66, 10], 'y')
      }),
  },
  'YOLOv5 with its box decoder': {
    exact: true,
    onnx: () =>
      model([1, 3, 12, 10], (b) => {
        const levels = [1, 2].map((step) => {
          const picture = step === 1 ? 'x' : b.node('MaxPool', ['x'], 'half', { kernel_shape: [2, 2], strides: [2, 2] })
          const [h, w] = [12 / step, 10 / step]
          const head = conv(b, picture, [3, 21], `head${step}`)
          const table = b.node('Transpose', [shape(b, head, [1, 3, 7, h, w])], `turned${step}`, {
            perm: [0, 1, 3, 4, 2],
          })
          const s = b.node('Sigmoid', [table], `sigmoid${step}`)
          const part = (name: string, from: number, to: number): string =>
            b.node(
              'Slice',
              [
                s,
                b.integers(`${name}s${step}`, [from]),
                b.integers(`${name}e${step}`, [to]),
                b.integers(`${name}a${step}`, [4]),
              ],
              `${name}${step}`,
            )
          const grid = b.random(`grid${step}`, [1, 3, h, w, 2])
          const xy = b.node(
            'Mul',
            [
              b.node(
                'Add',
                [b.node('Mul', [part('xy', 0, 2), b.floats(`two${step}`, [2])], `xy2${step}`), grid],
                `on${step}`,
              ),
              b.floats(`stride${step}`, [8 * step]),
            ],
            `centre${step}`,
          )
          const wide = b.node('Mul', [part('wh', 2, 4), b.floats(`twice${step}`, [2])], `wide${step}`)
          const wh = b.node(
            'Mul',
            [b.node('Mul', [wide, wide], `square${step}`), b.random(`anchors${step}`, [1, 3, h, w, 2])],
            `size${step}`,
          )
          return shape(b, b.node('Concat', [xy, wh, part('conf', 4, 7)], `boxes${step}`, { axis: 4 }), [
            1,
            3 * h * w,
            7,
          ])
        })
        b.node('Concat', levels, 'y', { axis: 1 })
      }),
  },
  'a class map, up and compared': {
    exact: true,
    onnx: () =>
      model([1, 3, 12, 80], (b) => {
        const low = b.node('Relu', [conv(b, 'x', [3, 35], 'low', 3)], 'relu')
        const scores = conv(b, low, [35, 67], 'scores')
        const up = b.node('Resize', [scores, '', b.floats('twice', [1, 1, 2, 2])], 'up', {
          mode: 'nearest',
          coordinate_transformation_mode: 'asymmetric',
          nearest_mode: 'floor',
        })
        b.node('Cast', [b.node('ArgMax', [up], 'index', { axis: 1, keepdims: 0 })], 'y', { to: 1 })
      }),
  },
  'YOLOv8 with its distribution decoded': {
    exact: false,
    onnx: () =>
      model([1, 3, 12, 10], (b) => {
        const head = shape(b, conv(b, 'x', [3, 69], 'head', 3), [1, 69, 120])
        const cut = (name: string, from: number, to: number): string =>
          b.node(
            'Slice',
            [head, b.integers(`${name}s`, [from]), b.integers(`${name}e`, [to]), b.integers(`${name}a`, [1])],
            name,
          )
        const apart = b.node('Transpose', [shape(b, cut('box', 0, 64), [1, 4, 16, 120])], 'apart', {
          perm: [0, 2, 1, 3],
        })
        const soft = b.node('Softmax', [apart], 'soft', { axis: 1 })
        const sum = b.node(
          'Conv',
          [
            soft,
            b.floats(
              'bins',
              Array.from({ length: 16 }, (_, i) => i),
              [1, 16, 1, 1],
            ),
          ],
          'sum',
        )
        b.node('Concat', [shape(b, sum, [1, 4, 120]), b.node('Sigmoid', [cut('class', 64, 69)], 'scores')], 'y', {
          axis: 1,
        })
      }),
  },
}
