/**
 * One build at a time in one state folder. The lock file names its owner: pid, that process's start time, and the boot.
 * A pid alone is not enough: after a crash and a reboot another process may have it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import * as disk from '../disk.js'
import { QuantError } from '../errors.js'

export interface Lock {
  release(): void
}

/** @param onWait called once when another build holds the lock, with its pid. */
export async function takeLock(folder: string, onWait: (pid: number) => void, signal: AbortSignal): Promise<Lock> {
  const path = `${folder}/lock`
  const me = identity(process.pid)
  let told = false
  while (!disk.createExclusive(path, `${me}\n`)) {
    const owner = readOwner(path)
    if (owner !== undefined && !isAlive(owner)) {
      // Taken over by renaming: of several that wait, one rename succeeds in moving this very file.
      breakLock(path, owner)
      continue
    }
    if (!told && owner !== undefined) {
      onWait(Number(owner.split(' ')[0]))
      told = true
    }
    try {
      await sleep(100, undefined, { signal })
    } catch {
      throw new QuantError('interrupted', 'interrupted while waiting for another build')
    }
  }
  return {
    release() {
      if (readOwner(path) === me) disk.remove(path)
    },
  }
}

function readOwner(path: string): string | undefined {
  try {
    const text = disk.readText(path)
    return text.endsWith('\n') ? text.trim() : undefined
  } catch {
    return undefined // released in between
  }
}

function breakLock(path: string, owner: string): void {
  const aside = `${path}.${process.pid}.dead`
  try {
    disk.rename(path, aside)
    // Somebody else may have broken it and taken it between our look and our rename: then give it back.
    if (readOwner(aside) !== owner && !disk.exists(path)) disk.rename(aside, path)
    else disk.remove(aside)
  } catch {
    // Gone already.
  }
}

const isAlive = (owner: string): boolean => owner === identity(Number(owner.split(' ')[0]))

/** `pid start-time boot-id`; parts that the system does not tell are '-'. */
function identity(pid: number): string {
  const boot = tryRead('/proc/sys/kernel/random/boot_id')?.trim() ?? '-'
  const status = tryRead(`/proc/${pid}/stat`)
  if (status !== undefined) return `${pid} ${status.slice(status.lastIndexOf(')') + 2).split(' ')[19]} ${boot}`
  return processExists(pid) && boot === '-' ? `${pid} - -` : `${pid} gone ${boot}`
}

function tryRead(path: string): string | undefined {
  try {
    return disk.readText(path)
  } catch {
    return undefined
  }
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM'
  }
}
