/**
 * The table of losses of C candidates on N pictures, on all and ranked, and the whole search, each from nothing but the calibration table.
 * Beside them what scripts do: (C + 2) * N runs of one open network, as if only the session were exchanged; and a plain loop, which lowers
 * the network for every layer, opens it and runs the pictures, on some of the layers and scaled up.
 */
import { emitOnnx } from '../src/ir/emit.js'
import type { Tensor } from '../src/ir/graph.js'
import { openQuantized } from '../src/quantize/execute.js'
import { lower } from '../src/quantize/lower.js'
import { openSession } from '../src/runtime/session.js'
import { candidateLayers } from '../src/search/candidates.js'
import { sqnrLoss } from '../src/search/loss.js'
import { table } from '../src/show/table.js'
import { byTurns, cpuSeconds, times } from './measure.js'
import { networks, quickThresholds } from './networks.js'
import { type BenchProject, type Cost, exampleProject, zooProject } from './project.js'

const pictures = 10
/** So many layers of the plain loop are run, evenly spread. */
const looped = 6
const only = process.argv[2] ?? ''
const zoo = ['yolo-lite-coco', 'yolov3_tiny_rand', 'yolo-fastest-1.1', 'yolov5n-320'] as const

const rows: string[][] = []
if ('street'.includes(only)) rows.push(...(await measure(exampleProject())))
for (const name of zoo) {
  const project = name.includes(only) ? zooProject(name) : undefined
  if (project) rows.push(...(await measure(project)))
}
console.log(
  table(
    [['losses', '', 'wall', 'CPU', 'of whole runs; aim <= 0.2x', 'of a plain loop; aim <= 0.05x', 'peak'], ...rows],
    {
      align: 'llrrrrr',
    },
  ),
)

async function measure(project: BenchProject): Promise<string[][]> {
  const { candidates, whole, loop } = await scripts(project.name)
  project.build('calibrate')
  project.losses('exhaustive')
  const exhaustive = await project.cost('losses:mix')
  project.losses('ranked')
  const ranked = await project.cost('losses:mix')
  const select = await project.cost('select:mix')
  project.remove()
  const search = {
    cpu: ranked.cpu + select.cpu,
    wall: ranked.wall + select.wall,
    peak: Math.max(ranked.peak ?? 0, select.peak ?? 0) || undefined,
  }
  const row = (what: string, { cpu, wall, peak }: Cost): string[] => [
    '',
    what,
    `${wall.toFixed(2)} s`,
    `${cpu.toFixed(2)} s`,
    times(cpu / whole),
    times(cpu / loop),
    peak === undefined ? '-' : `${peak.toFixed(0)} MB`,
  ]
  const [first, ...others] = [
    row(`table, all ${pictures} pictures`, exhaustive),
    row('table, ranked', ranked),
    row('search: table, ranked, and selection', search),
  ] as [string[], ...string[][]]
  const facts = [`${candidates} layers`, `whole runs ${whole.toFixed(1)} s`, `loop ${loop.toFixed(1)} s`]
  return [[project.name, facts.join(', '), '', '', '', '', ''], first, ...others]
}

/** CPU seconds of (C + 2) * N runs of one open network, and of a plain loop over the layers. */
async function scripts(name: string): Promise<{ candidates: number; whole: number; loop: number }> {
  const { graph, samples } = networks(name).find((network) => network.name === name)!
  const feeds = await samples(pictures)
  const thresholds = await quickThresholds(graph, feeds[0]!)
  const layers = candidateLayers(graph)
  const session = await openQuantized(lower(graph, thresholds, () => 'INT8'))
  const { run } = await byTurns({ run: () => session.run(feeds[0]!) }, 10)
  await session.release()

  const float = await openSession(emitOnnx(graph), graph.name)
  const references: Tensor[][] = []
  for (const one of feeds) references.push([...(await float.run(one)).values()])
  await float.release()
  const step = Math.max(1, Math.floor(layers.length / looped))
  const some = layers.filter((_, i) => i % step === Math.floor(step / 2))
  const seconds = await cpuSeconds(async () => {
    for (const layer of some) {
      const mixed = await openQuantized(lower(graph, thresholds, (one) => (one === layer ? 'F32' : 'INT8')))
      for (const [i, one] of feeds.entries()) sqnrLoss(references[i]!, [...(await mixed.run(one)).values()])
      await mixed.release()
    }
  })
  const runs = (layers.length + 2) * pictures
  return { candidates: layers.length, whole: runs * run, loop: (seconds / some.length) * (layers.length + 1) }
}
