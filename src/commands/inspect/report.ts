/** Reports of stages, as they are in JSON files. */
import { QuantError } from '../../errors.js'

/**
 * @param holds whether what a report of the kind must have is there
 * @param otherwise what is told of a text that is none
 * @throws QuantError 'input' for what is no JSON, or JSON of another kind
 */
export function readReport<T>(
  text: string,
  file: string,
  holds: (report: Partial<T>) => boolean,
  otherwise: { readonly message: string; readonly hint: string },
): T {
  let report: Partial<T> | null
  try {
    report = JSON.parse(text) as Partial<T> | null
  } catch {
    report = null
  }
  if (report !== null && holds(report)) return report as T
  throw new QuantError('input', `${file}: ${otherwise.message}`, { place: { file }, hint: otherwise.hint })
}

/** What a change did to the SQNR. */
export const gainText = ({ before, after }: { readonly before: number; readonly after: number }): string =>
  `${before.toFixed(2)} -> ${after.toFixed(2)} dB`
