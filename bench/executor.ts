/** One INT8 run against one float run of the same network, and the chip's program on the machine against the INT8 run. */

import { generate } from '../src/bm1684x/codegen/generate.js'
import { storeInputs } from '../src/bm1684x/io.js'
import { runProgram } from '../src/bm1684x/machine/run.js'
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
  const lowered = lower(graph, thresholds, () => 'INT8')
  const quantized = await openQuantized(lowered)
  const program = generate(lowered)
  const inputs = storeInputs(
    program.inputs,
    new Map(Object.entries(feeds!).map(([key, { shape, data }]) => [key, { shape: [...shape], data }])),
    name,
  )
  const runs = 5
  const repeat = async (run: () => Promise<unknown>): Promise<void> => {
    for (let i = 0; i < runs; i++) await run()
  }
  const seconds = await byTurns(
    {
      float: () => repeat(() => float.run(feeds!)),
      int8: () => repeat(() => quantized.run(feeds!)),
      machine: () => runProgram(program, inputs),
    },
    6,
  )
  rows.push([
    name,
    milliseconds(seconds.float / runs),
    milliseconds(seconds.int8 / runs),
    times(seconds.int8 / seconds.float),
    milliseconds(seconds.machine),
    times((seconds.machine * runs) / seconds.int8),
  ])
  await float.release()
  await quantized.release()
}
console.log(table([['INT8 executor', 'float run', 'INT8 run', 'aim <= 2.5x', 'machine run', 'aim <= 4x'], ...rows]))
