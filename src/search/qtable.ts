/**
 * The quantize table in the vendor's format, both ways: the header of `header.ts`, then
 *
 *   # op_name   quantize_mode
 *   convolution_output12_Conv F32
 *
 * Read: any white space between name and mode, # comments, empty lines, CRLF, modes in any case; of a layer named twice
 * the later line counts.
 */
import { type Place, QuantError } from '../errors.js'
import { type Graph, tensorOf } from '../ir/graph.js'
import { nearestNames } from '../nearest.js'
import type { Precision } from '../quantize/qgraph.js'
import { headerLines, PRECISIONS, type SearchHeader } from './header.js'

/** Layer -> what it is computed in, in the order of the file. */
export type Qtable = ReadonlyMap<string, Precision>

export interface ReadQtable {
  readonly modes: Qtable
  readonly places: ReadonlyMap<string, Place>
}

export function writeQtable(header: SearchHeader, modes: Qtable): string {
  const rows = [...modes].map(([layer, mode]) => `${layer} ${mode}`)
  return `${[...headerLines(header), '# op_name   quantize_mode', ...rows].join('\n')}\n`
}

/** @throws QuantError 'input' with line and column. A table without lines is right: all layers are INT8. */
export function readQtable(text: string, file: string): ReadQtable {
  const modes = new Map<string, Precision>()
  const places = new Map<string, Place>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '')
    const [layer, mode, further] = [...line.matchAll(/\S+/g)]
    if (layer === undefined || layer[0].startsWith('#')) continue
    const at = (match: RegExpExecArray): Place => ({
      file,
      line: index + 1,
      column: match.index + 1,
      length: match[0].length,
      text: line,
    })
    if (mode === undefined)
      throw new QuantError('input', `layer ${JSON.stringify(layer[0])} has no mode`, {
        place: at(layer),
        hint: `write one of ${PRECISIONS.join(', ')} behind it`,
      })
    const precision = PRECISIONS.find((known) => known === mode[0].toUpperCase())
    if (precision === undefined)
      throw new QuantError('input', `unknown quantize mode ${JSON.stringify(mode[0])}`, {
        place: at(mode),
        hint: `modes are ${PRECISIONS.join(', ')}`,
      })
    if (further !== undefined)
      throw new QuantError('input', `unexpected ${JSON.stringify(further[0])} behind the mode`, {
        place: at(further),
        hint: 'a line is a layer name and a mode',
      })
    modes.set(layer[0], precision)
    places.set(layer[0], at(layer))
  }
  return { modes, places }
}

/**
 * @param fused asked for a name that no layer has: the layer that its node of the model is part of, if any
 * @throws QuantError 'input' for the first layer that the graph does not have, the others in `more`.
 */
export function checkQtable(
  graph: Graph,
  { modes, places }: ReadQtable,
  file: string,
  fused: (layers: ReadonlySet<string>, name: string) => string | undefined = () => undefined,
): void {
  const layers = new Set(graph.nodes.map((node) => node.name))
  const [first, ...more] = [...modes.keys()]
    .filter((layer) => !layers.has(layer))
    .map((layer) => {
      const whole = fused(layers, layer)
      const [close] = nearestNames(layer, layers)
      return new QuantError('input', `the quantize table names a layer that the model has not: ${layer}`, {
        place: places.get(layer) ?? { file },
        hint:
          whole !== undefined && tensorOf(whole) !== tensorOf(layer)
            ? `that node of the model is part of the layer ${JSON.stringify(whole)}: write that`
            : (whole ?? close) === undefined
              ? 'remove the line'
              : `did you mean ${JSON.stringify(whole ?? close)}?`,
      })
    })
  if (first) throw new QuantError(first.code, first.message, { place: first.place, hint: first.hint, more })
}
