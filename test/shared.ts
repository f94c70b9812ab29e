/**
 * Reference data that lies beside the project and is never part of it: golden results of the vendor's tools, real detectors, photos.
 * Tests that need it are skipped where it is absent.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = process.env.QUANT_SHARED ?? fileURLToPath(new URL('../../shared', import.meta.url))

/** The absolute path of a piece of reference data, or undefined where it is absent. */
export function shared(...path: string[]): string | undefined {
  const full = join(root, ...path)
  return existsSync(full) ? full : undefined
}

let tiny: Uint8Array | undefined

/** yolov3_tiny with random weights: written by a script, 35 MB, the same bytes everywhere. Only where `zoo` is present. */
export function yolov3Tiny(): Uint8Array {
  if (tiny !== undefined) return tiny
  const folder = mkdtempSync(join(tmpdir(), 'quant-yolov3-'))
  try {
    const path = join(folder, 'yolov3_tiny.onnx')
    execFileSync('python3', [join(root, 'zoo', 'make_yolov3_tiny.py'), path])
    tiny = new Uint8Array(readFileSync(path))
    return tiny
  } finally {
    rmSync(folder, { recursive: true })
  }
}
