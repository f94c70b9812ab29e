import { frontText } from '../../show/front.js'
import { figure } from '../../show/words.js'
import type { Selection } from '../../stages/selection.js'
import { block, count, type Described } from './described.js'
import { readReport } from './report.js'

/** What a search for mixed precision found: NAME_selection.json. @throws QuantError 'input' for JSON of another kind */
export function describeSelection(text: string, file: string): Described {
  const selection = readReport<Selection>(
    text,
    file,
    ({ front, steps }) => front !== undefined && steps !== undefined,
    {
      message: 'not a kind of JSON that is known',
      hint: 'NAME_calibration.json, NAME_equalization.json and NAME_selection.json can be inspected; what NAME_estimate.json says is told with the .bmodel beside it',
    },
  )
  const { loss, pictures, measured, order, max_float_layers, max_microseconds, min_improvement, steps, precision } =
    selection
  const limits = [
    `steps of ${(100 * min_improvement).toFixed(1)} % and more`,
    ...(max_float_layers === null ? [] : [`at most ${count(max_float_layers, 'layer')}`]),
    ...(max_microseconds === null ? [] : [`at most ${max_microseconds.toFixed(1)} us`]),
  ]
  return {
    facts: { kind: 'selection', ...selection },
    text: [
      `${file}: search for mixed precision, ${count(pictures, 'picture')}, ${count(measured, 'choice')} measured`,
      `loss: ${loss}; ${order === 'historical' ? "the vendor's rule of before February 2023" : limits.join(', ')}`,
      '',
      frontText(selection, Infinity),
      ...(steps.length === 0
        ? []
        : [
            block(
              ['step', 'measured', 'layers', 'chip us', 'cheap', 'loss', 'SQNR dB', ''],
              steps.map((step, i) => [
                String(i + 1),
                String(step.measured),
                String(step.layers),
                step.microseconds.toFixed(1),
                step.microseconds_cheap.toFixed(1),
                figure(step.loss, 4),
                figure(step.sqnr, 2),
                [...listed('+', step.added), ...listed('-', step.dropped)].join(' '),
              ]),
              'rrrrrrrl',
            ),
          ]),
      block(['float layer', ''], Object.entries(precision)),
    ].join('\n'),
  }
}

/** A few names; a stretch of the network has too many. */
function listed(sign: string, layers: readonly string[] = []): string[] {
  const names = layers.slice(0, 4).map((layer) => `${sign}${layer}`)
  return layers.length > 4 ? [...names, `${sign}${layers.length - 4} more`] : names
}
