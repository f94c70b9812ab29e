/**
 * Reference data that lies beside the project and is never part of it: golden results of the vendor's tools, real detectors, photos.
 * Tests that need it are skipped where it is absent.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = process.env.QUANT_SHARED ?? fileURLToPath(new URL('../../shared', import.meta.url))

/** The absolute path of a piece of reference data, or undefined where it is absent. */
export function shared(...path: string[]): string | undefined {
  const full = join(root, ...path)
  return existsSync(full) ? full : undefined
}
