import { join } from 'node:path'
import * as disk from '../disk.js'
import { takeLock } from '../engine/lock.js'
import { openState } from '../engine/state.js'
import { openProject, type ProjectOptions } from './project.js'

/** Removes the artifacts that builds made, nothing else; with `all` the state folder too. */
export async function cleanCommand(options: ProjectOptions & { all?: boolean }): Promise<number> {
  const { project, pool } = openProject(options)
  pool.close()
  const lock = await takeLock(project.state, () => {}, new AbortController().signal)
  let removed = 0
  try {
    const state = openState(project.state)
    for (const stage of project.stages)
      for (const output of new Set([...stage.outputs, ...Object.keys(state.stage(stage.name)?.outputs ?? {})])) {
        const path = join(project.output, output)
        if (!disk.exists(path)) continue
        disk.remove(path)
        removed++
        disk.removeEmptyFolders(path, project.output)
      }
    if (options.all) disk.remove(project.state)
  } finally {
    lock.release()
  }
  const stays = !options.all || !project.store.startsWith(`${project.state}/`)
  process.stdout.write(
    `${removed} artifacts removed${options.all ? ', and all that was known' : ''}${stays ? `; the store ${options.all ? `${project.store} ` : ''}keeps them` : ''}\n`,
  )
  return 0
}
