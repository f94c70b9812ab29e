import type { Json, Reason } from '../engine/reason.js'
import { type Place, unreachable } from '../errors.js'

/** Where a setting stands in quant.yaml, by its name in reasons. */
export type PlaceOfSetting = (at: string) => Place

/** Why a stage runs, in one line, with both sides of the difference; with `placeOf`, settings with their line. */
export function reasonText(reason: Reason, placeOf?: PlaceOfSetting): string {
  switch (reason.why) {
    case 'never-built':
      return 'never built'
    case 'input-changed':
      return changed(reason.path, reason.was, reason.now)
    case 'input-dropped':
      return `${reason.path} is not read any more`
    case 'param-changed':
      return `${lineText(placeOf?.(reason.at))}${reason.at} ${json(reason.was)} -> ${json(reason.now)}`
    case 'tool-changed':
      return `the program changed (${short(reason.was)} -> ${short(reason.now)})`
    case 'output-missing':
      return `${reason.path} is missing`
    case 'output-dropped':
      return `${reason.path} is not made any more`
    case 'output-edited':
      return `${reason.path} was edited`
    case 'upstream-changed':
      return reason.was === undefined
        ? `${reason.output} of ${reason.stage} is new`
        : changed(`${reason.output} of ${reason.stage}`, reason.was, reason.now)
    case 'upstream-stale':
      return `${reason.stage} runs first`
    default:
      return unreachable(reason)
  }
}

/** The first reasons in one line: `a; b; c; and 4 more`. */
export function reasonsText(reasons: readonly Reason[], placeOf?: PlaceOfSetting, most = 3): string {
  const shown = reasons.slice(0, most).map((reason) => reasonText(reason, placeOf))
  const rest = reasons.length - shown.length
  return [...shown, ...(rest > 0 ? [`and ${rest} more`] : [])].join('; ')
}

/** For programs: as it is, settings with their place. */
export function reasonJson(reason: Reason, placeOf: PlaceOfSetting): object {
  if (reason.why !== 'param-changed') return reason
  const { file, line } = placeOf(reason.at)
  return { ...reason, place: { file, line } }
}

const lineText = (place: Place | undefined): string => (place ? `${place.file}:${place.line}: ` : '')

function changed(what: string, was: string | undefined, now: string | undefined): string {
  if (was === undefined) return `${what} is new`
  if (now === undefined) return `${what} is gone`
  return `${what} changed (${short(was)} -> ${short(now)})`
}

/** Six digits tell two digests apart. */
const short = (text: string) => (/^[0-9a-f]{12,}$/i.test(text) ? `${text.slice(0, 6)}...` : text)

function json(value: Json | undefined): string {
  if (value === undefined) return 'unset'
  const text = typeof value === 'string' && /^\S+$/.test(value) ? short(value) : JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
