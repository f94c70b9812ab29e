/** Writes schemas/quant.schema.json from src/config/schema.ts. Run by `npm run schema`; a test holds the two equal. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { QuantYamlSchema } from '../src/config/schema.js'

const file = new URL('../schemas/quant.schema.json', import.meta.url)
mkdirSync(new URL('.', file), { recursive: true })
writeFileSync(file, `${JSON.stringify(QuantYamlSchema, null, 2)}\n`)
