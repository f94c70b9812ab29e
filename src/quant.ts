#!/usr/bin/env node
/**
 * The program's entry. A `quant build` that finds everything as the last one left it is answered here, from that build's snapshot:
 * nothing else is loaded. Everything else is cli.ts. The bundler makes one CommonJS file of it, which starts faster than modules do.
 */
import { dirname } from 'node:path'
import { findFile } from './commands/find.js'
import { circumstances, readSnapshot } from './engine/snapshot.js'
import { stateFolder } from './engine/stage.js'
import type { Emit } from './events.js'
import { useColor } from './show/color.js'
import { reporterName } from './show/index.js'
import { jsonReporter } from './show/json.js'
import { plainReporter } from './show/plain.js'
import { stillReporter } from './show/still.js'

interface Request {
  directory?: string
  file?: string
  json?: true
}

/** What is asked for, if it is a build of everything with options that do not change what is built; cli.ts knows all others. */
function plainBuild(args: readonly string[]): Request | undefined {
  const request: Request = {}
  let build = false
  for (let i = 0; i < args.length; i++) {
    const [arg, value] = [args[i], args[i + 1]]
    if (arg === 'build' && !build) build = true
    else if (arg === '--json') request.json = true
    else if (value === undefined || value === '' || value.startsWith('-')) return undefined
    else {
      if (arg === '-C' || arg === '--directory') request.directory = value
      else if (arg === '-f' || arg === '--file') request.file = value
      else if (!build || (arg !== '-j' && arg !== '--jobs') || !/^[1-9]\d{0,2}$/.test(value)) return undefined
      i++
    }
  }
  return build ? request : undefined
}

/** false when there may be something to do, or to complain about. */
function nothingToDo(): boolean {
  const begun = performance.now()
  const request = plainBuild(process.argv.slice(2))
  const file = request && tryFind(request)
  const now = file === undefined ? undefined : circumstances(file, process.env)
  const snapshot = now && readSnapshot(stateFolder(dirname(now.file)), now)
  const emit = request && reporter(request)
  if (!snapshot || !emit) return false
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  for (const event of snapshot.events) emit(event.type === 'done' ? { ...event, ms: performance.now() - begun } : event)
  if (!request.json) process.stdout.write(snapshot.epilogue)
  return true
}

function tryFind(request: Request): string | undefined {
  try {
    return findFile(request)
  } catch {
    return undefined
  }
}

/** Shows a build in which nothing happens as `show/` would; undefined where more is made than lines. */
function reporter(request: Request): Emit | undefined {
  const { stdout: stream, env } = process
  const json = request.json === true
  const color = useColor(stream, env)
  const write = (text: string): void => void stream.write(text)
  switch (reporterName({ json, stream, env })) {
    case 'json':
      return jsonReporter(write)
    case 'live':
      return stillReporter(write, { color })
    case 'plain':
      return plainReporter(write, { color })
    case 'github':
      return undefined
  }
}

if (!nothingToDo()) {
  // Before anything else is loaded: only what comes later has traces in terms of the sources.
  if (process.argv.includes('--trace')) process.setSourceMapsEnabled(true)
  import('./cli.js')
}
