/** A JSON Schema as the text of a CommonJS module that validates: ajv itself is not needed to run it, but for its count of characters. */
import { createRequire } from 'node:module'
import { Ajv2020, type AnySchema } from 'ajv/dist/2020.js'

type Standalone = typeof import('ajv/dist/standalone/index.js').default

export function validatorSource(schema: AnySchema): string {
  const ajv = new Ajv2020({
    allErrors: true,
    verbose: true,
    strict: true,
    allowUnionTypes: true,
    code: { source: true },
  })
  const standalone: { default: Standalone } = createRequire(import.meta.url)('ajv/dist/standalone')
  // typebox's own symbols are not part of the schema.
  const plain = JSON.parse(JSON.stringify(schema)) as AnySchema & object
  return `${standalone.default(ajv, ajv.compile(plain))}\n`
}
