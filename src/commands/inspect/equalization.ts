import { QuantError } from '../../errors.js'
import type { Equalization } from '../../stages/jobs/equalize.js'
import { block, count, type Described } from './described.js'

/** NAME_equalization.json: what even channels gained, and which rule each pair of convs got. @throws QuantError 'input' for JSON of another kind */
export function describeEqualization(text: string, file: string): Described {
  const report = parse(text, file)
  const { applied, pairs, sqnr, held_out: heldOut } = report
  const even = pairs.filter(({ rule }) => rule !== 'none').length
  const decibel = ({ before, after }: { before: number; after: number }): string =>
    `${before.toFixed(2)} -> ${after.toFixed(2)} dB`
  const others = heldOut ? `, ${decibel(heldOut)} on ${count(heldOut.pictures, 'other picture')}` : ''
  const lines = [
    `${file}: equalisation, ${count(pairs.length, 'pair')} of convs`,
    `${applied ? 'applied' : 'not applied'}: ${even} of them with even channels; whole INT8 network ${decibel(sqnr)} on the pictures that factors were chosen on${others}`,
  ]
  if (pairs.length > 0)
    lines.push(
      block(
        ['first', 'second', 'rule'],
        pairs.map(({ first, second, rule }) => [first, second, rule]),
      ),
    )
  return { facts: { kind: 'equalization report', ...report }, text: lines.join('\n') }
}

function parse(text: string, file: string): Equalization {
  let report: Partial<Equalization> | null
  try {
    report = JSON.parse(text) as Partial<Equalization> | null
  } catch {
    report = null
  }
  if (typeof report?.applied === 'boolean' && Array.isArray(report.pairs) && report.sqnr) return report as Equalization
  throw new QuantError('input', `${file}: no report of an equalisation`, {
    place: { file },
    hint: 'quant build writes it as NAME_equalization.json, with `calibration.equalize: true`',
  })
}
