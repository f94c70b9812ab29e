/** The table of losses of C candidates on N pictures, against (C + 2) * N whole runs: what it costs to run the network once for each. */
import { openQuantized } from '../src/quantize/execute.js'
import { lower } from '../src/quantize/lower.js'
import { table } from '../src/show/table.js'
import { byTurns, times } from './measure.js'
import { networks, quickThresholds } from './networks.js'
import { type BenchProject, exampleProject, zooProject } from './project.js'

const pictures = 10
const rows: string[][] = []
for (const project of [exampleProject(), zooProject('yolo-lite-coco'), zooProject('yolov3_tiny_rand')]) {
  if (project) rows.push(await measure(project))
}
console.log(table([['losses', 'candidates', 'whole runs', 'table', 'aim <= 0.2x'], ...rows]))

async function measure(project: BenchProject): Promise<string[]> {
  project.build('calibrate')
  const seconds = project.build('losses:mix')
  const candidates = project.candidates()
  project.remove()
  const { graph, samples } = networks(project.name)[0]!
  const [feeds] = await samples(1)
  const session = await openQuantized(lower(graph, await quickThresholds(graph, feeds!), () => 'INT8'))
  const { run } = await byTurns({ run: () => session.run(feeds!) }, 10)
  await session.release()
  const runs = (candidates + 2) * pictures * run
  return [project.name, String(candidates), `${runs.toFixed(2)} s`, `${seconds.toFixed(2)} s`, times(seconds / runs)]
}
