/** Transposed convolutions without the products by zeros: the same bytes as the executor, which makes them. */
import { expect, it } from 'vitest'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import type { Program } from '../../src/bm1684x/program.js'
import { lower } from '../../src/quantize/lower.js'
import { imported, model } from '../import/helper.js'
import { differences, executed, onMachine, picture } from './net.js'

interface Case {
  readonly channels: readonly [ic: number, oc: number]
  readonly size: readonly [h: number, w: number]
  readonly kernel: number
  readonly stride: number
  readonly pad: number
  readonly more?: number
  readonly group?: number
}

const up = ({ channels: [ic, oc], size, kernel, stride, pad, more = 0, group = 1 }: Case): Uint8Array =>
  model([1, ic, ...size], (b) => {
    const made = b.node(
      'ConvTranspose',
      ['x', b.random('w', [ic, oc / group, kernel, kernel]), b.random('b', [oc])],
      'up',
      { strides: [stride, stride], pads: [pad, pad, pad, pad], output_padding: [more, more], group },
    )
    b.node('Relu', [made], 'y')
  })

/** Rows of the window of the largest convolution. */
const tallest = ({ tiu }: Program): number =>
  Math.max(...tiu.map(({ form, fields }) => (form === 'conv' ? (fields.opd1_h ?? 0) : 0)))

const cases: readonly (readonly [story: string, of: Case, multiplied: boolean])[] = [
  ['2x2, stride 2', { channels: [35, 67], size: [20, 24], kernel: 2, stride: 2, pad: 0 }, false],
  ['4x4, stride 2', { channels: [70, 16], size: [13, 11], kernel: 4, stride: 2, pad: 1 }, false],
  ['3x3, stride 2, an odd result', { channels: [7, 9], size: [12, 31], kernel: 3, stride: 2, pad: 1 }, false],
  ['3x3, stride 2, an even result', { channels: [7, 9], size: [12, 31], kernel: 3, stride: 2, pad: 1, more: 1 }, false],
  ['groups, 5x5, stride 3', { channels: [12, 8], size: [9, 8], kernel: 5, stride: 3, pad: 1, group: 4 }, false],
  ['8x8, stride 4', { channels: [21, 5], size: [10, 7], kernel: 8, stride: 4, pad: 2 }, false],
  ['a picture in slices', { channels: [64, 64], size: [60, 90], kernel: 2, stride: 2, pad: 0 }, false],
  ['1x1, stride 2: phases without taps', { channels: [7, 9], size: [8, 9], kernel: 1, stride: 2, pad: 0 }, true],
  ['the first row is cut off', { channels: [7, 9], size: [8, 9], kernel: 2, stride: 2, pad: 1 }, true],
]

it.each(cases)('%s', async (_, of, multiplied) => {
  const graph = imported(up(of))
  const thresholds = new Map(graph.nodes.map(({ name }, i) => [name, { threshold: 1 + i, min: -1, max: 1 }]))
  const q = lower(graph, thresholds, () => 'INT8')
  const x = picture(graph.nodes[0]!.shape).map((value) => 2 * value - 1)
  const name = graph.nodes[0]!.name
  const program = generate(q)
  const expected = await executed(q, { [name]: x })
  expect(new Set([...expected.values()][0]).size).toBeGreaterThan(8)
  expect(differences(onMachine(program, new Map([[name, x]])), expected)).toBe(0)

  // A phase sees every stride-th tap.
  const { kernel, stride } = of
  expect(tallest(program)).toBe(multiplied ? kernel : Math.ceil(kernel / stride))
})
