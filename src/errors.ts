/**
 * The one way to fail. Library code throws a QuantError and never prints; the CLI shows place, caret and hint.
 * A message is lower case, names the thing by its own name and says one fact; the hint says what to do.
 */

/** Where in a file something is wrong. Lines and columns count from 1, columns in UTF-16 units. */
export interface Place {
  readonly file: string
  readonly line?: number
  readonly column?: number
  /** How many characters the squiggle covers. */
  readonly length?: number
  /** The text of that line, for the squiggle. */
  readonly text?: string
}

export type ErrorCode =
  | 'config' // quant.yaml is wrong
  | 'usage' // the command line is wrong
  | 'input' // a file that the user gave cannot be used
  | 'model' // the network cannot be taken
  | 'gate' // a `require` of verify does not hold
  | 'frozen' // something is not as the lock file says
  | 'unrepeatable' // a stage gave other bytes the second time
  | 'busy' // another build is running here
  | 'frozen' // something is not as the lock file says
  | 'unrepeatable' // a stage gave other bytes the second time
  | 'busy' // another build is running here
  | 'disk' // reading or writing failed
  | 'runtime' // inference failed
  | 'remote' // the remote store is required and cannot be used
  | 'interrupted'

export class QuantError extends Error {
  readonly code: ErrorCode
  readonly place: Place | undefined
  readonly hint: string | undefined
  /** Further errors found in the same look (a config may have many). */
  readonly more: readonly QuantError[]

  constructor(
    code: ErrorCode,
    message: string,
    detail: {
      place?: Place | undefined
      hint?: string | undefined
      more?: readonly QuantError[]
      cause?: unknown
    } = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause })
    this.name = 'QuantError'
    this.code = code
    this.place = detail.place
    this.hint = detail.hint
    this.more = detail.more ?? []
  }
}

/** A QuantError as plain data, to cross process borders and to be stored; `reviveError` is its inverse. */
export interface ErrorRecord {
  readonly code: ErrorCode | 'bug'
  readonly message: string
  readonly place?: Place | undefined
  readonly hint?: string | undefined
  readonly more?: readonly ErrorRecord[]
  readonly stack?: string | undefined
}

export function errorRecord(error: unknown): ErrorRecord {
  if (error instanceof QuantError) {
    const { code, message, place, hint, stack } = error
    return {
      code,
      message,
      place,
      hint,
      stack,
      ...(error.more.length > 0 ? { more: error.more.map(errorRecord) } : {}),
    }
  }
  if (error instanceof Error) return { code: 'bug', message: error.message, stack: error.stack }
  return { code: 'bug', message: String(error) }
}

export function reviveError(record: ErrorRecord): Error {
  if (record.code !== 'bug') {
    const more = (record.more ?? []).map(reviveError).filter((error) => error instanceof QuantError)
    return new QuantError(record.code, record.message, { place: record.place, hint: record.hint, more })
  }
  const error = new Error(record.message)
  if (record.stack !== undefined) error.stack = record.stack
  return error
}

/** Closes a switch over a union: the compiler complains when a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`not reached: ${JSON.stringify(value)}`)
}
