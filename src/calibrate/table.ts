/**
 * The calibration table, in the vendor's text format, both ways:
 *
 *   # histogram number: 2048
 *   # sample number: 100
 *   # tune number: 5                          only when tuned
 *   ###
 *   # op_name    threshold    min    max
 *   input_1 0.9938037 0.0000000 1.0000080     one line per layer in graph order, single spaces, printf %.7f
 *
 *   # bias_correction conv1_Conv 0.0012 ...   one line per layer whose bias is corrected, behind the others; a comment to other tools
 *
 *
 *   #asym_op                                     only where there are such layers, as the last thing
 *   conv2_Conv                                   one line per layer whose result has a zero point
 *
 * Lines with # are comments, except that a line `#asym_op`, `#int4_th` and the like after the layers starts a block of another kind.
 * The vendor also writes "# genetated time: ...": it is left out, the same calibration must give the same bytes and nobody
 * reads it; `note` takes its place. "# quantization threshold calculation method" is written for methods other than kl: the
 * tool of this format knew only kl.
 */
import { type Place, QuantError } from '../errors.js'
import type { Graph } from '../ir/graph.js'
import { nearestNames } from '../nearest.js'
import { METHODS, type TableMethod } from './choose.js'
import { HISTOGRAM_BINS } from './kl.js'
import type { Threshold, Thresholds } from './threshold.js'

export interface CalibrationTable {
  readonly thresholds: Thresholds
  readonly method: TableMethod
  /** How many pictures; 0 where a table does not say it. */
  readonly samples: number
  /** How many pictures it was tuned with; 0: not tuned. */
  readonly tuned: number
  /** A comment line of its own, the first one. */
  readonly note?: string
}

export interface ReadTable extends CalibrationTable {
  /** Layer name -> where it stands. */
  readonly places: ReadonlyMap<string, Place>
}

const METHOD = 'quantization threshold calculation method'
const CORRECTION = '# bias_correction'
const ASYMMETRIC = '#asym_op'

/** Everything in a table that lowering reads, without the comments: two tables that agree in it give the same network. */
export const tableContent = (text: string): string =>
  text
    .split('\n')
    .filter((line) => !line.startsWith('#') || line.startsWith(CORRECTION) || line === ASYMMETRIC)
    .join('\n')

export function writeCalibrationTable(table: CalibrationTable): string {
  const lines: string[] = []
  if (table.note !== undefined) lines.push(`# ${table.note}`)
  if (table.method !== 'kl') lines.push(`# ${METHOD}: ${table.method}`)
  lines.push(`# histogram number: ${HISTOGRAM_BINS}`, `# sample number: ${table.samples}`)
  if (table.tuned > 0) lines.push(`# tune number: ${table.tuned}`)
  lines.push('###', '# op_name    threshold    min    max')
  for (const [name, { threshold, min, max }] of table.thresholds)
    lines.push(`${name} ${fixed7(threshold)} ${fixed7(min)} ${fixed7(max)}`)
  for (const [name, { biasCorrection }] of table.thresholds)
    if (biasCorrection) lines.push(`${CORRECTION} ${name} ${biasCorrection.join(' ')}`)
  const asymmetric = [...table.thresholds].flatMap(([name, { asymmetric }]) => (asymmetric ? [name] : []))
  if (asymmetric.length > 0) lines.push('', ASYMMETRIC, ...asymmetric)
  return `${lines.join('\n')}\n`
}

/**
 * printf("%.7f"): the exact value to seven decimals, ties to even, -0 with its sign. toFixed rounds ties up; only odd multiples of
 * 2^-8 can be ties.
 */
export function fixed7(value: number): string {
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const size = Math.abs(value)
  const exact = size.toFixed(8)
  const tieToEven = Math.abs((size * 256) % 2) === 1 && /[02468]5$/.test(exact)
  return sign + (tieToEven ? exact.slice(0, -1) : size.toFixed(7))
}

/**
 * Takes tables of the vendor's older and newer tools. Trailing blocks of other kinds (4-bit thresholds) are passed over: they do not
 * concern INT8.
 * @param file names the table in errors. @throws QuantError 'input' with line and column.
 */
export function readCalibrationTable(text: string, file: string): ReadTable {
  const thresholds = new Map<string, Threshold>()
  const places = new Map<string, Place>()
  const header = new Map<string, string>()
  let block: string | undefined
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '')
    const at = { file, line: index + 1, text: line }
    if (line.trim() === '') continue
    if (line.startsWith('#')) {
      if (thresholds.size > 0 && /^#\w/.test(line)) {
        block = line.trim()
        continue
      }
      if (line.startsWith(`${CORRECTION} `)) {
        const { name, biasCorrection } = parseCorrection(line, at)
        const known = thresholds.get(name)
        if (known) thresholds.set(name, { ...known, biasCorrection })
        continue
      }
      const [, key, value] = /^# *([^:]+): *(.*)$/.exec(line) ?? []
      if (key !== undefined && value !== undefined) header.set(key, value)
      continue
    }
    if (block === ASYMMETRIC) {
      const name = line.trim()
      thresholds.set(name, { ...asymmetricLayer(thresholds, name, at), asymmetric: true })
    }
    if (block !== undefined) continue
    const { name, threshold } = parseLine(line, at)
    const place = { ...at, column: 1 + line.indexOf(name), length: name.length }
    if (thresholds.has(name))
      throw new QuantError('input', `layer ${JSON.stringify(name)} stands twice in the calibration table`, {
        place,
        hint: `it is already in line ${places.get(name)?.line}: delete one of the two`,
      })
    thresholds.set(name, threshold)
    places.set(name, place)
  }
  if (thresholds.size === 0)
    throw new QuantError('input', 'the calibration table has no layer', {
      place: { file },
      hint: 'each layer is a line: name, threshold, min, max',
    })
  const note = [...header].find(([key]) => key === 'genetated time' || key === 'generated time')
  return {
    thresholds,
    places,
    method: ([...METHODS, 'best'] as const).find((method) => method === header.get(METHOD)) ?? 'kl',
    samples: Number(header.get('sample number') ?? 0),
    tuned: Number(header.get('tune number') ?? 0),
    ...(note && { note: note.join(': ') }),
  }
}

const COLUMNS = ['name', 'threshold', 'min', 'max'] as const

function parseLine(line: string, at: Place): { name: string; threshold: Threshold } {
  const fields = [...line.matchAll(/\S+/g)].map((match) => ({ text: match[0], column: match.index + 1 }))
  if (fields.length !== COLUMNS.length)
    throw new QuantError('input', `a line of a calibration table has 4 columns, this one ${fields.length}`, {
      place: { ...at, column: 1, length: line.length },
      hint: fields[0]?.text.includes('_weight')
        ? 'scales of single weights (_weight lines) are not taken: remove the line'
        : `the columns are ${COLUMNS.join(', ')}, separated by spaces`,
    })
  const [threshold, min, max] = [1, 2, 3].map((i) => {
    const { text, column } = fields[i]!
    const value = Number(text)
    if (!/^[-+]?[\d.]+(e[-+]?\d+)?$/i.test(text) || !Number.isFinite(value))
      throw new QuantError('input', `${COLUMNS[i]} ${JSON.stringify(text)} is not a finite number`, {
        place: { ...at, column, length: text.length },
        hint: 'calibrate again; a layer that overflows shows in the warnings of calibration',
      })
    return value
  }) as [number, number, number]
  const wrong = (column: number, message: string): QuantError =>
    new QuantError('input', message, {
      place: { ...at, column: fields[column]!.column, length: fields[column]!.text.length },
      hint: `it is about layer ${JSON.stringify(fields[0]!.text)}: correct the line or calibrate again`,
    })
  if (threshold <= 0) throw wrong(1, `threshold ${fields[1]!.text} is not above 0`)
  if (min > max) throw wrong(2, `min ${fields[2]!.text} is above max ${fields[3]!.text}`)
  return { name: fields[0]!.text, threshold: { threshold, min, max } }
}

function asymmetricLayer(thresholds: Thresholds, name: string, at: Place): Threshold {
  const known = thresholds.get(name)
  if (known) return known
  const [close] = nearestNames(name, thresholds.keys())
  throw new QuantError('input', `${ASYMMETRIC} names a layer that has no threshold: ${name}`, {
    place: { ...at, column: 1, length: name.length },
    hint: close === undefined ? 'remove the line, or calibrate again' : `did you mean ${JSON.stringify(close)}?`,
  })
}

function parseCorrection(line: string, at: Place): { name: string; biasCorrection: number[] } {
  const [name = '', ...numbers] = line.slice(CORRECTION.length).trim().split(/\s+/)
  const biasCorrection = numbers.map(Number)
  if (biasCorrection.length === 0 || !biasCorrection.every(Number.isFinite))
    throw new QuantError('input', 'a bias correction is a layer and a number per channel', {
      place: { ...at, column: 1, length: CORRECTION.length },
      hint: 'calibrate again, or remove the line',
    })
  return { name, biasCorrection }
}

/**
 * The table and the graph must have the same layers.
 * @throws QuantError 'input': the first difference, the others in `more`.
 */
export function checkTable(graph: Graph, table: Pick<ReadTable, 'thresholds' | 'places'>, file: string): void {
  const layers = new Set(graph.nodes.map((node) => node.name))
  const unknown = [...table.thresholds.keys()]
    .filter((name) => !layers.has(name))
    .map((name) => {
      const [close] = nearestNames(name, layers)
      return new QuantError('input', `the calibration table names a layer that the model has not: ${name}`, {
        place: table.places.get(name) ?? { file },
        hint:
          close === undefined
            ? 'remove the line, or calibrate again with this model'
            : `did you mean ${JSON.stringify(close)}?`,
      })
    })
  const missing = [...layers]
    .filter((name) => !table.thresholds.has(name))
    .map(
      (name) =>
        new QuantError('input', `layer ${JSON.stringify(name)} is missing in the calibration table`, {
          place: { file },
          hint: 'calibrate again, or add its line: name, threshold, min, max',
        }),
    )
  throwAll([...unknown, ...missing])
}

function throwAll([first, ...more]: readonly QuantError[]): void {
  if (first === undefined) return
  throw new QuantError(first.code, first.message, { place: first.place, hint: first.hint, more })
}
