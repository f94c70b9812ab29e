/** A process that builds twenty small stages into a shared store: `store-child STORE ROOT`. Exit code 0 when all of them ended well. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from '../../src/engine/build.js'
import type { Stage } from '../../src/engine/stage.js'

const [store, root] = process.argv.slice(2) as [string, string]
const stages = Array.from({ length: 20 }, (_, n): Stage => {
  const output = `${n}`
  return {
    name: `s${n}`,
    title: '',
    params: {},
    identity: '1',
    files: [],
    needs: [],
    outputs: [output],
    async run(context) {
      // The pause lets the processes meet.
      await new Promise((resolve) => setTimeout(resolve, 5))
      context.memo.put('ab'.repeat(32), new Uint8Array(5000).fill(n))
      writeFileSync(context.target(output), Buffer.alloc(50_000, `${n},`))
      return { note: '' }
    },
  }
})
const { failed } = await build(
  { root, output: join(root, 'out'), state: join(root, '.quant'), store, description: [], stages },
  { parallel: 4, signal: new AbortController().signal, emit: () => {} },
)
process.exitCode = failed.length
