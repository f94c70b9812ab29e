/** Figures and sentences that the live and the plain view share. */
import type { Event } from '../events.js'

/** `12 ms`, `1.2 s`, `2 min 05 s`, `1 h 02 min`. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`
  return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, '0')} min`
}

/** Decimal units: `512 B`, `12.3 kB`, `35.5 MB`. */
export function byteSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  let value = bytes / 1000
  let unit = 0
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value.toFixed(1)} ${units[unit]}`
}

/** What a stage ended with: `37 thresholds, same as before`. */
export const noteText = ({ note, sameAsBefore }: Extract<Event, { type: 'finished' }>): string =>
  [note, ...(sameAsBefore ? ['same as before'] : [])].filter((part) => part !== '').join(', ')

/** `remote store http://cache:8080: 3 restored (1.2 MB), 2 uploaded (3.4 MB)`, or what is wrong with it. */
export function remoteText(event: Extract<Event, { type: 'remote' | 'remote-trouble' }>): string {
  const name = `remote store ${event.url}`
  if (event.type === 'remote-trouble') return `${name}: ${event.trouble}`
  const { restored, restoredBytes, uploaded, uploadedBytes } = event
  const parts = [
    `${restored} restored${restored > 0 ? ` (${byteSize(restoredBytes)})` : ''}`,
    ...(uploaded > 0 ? [`${uploaded} uploaded (${byteSize(uploadedBytes)})`] : []),
  ]
  return `${name}: ${parts.join(', ')}`
}

/** The last line of a build. */
export function summary({
  ran,
  fresh,
  restored,
  failed,
  blocked,
  repeated,
  ms,
}: Extract<Event, { type: 'done' }>): string {
  const parts = [
    [failed, 'failed'],
    [blocked, 'not run'],
    [ran, 'ran'],
    [restored, 'restored'],
    [fresh, 'up to date'],
    [repeated ?? 0, 'the same twice'],
  ] as const
  const counts = parts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`)
  if (failed > 0) return `failed after ${duration(ms)}: ${counts.join(', ')}`
  if (ran + restored + blocked === 0 && repeated === undefined)
    return `nothing to do: ${fresh} up to date (${duration(ms)})`
  return `done in ${duration(ms)}: ${counts.join(', ')}`
}

/** `14.94`; `-` for one that is infinite. */
export const figure = (value: number | null, digits: number): string => value?.toFixed(digits) ?? '-'
