/**
 * full_loss_table.txt in the vendor's format: the header of `header.ts`, then
 *
 *   No.0   : Layer: convolution_output12_Conv                         <TAB><TAB>Loss: -27.26026635169983
 *
 * the number padded to 4, the name to 50, the loss as repr of a double, in -dB: smaller is better.
 */
import { QuantError } from '../errors.js'
import { headerLines, readHeader, type SearchHeader } from './header.js'
import { parseRepr, repr } from './repr.js'

/** The loss of the network with this one layer in float. */
export interface LayerLoss {
  readonly layer: string
  readonly loss: number
}

/** `historical`: worst first, as the vendor's tool of this format ranked. */
export type LossOrder = 'best-first' | 'historical'

/** Layers of equal loss keep their order. NaN is the worst. */
export function rankLosses(losses: readonly LayerLoss[], order: LossOrder = 'best-first'): LayerLoss[] {
  const sign = order === 'best-first' ? 1 : -1
  const key = ({ loss }: LayerLoss): number => (Number.isNaN(loss) ? Infinity : loss)
  return [...losses].sort((a, b) => (key(a) === key(b) ? 0 : sign * (key(a) < key(b) ? -1 : 1)))
}

/** @param losses in graph order, which decides between equals. */
export function writeLossTable(header: SearchHeader, losses: readonly LayerLoss[], order?: LossOrder): string {
  const rows = rankLosses(losses, order).map(
    ({ layer, loss }, i) => `No.${String(i).padEnd(4)}: Layer: ${layer.padEnd(50)}\t\tLoss: ${repr(loss)}`,
  )
  return `${[...headerLines(header), ...rows].join('\n')}\n`
}

/** Rows in the order of the file. @throws QuantError 'input' with line and column. */
export function readLossTable(text: string, file: string): { header: Partial<SearchHeader>; losses: LayerLoss[] } {
  const losses: LayerLoss[] = []
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '')
    if (line.trim() === '' || line.startsWith('#')) continue
    const [, layer, number] = /^No\.\d+\s*: Layer: (\S+)\s+Loss: (\S+)\s*$/.exec(line) ?? []
    const loss = parseRepr(number ?? '')
    if (layer === undefined || loss === undefined)
      throw new QuantError('input', 'this is no row of a loss table', {
        place: { file, line: index + 1, column: 1, length: line.length, text: line },
        hint: 'rows look like "No.0   : Layer: NAME  Loss: -26.5"; tables of cosines are of another kind',
      })
    losses.push({ layer, loss })
  }
  return { header: readHeader(text), losses }
}
