/** What a search says of the layers that it chose, against the compiled network that has them in float. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
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

interface Figures {
  loss: number
  sqnr: number
  microseconds: number
  map50_drop?: number
  map_drop?: number
}

interface Selection {
  loss: string
  order: string
  measured: number
  precision: Record<string, string>
  target: { reached: boolean } | null
  all_int8: Figures
  joint: Figures
  layers: string[]
  steps: (Figures & { added?: string[]; dropped?: string[]; layers: number; improvement: number; measured: number })[]
  front: (Figures & { precision: Record<string, string>; picked: boolean })[]
  tried: { layers: string[]; improvement: number; pictures: number }[]
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
  // What was measured after the last step found nothing.
  const measured = steps.reduce((sum, step) => sum + step.measured, 0)
  expect(steps[0]!.measured).toBeGreaterThan(0)
  expect(selection.measured).toBeGreaterThan(measured)
  const { loss, sqnr, microseconds } = steps.at(-1)!
  expect(joint).toEqual({ loss, sqnr, microseconds })
})

test('the time that is told is that of the program that is compiled', () => {
  const estimated = (variant: string) => JSON.parse(p.read(`build/tiny_${variant}_estimate.json`)).microseconds
  expect(selection.joint.microseconds).toBe(estimated('mix'))
  expect(selection.all_int8.microseconds).toBe(estimated('int8'))
})

test('of the front, no point is faster and better than another, and one is built', () => {
  const { front, layers } = selection
  expect(front.length).toBeGreaterThan(0)
  for (const [i, point] of front.slice(1).entries()) {
    expect(point.microseconds).toBeGreaterThan(front[i]!.microseconds)
    expect(point.loss).toBeLessThan(front[i]!.loss)
  }
  const picked = front.filter((point) => point.picked)
  if (picked.length > 0) expect(Object.keys(picked[0]!.precision)).toEqual(layers)
})

test('single layers and islands were tried; the head reaches the output without a cast', () => {
  const sets = selection.tried.map(({ layers }) => layers.join(' '))
  expect(sets).toContain('conv1_Conv')
  expect(sets).toContain('conv1_Conv leaky1_LeakyRelu')
  expect(sets).toContain('leaky1_LeakyRelu pool1_MaxPool conv2_Conv')
  const gains = selection.tried.map(({ improvement }) => improvement)
  expect(gains).toEqual(gains.toSorted((a, b) => b - a))
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

describe('what a search is asked for', () => {
  const searched = async (mix: object): Promise<Selection> => {
    p.yaml = { ...tinyYaml, variants: { mix: { quantize: 'INT8', mix: { input_num: 2, ...mix } } } }
    const { failed } = await p.build(['select:mix'])
    expect(failed).toEqual([])
    return JSON.parse(p.read('build/tiny_selection.json'))
  }

  test('a target ends it at the first step where it holds, and is told when it never does', async () => {
    const whole = await searched({ min_improvement: 0.0001 })
    const middle = (whole.all_int8.loss + whole.joint.loss) / 2
    const enough = await searched({ min_improvement: 0.0001, target: { loss: middle } })
    expect(enough.target?.reached).toBe(true)
    expect(enough.joint.loss).toBeLessThanOrEqual(middle)
    expect(enough.steps.slice(0, -1).every(({ loss }) => loss > middle)).toBe(true)
    const easy = await searched({ target: { loss: 1 } })
    expect([easy.layers, easy.target?.reached]).toEqual([[], true])
    const never = await searched({ target: { loss: -1 } })
    expect(never.target?.reached).toBe(false)
    const warnings = p.events.flatMap((event) => (event.type === 'warned' ? [event.warning.message] : []))
    expect(warnings.at(-1)).toContain('has a loss of -1')
  })

  test('no more time than is allowed, and less of it where a point of the front is picked', async () => {
    const tight = await searched({ min_improvement: 0.0001, max_latency: '1.02x' })
    expect(tight.joint.microseconds).toBeLessThanOrEqual(1.02 * tight.all_int8.microseconds)
    const none = await searched({ min_improvement: 0.0001, pick: 0 })
    expect([none.layers, none.joint]).toEqual([[], none.all_int8])
    expect(none.front.some(({ loss }) => loss < none.all_int8.loss)).toBe(true)
    const warned = (): string | undefined =>
      p.events.flatMap((event) => (event.type === 'warned' ? [event.warning.message] : [])).at(-1)
    const quick = await searched({ min_improvement: 0.0001, pick: '0.001us' })
    expect(quick.joint).toEqual(quick.all_int8)
    expect(warned()).toMatch(
      /^no choice that was found takes 0.001us or less, so mix equals INT8, which takes [0-9.]+ us$/,
    )
    const hurried = await searched({ min_improvement: 0.0001, max_latency: '0.01x' })
    expect(hurried.layers).toEqual([])
    expect(warned()).toMatch(/^nothing that pays takes .* raise variants.mix.mix.max_latency$/)
    const one = await searched({ min_improvement: 0.0001, pick: 3 })
    expect(one.layers.length).toBeLessThanOrEqual(3)
  })

  test('each layer in a precision of its own; the table and the estimate say the same', async () => {
    const auto = await searched({ mode: 'auto', min_improvement: 0.0001 })
    expect(rows('build/tiny_qtable')).toEqual(Object.entries(auto.precision).map(([layer, mode]) => `${layer} ${mode}`))
    await p.build(['compile:mix'])
    const { microseconds } = JSON.parse(p.read('build/tiny_mix_estimate.json'))
    expect(auto.joint.microseconds).toBe(microseconds)
    expect(await sqnrOf('mix')).toBe(auto.joint.sqnr)
  })

  test('cosine, and an output that is no output', async () => {
    const cosine = await searched({ objective: 'cosine', min_improvement: 0.0001 })
    expect(cosine.loss).toBe('1 - cosine')
    expect(cosine.joint.loss).toBeGreaterThanOrEqual(0)
    expect(cosine.joint.loss).toBeLessThan(cosine.all_int8.loss)
    p.yaml = {
      ...tinyYaml,
      variants: { mix: { quantize: 'INT8', mix: { objective: 'sqnr', weights: { heat: 2 } } } },
    }
    const { failed } = await p.build(['select:mix'])
    expect(failed[0]!.error.message).toBe('`mix.weights` names heat, which is no output of the model')
    expect(failed[0]!.error.hint).toBe('outputs are head')
  })

  test("the vendor's rule of before February 2023 takes what makes the loss worst", async () => {
    const { order, layers, steps } = await searched({ order: 'historical' })
    expect([order, steps]).toEqual(['historical', []])
    const losses = rows('build/tiny_full_loss_table.txt').map((row) => Number(row.split('Loss: ')[1]))
    expect(losses).toEqual(losses.toSorted((a, b) => b - a))
    expect(layers.length).toBeLessThanOrEqual(Math.floor(losses.length / 4))
  })

  test('a drop of mAP is judged on the labelled pictures, before anything is compiled', async () => {
    for (const name of ['p1', 'p2']) p.write(`labels/${name}.txt`, '0 0.5 0.5 0.3 0.3\n1 0.3 0.4 0.2 0.2\n')
    const verify = { ...tinyYaml.verify, validation: { images: 'pictures', labels: 'labels' } }
    const mix = { input_num: 2, target: { map50_drop: '100%' } }
    p.yaml = { ...tinyYaml, verify, variants: { mix: { quantize: 'INT8', mix } } }
    expect((await p.build()).failed).toEqual([])
    const chosen = JSON.parse(p.read('build/tiny_selection.json')) as Selection
    const { variants } = JSON.parse(p.read('build/verify.json'))
    expect(chosen.target?.reached).toBe(true)
    expect(chosen.joint.map50_drop).toBeCloseTo(variants.mix.map50_drop, 3)
    expect(chosen.joint.map_drop).toBeCloseTo(variants.mix.map_drop, 3)
  })
})
