/** What a search says of the layers that it chose, against the compiled network that has them in float. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { emitOnnx } from '../../src/ir/emit.js'
import { inputsOf } from '../../src/ir/graph.js'
import { readNpz } from '../../src/ir/npz.js'
import { readTop } from '../../src/ir/top/read.js'
import { loadSample } from '../../src/preprocess/sample.js'
import { openQuantized } from '../../src/quantize/execute.js'
import { readTpu } from '../../src/quantize/tpu/read.js'
import { openSession } from '../../src/runtime/session.js'
import { meanLoss, sqnrLoss } from '../../src/search/loss.js'
import { type BuildRig, buildRig, tinyYaml } from './rig.js'

interface Selection {
  loss: string
  all_int8: { loss: number; sqnr: number }
  joint: { loss: number; sqnr: number }
  layers: string[]
  steps: { added?: string[]; dropped?: string[]; layers: number; loss: number; sqnr: number; improvement: number }[]
  tried: { layers: string[]; loss: number; improvement: number }[]
}

let p: BuildRig
let selection: Selection
beforeAll(async () => {
  // Three of seven layers: all of them in float would be the float network.
  const mix = { quantize: 'INT8', mix: { input_num: 2, min_improvement: 0.0001, max_float_layers: 3 } }
  p = await buildRig({}, { ...tinyYaml, variants: { int8: { quantize: 'INT8' }, mix } })
  const { failed } = await p.build()
  expect(failed).toEqual([])
  selection = JSON.parse(p.read('build/tiny_selection.json'))
})

const weights = (file: string) => readNpz(readFileSync(join(p.root, 'build', file)), file)
const rows = (file: string): string[] =>
  p
    .read(file)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))

/** SQNR of a compiled variant on the search's pictures, dB. */
async function sqnrOf(variant: string): Promise<number> {
  const graph = readTop(p.read('build/tiny.mlir'), weights('tiny_top_f32_all_weight.npz'), 'tiny.mlir')
  const inputs = inputsOf(graph).map((node) => ({
    ...node,
    preprocess: node.op.type === 'Input' ? node.op.preprocess : undefined,
  }))
  const quantized = readTpu(
    p.read(`build/tiny_${variant}_tpu.mlir`),
    weights(`tiny_${variant}_tpu_weight.npz`),
    variant,
  )
  const float = await openSession(emitOnnx(graph), 'tiny')
  const session = await openQuantized(quantized)
  const losses: number[] = []
  for (const picture of ['p1.png', 'p2.png']) {
    const { feeds } = await loadSample(readFileSync(join(p.root, 'pictures', picture)), picture, inputs)
    const reference = await float.run(feeds)
    const outputs = await session.run(feeds)
    losses.push(sqnrLoss([...reference.values()], [...outputs.values()]))
  }
  await float.release()
  await session.release()
  return -meanLoss(losses)
}

test('the SQNR that is told is that of the table that is written, bit for bit', async () => {
  expect(selection.layers.length).toBeGreaterThan(0)
  expect(selection.layers.length).toBeLessThanOrEqual(3)
  expect(rows('build/tiny_qtable').map((row) => row.split(' ')[0])).toEqual(selection.layers)
  expect(await sqnrOf('mix')).toBe(selection.joint.sqnr)
  expect(await sqnrOf('int8')).toBe(selection.all_int8.sqnr)
})

test('every step is told, makes the loss smaller, and never costs SQNR', () => {
  const { steps, all_int8, joint, layers } = selection
  expect(selection.loss).toBe('distance of the boxes')
  let before = all_int8.loss
  const set = new Set<string>()
  for (const step of steps) {
    for (const layer of step.added ?? []) set.add(layer)
    for (const layer of step.dropped ?? []) set.delete(layer)
    expect(set.size).toBe(step.layers)
    expect(step.loss).toBeLessThanOrEqual(before)
    expect(step.improvement).toBeCloseTo((before - step.loss) / all_int8.loss, 12)
    expect(step.sqnr).toBeGreaterThanOrEqual(all_int8.sqnr)
    before = step.loss
  }
  expect(new Set(layers)).toEqual(set)
  expect(joint).toEqual({ loss: before, sqnr: steps.at(-1)!.sqnr })
})

test('single layers and islands were tried; the head reaches the output without a cast', () => {
  const sets = selection.tried.map(({ layers }) => layers.join(' '))
  expect(sets).toContain('conv1_Conv')
  expect(sets).toContain('conv1_Conv leaky1_LeakyRelu')
  expect(sets).toContain('leaky1_LeakyRelu pool1_MaxPool conv2_Conv')
  expect(selection.tried.map(({ loss }) => loss)).toEqual(
    selection.tried.map(({ loss }) => loss).toSorted((a, b) => a - b),
  )
})

test('without a detector the loss is the SQNR, and the search is another', async () => {
  const { detector: _, ...verify } = tinyYaml.verify
  p.yaml = { ...p.yaml, verify }
  await p.build()
  expect(p.ran()).toContain('select:mix')
  const plain = JSON.parse(p.read('build/tiny_selection.json')) as Selection
  expect(plain.loss).toBe('-SQNR in dB')
  expect(plain.joint.loss).toBe(-plain.joint.sqnr)
  expect(plain.joint.sqnr).toBeGreaterThan(plain.all_int8.sqnr)
})
