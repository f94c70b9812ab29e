/** What belongs to one project: its description, its lock, its stores. */
import { join, relative } from 'node:path'
import * as disk from '../../disk.js'
import { hashFile } from '../../engine/hash.js'
import { lockOwner } from '../../engine/lock.js'
import type { Project, RemoteSettings } from '../../engine/stage.js'
import { QuantError } from '../../errors.js'
import { byteSize } from '../../show/words.js'
import { findFile } from '../find.js'
import { openProject, type ProjectOptions } from '../project.js'
import { type Check, fail, ok, warn } from './check.js'

/** quant.yaml and everything that it names; the project when it is right, to look further. */
export function checkDescription(options: ProjectOptions): { checks: Check[]; project?: Project } {
  const name = 'quant.yaml'
  let file: string
  try {
    file = findFile(options)
  } catch (error) {
    if (!(error instanceof QuantError)) throw error
    // Nobody needs a project to find out whether quant works here; but a file that was named must be there.
    if (options.file !== undefined) return { checks: [fail(name, error.message, error.hint)] }
    return { checks: [warn(name, error.message, '`quant init model.onnx` writes one')] }
  }
  try {
    const { project, pool } = openProject(options)
    pool.close()
    const files = new Set(project.stages.flatMap((stage) => stage.files))
    const says = `${relative(process.cwd(), file) || file}: ${project.stages.length} stages, ${files.size} files`
    return { checks: [ok(name, says)], project }
  } catch (error) {
    if (!(error instanceof QuantError)) throw error
    const checks = [error, ...error.more].map(({ message, place, hint }) =>
      fail(
        name,
        `${place ? `${[place.file, place.line].filter((part) => part !== undefined).join(':')}: ` : ''}${message}`,
        hint,
      ),
    )
    return { checks }
  }
}

export function checkLock({ state }: Project): Check {
  const owner = lockOwner(state)
  if (!owner) return ok('lock', 'no build is running here')
  const since = owner.since.toISOString().replace('T', ' ').slice(0, 19)
  return owner.dead
    ? ok('lock', `left by a build that was killed (process ${owner.pid}); the next one takes it over`)
    : warn('lock', `a build is running here: process ${owner.pid}, since ${since} UTC`, 'another one waits for it')
}

/** So many bytes are read to see whether the store is sound: a look, `quant gc --verify` reads all. */
const looked = 64e6

/** Size of the store, and whether some of its objects, spread evenly, still are what their names say. */
export async function checkStore({ store }: Project): Promise<Check> {
  const objects: { path: string; size: number }[] = []
  let rest = 0
  const folder = join(store, 'objects')
  disk.walk(store, (path, { size }) => {
    if (path.startsWith(`${folder}/`) && !disk.isAside(path)) objects.push({ path, size })
    else rest += size
  })
  const bytes = objects.reduce((sum, { size }) => sum + size, 0)
  const step = Math.max(1, Math.ceil(bytes / looked))
  const sample = objects.filter((_, index) => index % step === 0)
  const damaged: string[] = []
  let read = 0
  for (const { path, size } of sample) {
    if (read > 0 && read + size > looked) continue
    read += size
    const digest = relative(folder, path).replaceAll(/[\\/]/g, '')
    if ((await hashFile(path)).sha256 !== digest) damaged.push(digest.slice(0, 12))
  }
  const says = `${objects.length} objects of ${byteSize(bytes)}, ${byteSize(rest)} of memos and records`
  if (damaged.length > 0)
    return fail(
      'store',
      `${says}; damaged: ${damaged.join(', ')}`,
      '`quant gc --verify` removes damaged objects, and builds make them anew; look after the disk',
    )
  return ok('store', `${says}${objects.length === 0 ? '' : `; ${byteSize(read)} of them looked at, sound`}`)
}

/** A build never depends on the remote store, so that it is away is no failure. */
export async function checkRemote({ url, token, timeoutMs }: RemoteSettings): Promise<Check> {
  const name = 'remote store'
  const { openClient } = await import('../../engine/remote/client.js')
  const client = openClient({ url, token, timeoutMs, mode: 'read-only' })
  try {
    // The object of no bytes: whoever speaks the protocol has it or says 404.
    const path = 'cas/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    const answer = await client.get(path, 0, 0, () => () => {})
    if (answer.trouble !== undefined) return warn(name, `${url}: ${answer.trouble}`, 'builds go on without it')
    const { status } = answer
    if (status === 200 || status === 404) return ok(name, `${url} answers`)
    if (status === 401 || status === 403)
      return warn(name, `${url} refuses (${status})`, 'give its bearer token in QUANT_REMOTE_TOKEN')
    return warn(name, `${url} answers with status ${status}`, 'is it an HTTP cache with /cas/ and /ac/?')
  } finally {
    client.close()
  }
}
