/**
 * Writes schemas/quant.schema.json from src/config/schema.ts, and schemas/validate.cjs, which is ajv's compilation of it: compiling it in
 * every build would take longer than everything else that a build with nothing to do does. Run by `npm run schema`; a test holds all equal.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { QuantYamlSchema } from '../src/config/schema.js'
import { validatorSource } from './validator.js'

const file = new URL('../schemas/quant.schema.json', import.meta.url)
mkdirSync(new URL('.', file), { recursive: true })
writeFileSync(file, `${JSON.stringify(QuantYamlSchema, null, 2)}\n`)
writeFileSync(new URL('../schemas/validate.cjs', import.meta.url), validatorSource(QuantYamlSchema))
