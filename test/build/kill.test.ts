/** A search that is killed again and again ends with the same bytes, and does hardly anything twice. */
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { temporaryFolder } from '../engine/rig.js'
import { buildUntil, fromSources, keptPieces as kept } from './killing.js'
import { buildRig, seeded, tinyYaml } from './rig.js'

const outputs = ['tiny_full_loss_table.txt', 'tiny_qtable', 'tiny_selection.json']
const contents = (root: string) => outputs.map((name) => readFileSync(join(root, 'build', name), 'utf8'))

test('killed at random, it ends with the same bytes; all that was told is kept, and at most one piece per worker is begun twice', async () => {
  const mix = {
    quantize: 'INT8',
    mix: { mode: 'F16', input_num: 3, loss_table: 'exhaustive', min_improvement: 0.001, max_float_layers: 4 },
  }
  const p = await buildRig({}, { ...tinyYaml, variants: { mix } })
  expect((await p.build(['calibrate'])).failed).toEqual([])
  p.write('quant.yaml', stringify(p.yaml))
  const killed = temporaryFolder()
  cpSync(p.root, killed, { recursive: true })
  const before = kept(killed)
  expect((await p.build(['select:mix'])).failed).toEqual([])
  const all = kept(p.root) - before

  const random = seeded(7)
  let pieces = before
  for (let kill = 0; kill < 3; kill++) {
    const after = 1 + Math.floor(((random() + 1) / 2) * 12)
    const { ended, done } = await buildUntil(killed, fromSources, after)
    if (ended) break
    // Told after it was kept, so nothing that was told is lost.
    expect(kept(killed)).toBeGreaterThanOrEqual(pieces + done)
    pieces = kept(killed)
  }
  // The premise: it was killed in the midst of the search.
  expect(pieces - before).toBeGreaterThan(0)
  expect(pieces - before).toBeLessThan(all)
  const last = await buildUntil(killed, fromSources, Infinity)
  expect(contents(killed)).toEqual(contents(p.root))
  // What is left to do is what was not kept, and no more.
  expect(last.done).toBe(all - (pieces - before))
  expect(kept(killed) - before).toBe(all)
})
