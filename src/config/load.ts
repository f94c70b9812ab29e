/** quant.yaml -> Config. Every mistake is found in one look, and has its place. */
import { createRequire } from 'node:module'
import type { ValidateFunction } from 'ajv'
import { isMap, LineCounter, parseDocument } from 'yaml'
import { type Place, QuantError } from '../errors.js'
import { type Config, resolve } from './config.js'
import { contradictions } from './contradictions.js'
import { explain, type Mistake } from './explain.js'
import { keyPlaceOf, type Places, pathOfSetting, placeAt, placesOf, type Source } from './places.js'
import type { QuantYaml } from './schema.js'
import { syntaxErrors } from './syntax.js'

export interface Parsed {
  readonly config: Config
  /** For checks that need the disk: where a setting stands. */
  readonly places: Places
  /** The same for a setting as reasons name it, with dots. */
  readonly placeOfSetting: (at: string) => Place
}

/**
 * @param text what stands in the file; @param file its name in messages.
 * @returns the settings with defaults filled in, and where they stand.
 * @throws QuantError 'config': the first mistake, all others in `more`, in the order of the file.
 */
export function parseConfig(text: string, file: string): Parsed {
  const { source, value } = parseYaml(text, file)
  const places = placesOf(source)
  const keyPlaces = keyPlaceOf(source)
  const validate = validator()
  const mistakes: readonly (Mistake | undefined)[] = validate(value)
    ? contradictions(value as QuantYaml)
    : (validate.errors ?? []).map((error) => explain(error, value))
  fail(
    mistakes
      .filter((mistake) => mistake !== undefined)
      .map(({ path, at, message, hint }) => ({
        message,
        hint,
        place: at === 'key' ? keyPlaces(path) : places(path),
      })),
  )
  return {
    config: resolve(value as QuantYaml),
    places,
    placeOfSetting: (at) => places(pathOfSetting(source, at)),
  }
}

function parseYaml(text: string, file: string): { source: Source; value: unknown } {
  const lines = new LineCounter()
  const whole: Place = { file, line: 1, column: 1 }
  try {
    const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error' })
    const source = { text, file, lines, doc }
    fail(syntaxErrors(source))
    if (doc.contents === null)
      fail([
        {
          message: `${file} is empty`,
          hint: '`quant init model.onnx` writes one to start from (remove this one first)',
          place: whole,
        },
      ])
    if (!isMap(doc.contents))
      fail([
        {
          message: `${file} holds no settings`,
          hint: 'write `model:` and below it `name: ...`',
          place: placeAt(source, 0, Infinity),
        },
      ])
    return { source, value: doc.toJS({ maxAliasCount: 100 }) }
  } catch (cause) {
    if (cause instanceof QuantError) throw cause
    // A ReferenceError is an alias count without end, a RangeError the end of the stack.
    const message = cause instanceof ReferenceError ? `${file} has too many aliases` : `${file} is nested too deep`
    throw new QuantError('config', message, { place: whole, hint: 'write it flat', cause })
  }
}

interface Placed {
  readonly message: string
  readonly hint?: string | undefined
  readonly place: Place
}

/** Throws when there is something to say: the first in the file, with the others behind it. */
function fail(found: readonly Placed[]): void {
  const order = (place: Place) => (place.line ?? 0) * 1e6 + (place.column ?? 0)
  const sorted = [...found].sort((a, b) => order(a.place) - order(b.place))
  const errors = sorted.map(({ message, hint, place }) => ({ message, detail: { hint, place } }))
  const [first, ...others] = errors
  if (first)
    throw new QuantError('config', first.message, {
      ...first.detail,
      more: others.map(({ message, detail }) => new QuantError('config', message, detail)),
    })
}

/** The published schema, compiled (`npm run schema`): it lies at the same place seen from src/config and from dist/config. */
const validator = (): ValidateFunction => createRequire(import.meta.url)('../../schemas/validate.cjs')
