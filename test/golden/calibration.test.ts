/**
 * Our calibration beside the vendor's run_calibration, on the same hundred pictures. Float inference differs in the last bits, so
 * thresholds are compared to a relative 1e-4; candidates are 6 % apart.
 */
import { describe, expect, it } from 'vitest'
import { analysePicture, readLayers, withFollowers } from '../../src/calibrate/analyse.js'
import { thresholdsOf } from '../../src/calibrate/choose.js'
import { mergeStatistics, type TensorStatistics } from '../../src/calibrate/statistics.js'
import { emitOnnx } from '../../src/ir/emit.js'
import { openSession } from '../../src/runtime/session.js'
import { allGolden, type Golden, golden, goldenNames, hasGolden, type Name, samples } from './models.js'

/**
 * The vendor sees every picture twice, and counts the second time in bins of the final width. We see it once, count in finer bins of a
 * width that merges, and divide those over the vendor's bins: its divergences come out to within 1 to 3 %. These layers have their
 * two best candidates nearer together than that: here 1.2 %. (Another has 0.07 %, and comes out right.)
 */
const undecided: Partial<Record<Name, string[]>> = { street_tiny: ['model_1/max_pooling2d_4/MaxPool:0_MaxPool'] }

const near = (a: number, b: number, range: number): boolean => Math.abs(a - b) <= 1e-4 * range

describe.skipIf(!hasGolden)('calibration with a hundred pictures lands where the vendor’s does', () => {
  for (const name of goldenNames)
    it.skipIf(name === 'yolov3_tiny_rand' && !allGolden)(name, async () => {
      const net = golden(name)
      const merged = await statistics(net)
      const ours = thresholdsOf(merged, { method: 'kl' })
      expect([...ours.keys()]).toEqual([...net.untuned.keys()])
      const different = [...net.untuned].filter(([layer, { threshold, min, max }]) => {
        const own = ours.get(layer)!
        const range = Math.max(-min, max)
        expect(near(own.min, min, range) && near(own.max, max, range)).toBe(true)
        return !near(own.threshold, threshold, threshold)
      })
      expect(different.map(([layer]) => layer)).toEqual(undecided[name] ?? [])
    })

  it('and where it does not, the vendor’s own way on our float values does', async () => {
    const net = golden('street_tiny')
    // The layer in question, and two others whose best candidates are 0.07 % and 0.29 % apart.
    const layers = [
      ...undecided.street_tiny!,
      'model_1/max_pooling2d_3/MaxPool:0_MaxPool',
      'model_1/leaky_re_lu_4/LeakyRelu:0_LeakyRelu',
    ]
    const values = new Map<string, Float32Array[]>(layers.map((layer) => [layer, []]))
    const session = await openSession(emitOnnx(net.graph, { outputs: layers }), 'street_tiny')
    for await (const feeds of samples(net))
      for (const [layer, { data }] of await session.run(feeds)) values.get(layer)!.push(data.slice())
    await session.release()
    for (const [layer, pictures] of values) {
      const { threshold } = net.untuned.get(layer)!
      expect(near(twoPassThreshold(pictures), threshold, threshold)).toBe(true)
    }
  })
})

async function statistics(net: Golden): Promise<Map<string, TensorStatistics>> {
  const session = await openSession(emitOnnx(net.graph, { outputs: readLayers(net.graph) }), net.name)
  let merged = new Map<string, TensorStatistics>()
  for await (const feeds of samples(net)) {
    const one = await analysePicture(net.graph, session, feeds)
    const before = merged
    merged = new Map([...one].map(([k, stats]) => [k, before.size ? mergeStatistics([before.get(k)!, stats]) : stats]))
  }
  await session.release()
  return withFollowers(net.graph, merged)
}

/** The vendor's threshold by its definition: all values, the largest first, then 2048 bins of |x|, then the divergences. */
function twoPassThreshold(pictures: readonly Float32Array[]): number {
  let largest = 0
  for (const data of pictures) for (const x of data) largest = Math.max(largest, Math.abs(x))
  const width = largest / 2047
  const hits = new Array<number>(2048).fill(0)
  let total = 0
  for (const data of pictures)
    for (const x of data) {
      if (x === 0) continue
      hits[Math.min(2047, Math.floor(Math.abs(x) / width + 0.5))]!++
      total++
    }
  const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0)
  const divergences = Array.from({ length: 16 }, (_, m) => {
    const bins = 128 * (m + 1)
    const p = hits.slice(0, bins)
    const inside = sum(p)
    const q = p.map((n, j) => {
      const group = p.slice(j - (j % (m + 1)), j - (j % (m + 1)) + m + 1)
      return n === 0 ? 0 : sum(group) / group.filter((k) => k > 0).length / inside
    })
    p[bins - 1]! += sum(hits.slice(bins))
    return sum(p.map((n, j) => (n / total) * (Math.log10(n / total + 1e-30) - Math.log10(q[j]! + 1e-30))))
  })
  const best = divergences.indexOf(Math.min(...divergences))
  return Math.min(largest, width * 128 * (best + 1))
}
