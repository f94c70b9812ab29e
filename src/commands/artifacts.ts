import { join } from 'node:path'
import * as disk from '../disk.js'
import type { Artifacts } from '../stages/results.js'

/** What lies in an output folder; what is not there is empty. */
export const artifactsIn = (folder: string): Artifacts => ({
  list: disk.exists(folder) ? disk.list(folder) : [],
  read: (path) => disk.readBytes(join(folder, path)),
  size: (path) => disk.stat(join(folder, path))?.size,
})
