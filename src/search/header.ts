/**
 * The comment lines on top of both files of a search, as the vendor writes them:
 *
 *   # sample number: 10
 *   # all int8 loss: -26.59388675689697        repr of a double
 *   # chip: bm1684x  mix_mode: F32             two spaces
 *   ###
 *
 * Its first line, "# genetated time: ...", is left out: the same search must give the same bytes and nobody reads it; `note` takes
 * its place: `ranked: the first 2 of 10 pictures` where the table is of fewer pictures than the search.
 */
import type { Precision } from '../quantize/qgraph.js'
import { parseRepr, repr } from './repr.js'

export const PRECISIONS = ['INT8', 'F16', 'BF16', 'F32'] as const satisfies readonly Precision[]

export interface SearchHeader {
  readonly samples: number
  /** Loss with every layer INT8, in -dB. */
  readonly int8Loss: number
  readonly chip: string
  /** What a layer that is not INT8 is computed in. */
  readonly mixMode: Precision
  readonly note?: string
}

export function headerLines({ samples, int8Loss, chip, mixMode, note }: SearchHeader): string[] {
  return [
    ...(note === undefined ? [] : [`# ${note}`]),
    `# sample number: ${samples}`,
    `# all int8 loss: ${repr(int8Loss)}`,
    `# chip: ${chip}  mix_mode: ${mixMode}`,
    '###',
  ]
}

/** What the comments of a table say; tables of other tools, or written by hand, may say less. */
export function readHeader(text: string): Partial<SearchHeader> {
  const find = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1]
  const samples = find(/^# sample number: (\d+)\s*$/m)
  const int8Loss = parseRepr(find(/^# all int8 loss: (\S+)\s*$/m) ?? '')
  const chip = find(/^# chip: (\S+)/m)
  const mode = find(/^# chip: \S+ +mix_mode: (\S+)/m)
  const mixMode = PRECISIONS.find((precision) => precision === mode)
  const note = find(/^# ((?:gene[rt]ated time|ranked): .*?)\s*$/m)
  return {
    ...(samples !== undefined && { samples: Number(samples) }),
    ...(int8Loss !== undefined && { int8Loss }),
    ...(chip !== undefined && { chip }),
    ...(mixMode !== undefined && { mixMode }),
    ...(note !== undefined && { note }),
  }
}
