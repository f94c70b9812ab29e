/** Mistakes in YAML itself, in our words. */
import { visit, type YAMLError } from 'yaml'
import type { Place } from '../errors.js'
import { placeAt, type Source } from './places.js'

interface SyntaxMistake {
  readonly message: string
  readonly hint?: string | undefined
  readonly place: Place
}

/** One per line, the first: what follows in a line is mostly its echo. */
export function syntaxErrors(source: Source): SyntaxMistake[] {
  const { doc } = source
  const found = [...doc.errors, ...doc.warnings].map((error) => explain(error, source))
  // With errors before it an anchor may be missing only because its line was not understood.
  if (found.length === 0)
    visit(doc, {
      Alias(_, alias) {
        if (alias.resolve(doc) === undefined && alias.range)
          found.push({
            message: `\`*${alias.source}\` stands for nothing`,
            hint: `put \`&${alias.source}\` before it, or the text in quotes`,
            place: placeAt(source, alias.range[0], alias.range[1]),
          })
      },
    })
  const lines = new Set<number | undefined>()
  return found
    .sort((a, b) => a.place.line! - b.place.line! || a.place.column! - b.place.column!)
    .filter(({ place }) => !lines.has(place.line) && lines.add(place.line))
}

function explain(error: YAMLError, source: Source): SyntaxMistake {
  const place = placeAt(source, ...error.pos)
  const line = place.text ?? ''
  const says = (message: string, hint?: string) => ({ message, hint, place })
  switch (error.code) {
    case 'DUPLICATE_KEY': {
      const key = /^[^\s:,}]+/.exec(line.slice(place.column! - 1))?.[0] ?? 'a key'
      return { ...says(`\`${key}\` is given twice`, 'remove one of the two'), place: { ...place, length: key.length } }
    }
    case 'TAB_AS_INDENT':
      return says('a tab cannot indent', 'use spaces')
    case 'MULTIPLE_DOCS':
      return says('a second document begins here', 'remove the line `---`')
    case 'TAG_RESOLVE_FAILED':
      return says(`not a tag: ${lowerFirst(error.message)}`, 'remove it, or put the value in quotes')
    case 'RESOURCE_EXHAUSTION':
      return says('nested too deep', 'write it flat')
    default:
      // `>= 0.8` without quotes is the beginning of a block of text to YAML.
      if (/:\s*[>|]\s*=?\s*-?[0-9]/.test(line)) return says('a comparison must stand in quotes', 'for example ">= 0.8"')
      return says(`not valid YAML: ${lowerFirst(error.message)}`)
  }
}

const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1)
