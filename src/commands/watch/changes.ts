/**
 * Tells that something changed, when it has been quiet for a moment. Folders are watched, never single files: an editor that writes a new
 * file and renames it replaces the file, not the folder. What is not there yet is awaited in the nearest folder above it.
 */
import { basename, dirname, join } from 'node:path'
import chokidar from 'chokidar'
import * as disk from '../../disk.js'
import type { Watched } from './sight.js'

/** Editors write a file in several steps, copies of folders come in bursts. */
const quietMs = 100
/** Somebody who writes without a pause is not waited for longer. */
const mostMs = 1000

export interface Changes {
  /** What to watch from now on. Changes elsewhere are not told. */
  follow(watched: Watched): void
  close(): Promise<void>
}

/** @param tell `inputs`: not only artifacts were touched. May tell of what changed nothing; never misses a change. */
export function openChanges(tell: (change: { readonly inputs: boolean }) => void): Changes {
  const watcher = chokidar.watch([], { ignoreInitial: true, depth: 0 })
  const following = new Set<string>()
  let files = new Set<string>()
  let folders = new Set<string>()
  let outputs = new Set<string>()
  let quiet: NodeJS.Timeout | undefined
  let latest: NodeJS.Timeout | undefined
  let inputs = false

  function touched(path: string): void {
    const isOutput = outputs.has(path)
    const isInput = files.has(path) || (folders.has(dirname(path)) && !basename(path).startsWith('.'))
    if (!isOutput && !isInput) return
    inputs ||= !isOutput
    soon()
  }

  function soon(): void {
    clearTimeout(quiet)
    quiet = setTimeout(now, quietMs)
    latest ??= setTimeout(now, mostMs)
  }

  function now(): void {
    stop()
    const change = { inputs }
    inputs = false
    tell(change)
  }

  function stop(): void {
    clearTimeout(quiet)
    clearTimeout(latest)
    latest = undefined
  }

  watcher.on('all', (event, path) => {
    if (event === 'unlinkDir') following.delete(path)
    touched(path)
  })
  // What the library holds back, such as an edit with the old times put back.
  watcher.on('raw', (_, name, about) => {
    const { watchedPath } = about as { watchedPath?: string }
    if (watchedPath !== undefined) touched(following.has(watchedPath) && name ? join(watchedPath, name) : watchedPath)
  })
  // A folder that cannot be watched: what changes there is seen at the next change elsewhere, or with `r`.
  watcher.on('error', () => {})

  return {
    follow(watched) {
      folders = new Set(watched.folders)
      outputs = new Set(watched.outputs)
      files = new Set([...watched.files, ...watched.folders])
      const found = new Set<string>()
      for (const path of [...watched.files, ...watched.folders, ...watched.outputs]) {
        let folder = dirname(path)
        for (; !isFolder(folder) && folder !== dirname(folder); folder = dirname(folder)) files.add(folder)
        found.add(folder)
      }
      for (const folder of watched.folders) if (isFolder(folder)) found.add(folder)
      const fresh = [...found].filter((folder) => !following.has(folder))
      for (const folder of fresh) following.add(folder)
      if (fresh.length === 0) return
      watcher.add(fresh)
      // What came between the look and the watch.
      inputs = true
      soon()
    },
    async close() {
      stop()
      await watcher.close()
    },
  }
}

const isFolder = (path: string): boolean => disk.stat(path)?.directory === true
