/** How `method: best` clips outputs: as what is read from them says, without labels. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { boxDistance, likeliestBoxes, strongBoxes } from '../../src/detect/distance.js'
import type { DetectorSpec } from '../../src/detect/types.js'
import { openMemo } from '../../src/engine/memo.js'
import type { Graph } from '../../src/ir/graph.js'
import { writeNpz } from '../../src/ir/npz.js'
import { openQuantized } from '../../src/quantize/execute.js'
import { lower } from '../../src/quantize/lower.js'
import { scaleGroups } from '../../src/quantize/propagate.js'
import { readFeeds, withReferences } from '../../src/stages/jobs/network-loss.js'
import { clipOutputs, endsOf } from '../../src/stages/jobs/outputs.js'
import { temporaryFolder } from '../engine/rig.js'
import { conv1, graphOf, none, pool, relu, thresholdsOf, weight } from '../quantize/float-graph.js'
import { seeded } from './rig.js'

const detector: DetectorSpec = { kind: 'yolov3', anchors: [[12, 12]], classes: ['dot'], iou: 0.45 }
const GRID = 8
const input = [1, 7, GRID, GRID]

/** A head [x, y, w, h, objectness, class]: the input, but what the seventh channel has, times 127, is taken from the objectness. */
function headOf(): Graph {
  const filter = Array.from({ length: 6 * 7 }, (_, i) => Number(i % 8 === 0))
  filter[4 * 7 + 6] = -127
  return graphOf(
    [
      ['x', { type: 'Input' }, [], input],
      ['same', { type: 'MaxPool', kernel: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0] }, ['x'], input],
      ['head', conv1, ['same', 'w'], [1, 6, GRID, GRID]],
    ],
    { w: weight([6, 7, 1, 1], ...filter) },
  )
}

/** Offsets between -1 and 1, scores of 1 to 3; the emptiness of all cells but every seventh. */
function picture(seed: number, empty: number): Float32Array {
  const next = seeded(seed)
  const plane = GRID * GRID
  return Float32Array.from({ length: 7 * plane }, (_, i) => {
    const random = next()
    return i < 4 * plane ? random : i < 6 * plane ? 2 + random : (i - 6 * plane) % 7 > 0 ? empty : 0
  })
}

const graph = headOf()
/** Nothing is clipped: some other picture has -128. */
const max = thresholdsOf({ x: 3, same: 3, head: 128 })

function clipping(empty: number) {
  const folder = temporaryFolder()
  const files = Array.from({ length: 6 }, (_, seed) => {
    const path = join(folder, `${seed}.npz`)
    writeFileSync(path, writeNpz([['x', { shape: input, data: picture(seed, empty) } as never]]))
    return { path, digest: `${seed}` }
  })
  const memo = openMemo(join(folder, 'memo'))
  const groups = scaleGroups(graph, max)
  const clip = () => clipOutputs(graph, max, groups, [max], { detector }, files, { memo, digest: 'net' })
  return { files, clip }
}

test('outputs are clipped where boxes get finer by that; other layers are left alone', async () => {
  const { files, clip } = clipping(0.48)
  const { thresholds, report } = await clip()
  expect(report).toMatchObject({ by: 'boxes', pictures: 6, applied: true, thresholds: { head: { from: 128, to: 64 } } })
  expect([...thresholds].map(([name, { threshold }]) => [name, threshold])).toEqual([
    ['x', 3],
    ['same', 3],
    ['head', 64],
  ])

  // The whole INT8 network, run anew, is as far from the float boxes as the report says.
  const pictures = await withReferences(graph, await readFeeds(graph, files))
  for (const [set, told] of [
    [max, report.distance.before],
    [thresholds, report.distance.after],
  ] as const) {
    const quantized = lower(graph, set, () => 'INT8')
    const session = await openQuantized(quantized)
    let sum = 0
    for (const { feeds, reference } of pictures) {
      const results = await session.run(feeds)
      const boxes = strongBoxes(reference, detector, input)
      expect(boxes.length).toBeGreaterThan(3)
      const outputs = quantized.outputs.map((name) => results.get(name)!)
      sum += boxDistance(boxes, likeliestBoxes(outputs, detector, input, boxes))
    }
    await session.release()
    expect(told).toBeCloseTo(sum / pictures.length, 9)
  }
  expect(await clip()).toEqual({ thresholds, report })
})

test('but not where most of an output is lost by it, though the boxes would gain: it may hold more than is read', async () => {
  const { clip } = clipping(0.99)
  const { thresholds, report } = await clip()
  expect(report.distance.before).toBeGreaterThan(0)
  expect(report).toMatchObject({ applied: false, thresholds: {} })
  expect(thresholds).toEqual(max)
})

test('ends are outputs, and what becomes one without meeting a weight', () => {
  const graph = graphOf(
    [
      ['x', { type: 'Input' }],
      ['a', conv1, ['x', 'w']],
      ['pool', pool, ['a'], [1, 2, 2, 2]],
      ['b', { ...conv1, ...relu }, ['a', 'w']],
      ['sum', { ...none, type: 'Add' }, ['b', 'c']],
      ['c', conv1, ['x', 'w']],
    ],
    { w: weight([2, 2, 1, 1], 1) },
    ['pool', 'sum'],
  )
  const nodes = [...graph.nodes.slice(0, 4), graph.nodes[5]!, graph.nodes[4]!]
  const groups = scaleGroups({ ...graph, nodes }, thresholdsOf({ x: 1, a: 2, pool: 3, b: 4, c: 5, sum: 6 }))
  expect(endsOf({ ...graph, nodes }, groups).map(({ layer }) => layer)).toEqual(['a', 'b', 'c', 'sum'])
})
