/** What calibration does with one picture, against one onnxruntime run that gives every tensor: aim at most 1.5x. */
import { analysePicture, readLayers } from '../src/calibrate/analyse.js'
import { encodeStatistics } from '../src/calibrate/statistics-bytes.js'
import { emitOnnx } from '../src/ir/emit.js'
import { openSession } from '../src/runtime/session.js'
import { table } from '../src/show/table.js'
import { byTurns, milliseconds, times } from './measure.js'
import { networks } from './networks.js'

const pictures = 5
const rows: string[][] = []
for (const { name, graph, samples } of networks(process.argv[2])) {
  const all = await openSession(emitOnnx(graph, { outputs: graph.nodes.map((node) => node.name) }), name)
  const read = await openSession(emitOnnx(graph, { outputs: readLayers(graph) }), name)
  const given = await samples(pictures)
  const seconds = await byTurns(
    {
      run: async () => {
        for (const feeds of given) await all.run(feeds)
      },
      analysis: async () => {
        for (const feeds of await samples(pictures)) encodeStatistics(await analysePicture(graph, read, feeds))
      },
    },
    4,
  )
  const { run, analysis } = seconds
  rows.push([name, milliseconds(run / pictures), milliseconds(analysis / pictures), times(analysis / run)])
  await all.release()
  await read.release()
}
console.log(table([['calibration', 'run, all tensors', 'picture analysed', ''], ...rows]))
