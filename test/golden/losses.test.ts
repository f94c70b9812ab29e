/** The vendor's search measured every layer in float on ten pictures, with its own table of thresholds. So do we. */
import { describe, expect, it } from 'vitest'
import { emitOnnx } from '../../src/ir/emit.js'
import { lower } from '../../src/quantize/lower.js'
import { openSession } from '../../src/runtime/session.js'
import { candidateLayers } from '../../src/search/candidates.js'
import { meanLoss, sqnrLoss } from '../../src/search/loss.js'
import { openReplay } from '../../src/search/replay.js'
import { allGolden, type Golden, golden, hasGolden, samples, textOf } from './models.js'

/** Layer -> loss; all INT8 under the empty name. */
function theirs(name: Golden['name']): Map<string, number> {
  const text = textOf(name, 'full_loss_table.txt')
  const rows = [...text.matchAll(/^No\.\d+ *: Layer: (\S+)\s+Loss: (\S+)$/gm)]
  return new Map([
    ['', Number(/^# all int8 loss: (\S+)$/m.exec(text)![1])],
    ...rows.map(([, layer, loss]): [string, number] => [layer!, Number(loss)]),
  ])
}

async function ours(model: Golden): Promise<Map<string, number>> {
  const { graph, thresholds } = model
  const float = await openSession(emitOnnx(graph), graph.name)
  const replay = openReplay(
    lower(graph, thresholds, () => 'INT8'),
    4,
  )
  const variants = ['', ...candidateLayers(graph)].map((float) => ({
    layer: float,
    network: lower(graph, thresholds, (layer) => (layer === float ? 'F32' : 'INT8')),
    losses: [] as number[],
  }))
  for await (const feeds of samples(model, 10)) {
    const outputs = await float.run(feeds)
    const reference = graph.outputs.map((name) => outputs.get(name)!)
    const int8 = await replay.int8(feeds)
    for (const { network, losses } of variants) losses.push(sqnrLoss(reference, await replay.run(network, int8)))
  }
  await float.release()
  await replay.release()
  return new Map(variants.map(({ layer, losses }) => [layer, meanLoss(losses)]))
}

describe.each(['small', 'street_tiny', 'yolo_lite_coco', 'yolov3_tiny_rand'] as const)('%s', (name) => {
  it.skipIf(!hasGolden || (name === 'yolov3_tiny_rand' && !allGolden))(
    'all INT8, and with each layer alone in F32, loses what the vendor says',
    { timeout: 120_000 },
    async () => {
      const expected = theirs(name)
      const losses = await ours(golden(name))
      expect([...losses.keys()].toSorted()).toEqual([...expected.keys()].toSorted())
      expect(losses.size).toBeGreaterThan(8)
      const off = [...losses].filter(([layer, loss]) => !(Math.abs(loss - expected.get(layer)!) <= 0.02))
      expect(off.map(([layer, loss]) => `${layer}: ${loss}, the vendor's ${expected.get(layer)}`)).toEqual([])
    },
  )
})
