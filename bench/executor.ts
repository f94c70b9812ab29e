/** One INT8 run against one float run of the same network. */

import { emitOnnx } from '../src/ir/emit.js'
import { openQuantized } from '../src/quantize/execute.js'
import { lower } from '../src/quantize/lower.js'
import { openSession } from '../src/runtime/session.js'
import { table } from '../src/show/table.js'
import { byTurns, milliseconds, times } from './measure.js'
import { networks, quickThresholds } from './networks.js'

const rows: string[][] = []
for (const { name, graph, samples } of networks(process.argv[2])) {
  const [feeds] = await samples(1)
  const thresholds = await quickThresholds(graph, feeds!)
  const float = await openSession(emitOnnx(graph), name)
  const quantized = await openQuantized(lower(graph, thresholds, () => 'INT8'))
  const runs = 5
  const repeat = async (run: () => Promise<unknown>): Promise<void> => {
    for (let i = 0; i < runs; i++) await run()
  }
  const seconds = await byTurns(
    { float: () => repeat(() => float.run(feeds!)), int8: () => repeat(() => quantized.run(feeds!)) },
    6,
  )
  rows.push([
    name,
    milliseconds(seconds.float / runs),
    milliseconds(seconds.int8 / runs),
    times(seconds.int8 / seconds.float),
  ])
  await float.release()
  await quantized.release()
}
console.log(table([['INT8 executor', 'float run', 'INT8 run', 'aim <= 2.5x'], ...rows]))
