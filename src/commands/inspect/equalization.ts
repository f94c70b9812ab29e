import type { Equalization } from '../../stages/jobs/equalize.js'
import { block, count, type Described } from './described.js'
import { gainText, readReport } from './report.js'

/** NAME_equalization.json: what even channels gained, and which rule each pair of convs got. @throws QuantError 'input' for JSON of another kind */
export function describeEqualization(text: string, file: string): Described {
  const report = readReport<Equalization>(
    text,
    file,
    ({ applied, pairs, sqnr }) => typeof applied === 'boolean' && Array.isArray(pairs) && sqnr !== undefined,
    {
      message: 'no report of an equalisation',
      hint: 'quant build writes it as NAME_equalization.json, with `calibration.equalize: true`',
    },
  )
  const { applied, pairs, sqnr, held_out: heldOut } = report
  const even = pairs.filter(({ rule }) => rule !== 'none').length
  const others = heldOut ? `, ${gainText(heldOut)} on ${count(heldOut.pictures, 'other picture')}` : ''
  const lines = [
    `${file}: equalisation, ${count(pairs.length, 'pair')} of convs`,
    `${applied ? 'applied' : 'not applied'}: ${even} of them with even channels; whole INT8 network ${gainText(sqnr)} on the pictures that factors were chosen on${others}`,
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
