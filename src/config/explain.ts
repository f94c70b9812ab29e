/** What the schema validator found, as one fact and one way out each. */
import type { ErrorObject } from 'ajv'
import { nearest, suggest } from '../nearest.js'
import type { Path } from './places.js'

/** A mistake in quant.yaml before it has a place. `at` 'key' points at the name of the setting, 'value' at what it is set to. */
export interface Mistake {
  readonly path: Path
  readonly at: 'key' | 'value'
  readonly message: string
  readonly hint?: string | undefined
}

/** The part of a JSON schema that is used to explain a mistake. */
interface Schema {
  readonly type?: string | readonly string[]
  readonly enum?: readonly string[]
  readonly title?: string
  readonly pattern?: string
  readonly examples?: readonly unknown[]
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly propertyNames?: Schema
}

/** `verify.detector.anchors[1]`: how a setting is called in messages and in reasons. */
const nameOf = (path: Path): string =>
  path.reduce<string>(
    (name, step) => (typeof step === 'number' ? `${name}[${step}]` : name === '' ? step : `${name}.${step}`),
    '',
  )

const name = (path: Path) => (path.length === 0 ? 'the file' : `\`${nameOf(path)}\``)

/**
 * Undefined for errors that only repeat another one.
 * @param error found with ajv's option `verbose`; @param root what was validated.
 */
export function explain(error: ErrorObject, root: unknown): Mistake | undefined {
  const path = pathOf(error.instancePath, root)
  const schema = error.parentSchema as Schema
  const value: unknown = error.data
  const wrong = (message: string, hint = example(schema)): Mistake => ({ path, at: 'value', message, hint })
  if (error.propertyName !== undefined) return undefined // said by the keyword propertyNames itself
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params.additionalProperty)
      const message = `\`${nameOf([...path, key])}\` is not a setting`
      return { path: [...path, key], at: 'key', message, hint: suggest(key, Object.keys(schema.properties ?? {})) }
    }
    case 'required': {
      const key = String(error.params.missingProperty)
      // A misspelt key is a mistake by itself, and the one to correct.
      const given = Object.keys(value as object).filter(
        (other) => !Object.keys(schema.properties ?? {}).includes(other),
      )
      if (nearest(key, given) !== undefined) return undefined
      const wanted = schema.properties?.[key] ?? {}
      const message = `\`${nameOf([...path, key])}\` is missing`
      const hint = wanted.type === 'object' ? `add a section \`${key}:\`` : `add \`${key}: ${sample(wanted)}\``
      return { path, at: 'key', message, hint }
    }
    case 'propertyNames': {
      const key = String(error.params.propertyName)
      const hint = schema.propertyNames?.title
      return { path: [...path, key], at: 'key', message: `\`${key}\` cannot be a name in ${name(path)}`, hint }
    }
    case 'type':
      return wrongType(path, schema, value)
    case 'enum':
      return wrong(`\`${value}\` is not a value of ${name(path)}`, suggest(String(value), schema.enum ?? []))
    case 'pattern':
      return wrong(`\`${value}\` cannot be ${name(path)}`, schema.title)
    case 'minimum':
      return wrong(`${name(path)} is ${value}, but must be at least ${error.params.limit}`)
    case 'maximum':
      return wrong(`${name(path)} is ${value}, but must be at most ${error.params.limit}`)
    case 'exclusiveMinimum':
      return wrong(`${name(path)} is ${value}, but must be above ${error.params.limit}`)
    case 'minLength':
    case 'minProperties':
      return wrong(`${name(path)} is empty`)
    case 'minItems':
      return wrong(
        error.params.limit === 1
          ? `${name(path)} is empty`
          : `${name(path)} needs ${error.params.limit} entries or more`,
      )
    case 'uniqueItems': {
      const index = Math.max(error.params.i, error.params.j)
      const twice = (value as unknown[])[index]
      return {
        path: [...path, index],
        at: 'value',
        message: `\`${twice}\` stands twice in ${name(path)}`,
        hint: 'remove one of them',
      }
    }
    default:
      return wrong(`${name(path)} ${error.message ?? 'is wrong'}`)
  }
}

const kinds: Record<string, string> = {
  object: 'a section',
  array: 'a list',
  string: 'text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
}

function wrongType(path: Path, schema: Schema, value: unknown): Mistake {
  const wanted = [schema.type ?? []].flat()
  const at = 'value'
  if (value === null)
    return {
      path,
      at,
      message: `${name(path)} has no value`,
      hint: `${example(schema) ?? 'give it one'}, or remove it`,
    }
  const message = `${name(path)} must be ${wanted.map((type) => kinds[type] ?? type).join(' or ')}`
  const isText = typeof value === 'string'
  const isScalar = typeof value !== 'object'
  if (wanted.includes('number') || wanted.includes('integer')) {
    if (isText && value.trim() !== '' && Number.isFinite(Number(value)))
      return { path, at, message, hint: 'remove the quotes' }
  }
  if (wanted.includes('boolean') && isText && /^(yes|no|on|off|true|false)$/i.test(value))
    return { path, at, message, hint: `write ${/^(yes|on|true)$/i.test(value) ? 'true' : 'false'}` }
  if (wanted.includes('array') && isScalar && path.length > 0)
    return { path, at, message, hint: `write \`${path.at(-1)}: [${value}]\`` }
  const fits = schema.pattern === undefined || new RegExp(schema.pattern).test(String(value))
  if (wanted.includes('string') && isScalar && !fits) return { path, at, message, hint: schema.title }
  if (wanted.includes('string') && isScalar) return { path, at, message, hint: `put it in quotes: "${value}"` }
  return { path, at, message, hint: example(schema) }
}

const example = (schema: Schema): string | undefined =>
  schema.examples === undefined && schema.default === undefined ? undefined : `for example \`${sample(schema)}\``

/** Something that may be written there, in YAML's flow form. */
function sample(schema: Schema): string {
  const value = schema.examples?.[0] ?? schema.default ?? schema.enum?.[0]
  return value === undefined ? '...' : flow(value)
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, inner]) => `${key}: ${flow(inner)}`)
      .join(', ')} }`
  return typeof value === 'string' && /^[<>]/.test(value) ? `"${value}"` : String(value)
}

/** From a JSON pointer. Only the data tells whether a step of digits is an index or a name. */
function pathOf(pointer: string, root: unknown): Path {
  let at = root
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((step) => {
      const isIndex = Array.isArray(at)
      at = (at as Record<string, unknown>)[step]
      return isIndex ? Number(step) : step
    })
}
