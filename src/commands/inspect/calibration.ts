import type { CalibrationReport } from '../../stages/jobs/calibrate.js'
import { block, count, type Described, digits } from './described.js'
import { gainText, readReport } from './report.js'

/** Pictures and tensors that a person wants to see first; `--json` has all. */
const SHOWN = 10

/** NAME_calibration.json: how the table came about, and which pictures weigh in it. */
export function describeCalibration(text: string, file: string): Described {
  const report = readReport<CalibrationReport>(
    text,
    file,
    ({ method, tensors, pictures }) => typeof method === 'string' && Array.isArray(tensors) && Array.isArray(pictures),
    { message: 'no report of a calibration', hint: 'quant build writes it as NAME_calibration.json' },
  )
  const { method, best, asymmetric, bias_correction: bias, tensors, pictures } = report
  const lines = [
    `${file}: calibration by ${method}, ${count(tensors.length, 'tensor')}, ${count(pictures.length, 'picture')}`,
  ]
  if (best) {
    const methods = Object.entries(best.sqnr).map(([name, sqnr]) => `${name} ${sqnr.toFixed(2)}`)
    lines.push(`whole network, dB: ${methods.join(', ')}`)
    const from = Object.entries(best.from).map(([name, scales]) => `${scales} by ${name}`)
    lines.push(`${count(best.decided, 'scale')} decided: ${from.join('; ')}`)
    const { outputs } = best
    if (outputs && outputs.judged > 0)
      lines.push(
        `outputs clipped ${outputs.applied ? `as ${outputs.by} say` : 'as they were'}: distance ${outputs.distance.before.toFixed(3)} -> ${outputs.distance.after.toFixed(3)}, ${gainText(outputs.sqnr)} on ${count(outputs.judged, 'picture')}`,
      )
  }
  if (asymmetric)
    lines.push(
      `zero points of ${count(asymmetric.layers, 'layer')} ${asymmetric.applied ? 'taken' : 'not taken'}: ${gainText(asymmetric.sqnr)} on ${count(asymmetric.pictures, 'picture')}`,
    )
  if (bias)
    lines.push(
      `bias correction of ${count(bias.layers, 'layer')} ${bias.applied ? 'applied' : 'not applied'}: ${gainText(bias.sqnr)} on ${count(bias.pictures, 'picture')}${
        bias.held_out ? `, ${gainText(bias.held_out)} on ${bias.held_out.pictures} held out` : ''
      }`,
    )
  const weighty = pictures.filter(({ stands_out, blank, unlike }) => stands_out > 0 || blank || unlike > 3)
  lines.push(
    weighty.length === 0
      ? 'no picture stands out'
      : 'pictures whose values reach beyond all others (1 in "unlike" is ordinary):',
  )
  if (weighty.length > 0)
    lines.push(
      block(
        ['picture', 'stands out in', 'sets thresholds', 'unlike', ''],
        weighty
          .slice(0, SHOWN)
          .map(({ picture, stands_out, sets, unlike, blank }) => [
            picture,
            `${stands_out} of ${tensors.length}`,
            String(sets),
            unlike.toFixed(1),
            blank ? 'blank' : '',
          ]),
        'lrrr',
      ),
    )
  const far = tensors
    .filter(({ largest, others }) => largest > 1.05 * others)
    .toSorted((a, b) => b.largest / b.others - a.largest / a.others)
  if (far.length > 0)
    lines.push(
      '\ntensors that one picture stretches most:',
      block(
        ['tensor', 'threshold', 'largest', 'in others', 'picture'],
        far
          .slice(0, SHOWN)
          .map(({ layer, threshold, largest, others, picture }) => [
            layer,
            digits(threshold),
            digits(largest),
            digits(others),
            picture,
          ]),
        'lrrr',
      ),
    )
  return { facts: { kind: 'calibration report', ...report }, text: lines.join('\n') }
}
