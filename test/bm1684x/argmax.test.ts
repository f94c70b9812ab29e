/** ArgMax on a chip: the first of the largest values, wherever the axis is and however the values are stored. */
import { describe, expect, test } from 'vitest'
import type { Tensor } from '../../src/ir/graph.js'
import type { QType } from '../../src/quantize/qgraph.js'
import { f32, i8, u8 } from '../quantize/build.js'
import { int, random } from '../quantize/reference.js'
import { cmodelChip, hasCModel, machineChip } from './chips.js'
import { type Chip, computed, executed, type Rows, rowsOf, type Spec } from './kernel-rig.js'

/** The rows of the picture that are computed; all of them otherwise. */
type Case = [story: string, shape: readonly number[], axis: number, type: QType, rows?: readonly [number, number]]

const f16: QType = { kind: 'f16' }
const bf16: QType = { kind: 'bf16' }

const cases: Case[] = [
  ['classes of a picture', [1, 1000], 1, i8],
  ['classes of a batch', [3, 70], 1, u8],
  ['a class map', [1, 21, 9, 70], 1, i8],
  ['a class map of 16-bit floats', [2, 70, 5, 66], 1, f16],
  ['a class map of other 16-bit floats', [1, 19, 6, 130], 1, bf16],
  ['a class map of float32', [1, 130, 4, 33], 1, f32],
  ['some rows of a class map', [1, 21, 9, 70], 1, i8, [2, 7]],
  ['along rows', [2, 70, 21, 3], 2, u8],
  ['along rows of float32', [1, 5, 40, 7], 2, f32],
  ['along columns', [2, 130, 3, 90], 3, i8],
  ['along columns of 16-bit floats', [1, 70, 5, 33], 3, bf16],
  ['some rows along columns', [1, 70, 5, 33], 3, f16, [1, 4]],
  ['of three dimensions', [2, 70, 300], 2, i8],
  ['of one element', [1, 8, 4, 1], 3, i8],
]

const next = random(23)

/** Whole numbers of which many are equal; in every third line all of them, and in another all at the lower end of 8 bit. */
function values(shape: readonly number[], axis: number, { kind }: QType): Tensor {
  const step = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const least = kind === 'u8' ? 0 : -128
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => {
    const line = (i % step) + Math.floor(i / step / shape[axis]!)
    return line % 3 === 1 ? 5 : line % 7 === 2 ? least : int(next, least + 100, least + 100 + 3 * shape[axis]!)
  })
  // What 8 bit and bfloat16 can hold.
  return { shape, data: data.map((value) => Math.min(value, 127)) }
}

/** In plain loops. */
function firstOfLargest({ shape, data }: Tensor, axis: number): number[] {
  const step = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const length = shape[axis]!
  return Array.from({ length: data.length / length }, (_, line) => {
    const from = Math.floor(line / step) * step * length + (line % step)
    const own = Array.from({ length }, (_, i) => data[from + i * step]!)
    return own.indexOf(Math.max(...own))
  })
}

async function holds(chip: Chip, [, shape, axis, type, part]: Case): Promise<void> {
  const spec: Spec = {
    op: { type: 'ArgMax', axis, length: shape[axis]! },
    inputs: { x: { shape, type } },
    shape: shape.with(axis, 1),
    type: f32,
  }
  const x = values(shape, axis, type)
  const want = firstOfLargest(x, axis)
  expect(Array.from((await executed(spec, { x })).data)).toEqual(want)
  const rows: Rows | undefined = part && { output: part, inputs: [part], padTop: 0, padBottom: 0 }
  const { data } = computed(chip, spec, { x }, rows)
  const whole = { shape: spec.shape, data: Float32Array.from(want) }
  expect(data).toEqual(rows === undefined ? whole.data : rowsOf(whole, rows.output).data)
  if (shape[axis]! > 1 && want.length > 8) expect(new Set(data).size).toBeGreaterThan(1)
}

describe('on the machine', () => {
  const chip = machineChip()
  for (const one of cases) test(one[0], () => holds(chip, one))
})

describe.skipIf(!hasCModel)('on the C-model', () => {
  for (const one of cases) test(one[0], async () => holds(await cmodelChip(), one))
})
