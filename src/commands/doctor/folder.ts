/** What the file system of a project gives. */
import { join } from 'node:path'
import * as disk from '../../disk.js'
import { errorRecord } from '../../errors.js'
import { byteSize, duration } from '../../show/words.js'
import { type Check, fail, ok, warn } from './check.js'

/** Below this a build of a large network with a few variants may end half-way. */
const plenty = 2e9

export function checkSpace(folder: string): Check {
  const free = disk.freeBytes(folder)
  const says = `${byteSize(free)} free in ${folder}`
  if (free < plenty / 20) return fail('disk', says, 'free some space: `quant gc` tells what the store can do without')
  return free < plenty ? warn('disk', says, '`quant gc` tells what the store can do without') : ok('disk', says)
}

/** Writes a few files as builds do: aside, synced, renamed. What was written is removed again. */
export function checkFiles(folder: string): Check {
  const probe = join(folder, `.quant-doctor.${process.pid}`)
  const name = 'files'
  try {
    disk.makeFolder(probe)
    const begun = disk.now()
    const times: bigint[] = []
    for (let n = 0; n < probes; n++) {
      const path = join(probe, String(n % 2)) // every second one replaces
      disk.writeAtomic(path, `${n}`)
      if (disk.readText(path) !== `${n}`) return fail(name, `${folder} gives back other bytes than were written`)
      times.push(disk.stat(path)!.mtimeNs)
    }
    const each = Number(disk.now() - begun) / 1e6 / probes
    const [says, coarse] = grainText(times)
    const speed = `a file is written, synced and renamed in ${each < 1 ? '<1 ms' : duration(each)}`
    return coarse
      ? warn(name, `${speed}; ${says}`, 'files that change within that time are read again to be sure')
      : ok(name, `${speed}; ${says}`)
  } catch (error) {
    const { message, hint } = errorRecord(error)
    return fail(name, message, hint)
  } finally {
    if (disk.exists(probe)) disk.remove(probe)
  }
}

const probes = 8

/** The coarsest unit of which all times are whole multiples: with eight of them, chance does not look like a second. */
function grainText(times: readonly bigint[]): [says: string, coarse: boolean] {
  const whole = (unit: bigint): boolean => times.every((time) => time % unit === 0n)
  if (whole(1_000_000_000n)) return ['file times have whole seconds only', true]
  if (whole(1_000_000n)) return ['file times have milliseconds', false]
  return ['file times are fine', false]
}
