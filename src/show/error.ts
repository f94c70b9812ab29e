import { type Place, QuantError } from '../errors.js'
import { type Paint, paint, printable } from './color.js'

/**
 * An error as people read it, with all that were found in the same look; no newline at the end.
 *
 *     quant.yaml:23:11: `percentil` is not a value of `calibration.method`
 *       23 |   method: percentil
 *          |           ~~~~~~~~~
 *       did you mean `percentile`? known: kl, max, percentile, mse
 */
export function formatError(error: unknown, { color = false }: { color?: boolean } = {}): string {
  const colors = paint(color)
  if (!(error instanceof QuantError)) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    const head = `${colors.red('error:')} ${colors.bold(printable(message))}`
    return `${head}\n  this is a mistake in quant itself; --trace shows where`
  }
  const all = [error, ...error.more].map((one) => formatOne(one, colors))
  return error.more.length === 0
    ? all[0]!
    : [...all, `${all.length} ${error.code === 'config' ? 'mistakes' : 'errors'}`].join('\n\n')
}

function formatOne({ message, place, hint }: QuantError, colors: Paint): string {
  const where = place
    ? printable([place.file, place.line, place.column].filter((part) => part !== undefined).join(':'))
    : 'error'
  // A message must be clear by itself, in logs and JSON; here the place has named the file already.
  const said = place && message.startsWith(`${place.file}: `) ? message.slice(place.file.length + 2) : message
  return [
    `${place ? colors.bold(`${where}:`) : colors.red(`${where}:`)} ${colors.bold(printable(said))}`,
    ...(place ? excerpt(place, colors) : []),
    ...(hint === undefined ? [] : hint.split('\n').map((line) => `  ${printable(line)}`)),
  ].join('\n')
}

/** Long lines are cut to a window around the place. */
function excerpt({ line, column, length = 1, text }: Place, colors: Paint): string[] {
  if (line === undefined || text === undefined) return []
  const number = String(line)
  const bar = colors.dim('|')
  const at = (column ?? 1) - 1
  const from = text.length <= window || at < window / 2 ? 0 : at - window / 2
  const shown = printable(text.slice(from, from + window))
  const source = `  ${colors.dim(number)} ${bar} ${shown}`
  if (column === undefined) return [source]
  const squiggle = '~'.repeat(Math.max(1, Math.min(length, shown.length - (at - from))))
  return [source, `  ${' '.repeat(number.length)} ${bar} ${' '.repeat(at - from)}${colors.red(squiggle)}`]
}

const window = 100
