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

/** A file that names nobody was made just now, and its owner is about to write into it; or that owner was killed there. */
const namelessMs = 2_000

/**
 * @param onWait called once when another build holds the lock, with its pid and the time it took it. What it throws ends the waiting.
 * @throws QuantError 'interrupted' by the signal; 'disk' when the lock file cannot be read.
 */
export async function takeLock(
  folder: string,
  onWait: (pid: number, since: Date) => void,
  signal: AbortSignal,
): Promise<Lock> {
  const path = `${folder}/lock`
  const me = identity(process.pid)
  let told = false
  // Looked at again after it was made: whoever sat too long between making and writing it may have lost it.
  while (!(disk.createExclusive(path, `${me}\n`) && readOwner(path)?.name === me)) {
    const owner = readOwner(path)
    if (owner && isDead(owner) && breakLock(path, owner)) continue
    if (!told && owner?.name !== undefined && !isDead(owner)) {
      onWait(Number(owner.name.split(' ')[0]), owner.since)
      told = true
    }
    try {
      await sleep(100, undefined, { signal })
    } catch {
      throw new QuantError('interrupted', 'interrupted while waiting for another build')
    }
  }
  disk.remove(`${path}.break`) // left by one that was killed at it; a living one finds that this lock is not dead
  return {
    release() {
      if (readOwner(path)?.name === me) disk.remove(path)
    },
  }
}

/** Who holds the lock of a state folder, or undefined: for looking only. `dead` ones are no hindrance to a build. */
export function lockOwner(
  folder: string,
): { readonly pid: number; readonly since: Date; readonly dead: boolean } | undefined {
  const owner = readOwner(`${folder}/lock`)
  return owner && { pid: Number(owner.name?.split(' ')[0] ?? 0), since: owner.since, dead: isDead(owner) }
}

interface Owner {
  /** As `identity` gives it; undefined when the file names nobody. */
  readonly name: string | undefined
  readonly since: Date
}

/** undefined when there is no lock (any more). */
function readOwner(path: string): Owner | undefined {
  const at = disk.stat(path)
  if (!at) return undefined
  try {
    const text = disk.readText(path)
    const since = new Date(Number(at.mtimeNs / 1_000_000n))
    return { name: text.endsWith('\n') ? text.trim() : undefined, since }
  } catch (error) {
    if (!disk.exists(path)) return undefined // released in between
    throw error
  }
}

function isDead({ name, since }: Owner): boolean {
  return name === undefined ? ageMs(since) > namelessMs : name !== identity(Number(name.split(' ')[0]))
}

/**
 * Removes the lock of a dead owner. Of several that wait one may do it at a time, and it looks again first: nobody else can have
 * removed that lock meanwhile, so it is not a new owner's. false when another one is at it.
 */
function breakLock(path: string, owner: Owner): boolean {
  const breaking = `${path}.break`
  if (!disk.createExclusive(breaking, `${identity(process.pid)}\n`)) {
    const other = readOwner(breaking)
    if (other && isDead(other)) disk.remove(breaking)
    return false
  }
  try {
    const now = readOwner(path)
    if (now && now.name === owner.name && isDead(now)) disk.remove(path)
  } finally {
    disk.remove(breaking)
  }
  return true
}

const ageMs = (since: Date): number => Number(disk.now() / 1_000_000n) - since.getTime()

/** `pid start-time boot-id`; parts that the system does not tell are '-'. */
function identity(pid: number): string {
  const boot = tryRead('/proc/sys/kernel/random/boot_id')?.trim() ?? '-'
  const status = tryRead(`/proc/${pid}/stat`)
  const fields = status?.slice(status.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended; only its parent has not looked yet, and some, like many a container's first process, never do.
  if (fields && !['Z', 'X'].includes(fields[0]!)) return `${pid} ${fields[19]} ${boot}`
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
