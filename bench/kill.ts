/**
 * The search of the example, killed at five random moments (all its processes at once): whether it ends with the bytes of one that was
 * left alone, and how much was done twice. `tsx bench/kill.ts [seed]` by hand.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { table } from '../src/show/table.js'
import { type Attempt, buildUntil, fromSources, keptPieces as kept } from '../test/build/killing.js'
import { exampleProject } from './project.js'

let state = Number(process.argv[2] ?? 1)
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state / 2 ** 32
}

const [alone, killed] = [exampleProject(), exampleProject()]
const contents = (folder: string): string =>
  ['full_loss_table.txt', 'qtable', 'selection.json']
    .map((name) => readFileSync(join(folder, 'build', `street_${name}`), 'utf8'))
    .join('\n')
for (const { build } of [alone, killed]) build('calibrate')
const before = kept(killed.folder)
const whole = await buildUntil(alone.folder, fromSources, Infinity)
const rows = [['', 'told as done', 'kept so far']]
for (let kill = 1; kill <= 5; kill++) {
  const attempt: Attempt = await buildUntil(killed.folder, fromSources, 1 + Math.floor((random() * whole.done) / 5))
  rows.push([
    `kill ${kill}${attempt.ended ? ' (ended before)' : ''}`,
    String(attempt.done),
    String(kept(killed.folder) - before),
  ])
}
const last = await buildUntil(killed.folder, fromSources, Infinity)
rows.push(['to the end', String(last.done), String(kept(killed.folder) - before)])
rows.push(['left alone', String(whole.done), String(kept(alone.folder) - before)])
console.log(table(rows, { align: 'lrr' }))
console.log(contents(alone.folder) === contents(killed.folder) ? 'the same bytes' : 'OTHER BYTES')
alone.remove()
killed.remove()
