/** What is committed with the example is what this version makes of it: who clones and builds has no changed files. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openProject } from '../src/commands/project.js'
import { parseLock } from '../src/engine/lockfile.js'

const directory = join(import.meta.dirname, '..', 'examples', 'street')

test("the example's lock file is of the stages as they are; if not: `npm run example`, and commit it", async () => {
  const { stages } = await parseLock(readFileSync(join(directory, 'quant.lock'), 'utf8'), 'quant.lock')
  const { project, pool } = openProject({ directory })
  await pool.close()
  const now = project.stages.map(({ name, identity, params }) => [name, { tool: identity, settings: params }])
  const locked = Object.entries(stages).map(([name, { tool, settings }]) => [name, { tool, settings }])
  expect(locked).toEqual(now)
})
