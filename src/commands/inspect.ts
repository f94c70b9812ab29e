import { resolve } from 'node:path'
import * as disk from '../disk.js'
import type { BmodelOptions } from './inspect/bmodel.js'
import type { Described } from './inspect/described.js'

/**
 * Tells what is in a file: .bmodel, .mlir, .onnx, .npz, .npy, the tables, and the reports NAME_calibration.json,
 * NAME_equalization.json and NAME_selection.json.
 * @throws QuantError 'input' for files that are damaged or of no known kind
 */
export async function inspectCommand(
  file: string,
  options: { directory?: string; json?: boolean; asm?: boolean },
): Promise<number> {
  const path = resolve(options.directory ?? '.', file)
  // What a build wrote beside a .bmodel knows which commands belong to which layer; the file itself does not.
  const beside = path.replace(/\.bmodel$/i, '_estimate.json')
  const layers = beside !== path && disk.exists(beside) ? disk.readText(beside) : undefined
  const { facts, text } = await describe(disk.readBytes(path), file, { asm: options.asm === true, layers })
  process.stdout.write(options.json ? `${JSON.stringify(facts)}\n` : `${text}\n`)
  return 0
}

async function describe(bytes: Uint8Array, file: string, options: BmodelOptions): Promise<Described> {
  const begins = (...magic: number[]): boolean => magic.every((byte, index) => bytes[index] === byte)
  if (/\.bmodel$/i.test(file) || begins(0xee, 0xaa, 0x55, 0xff))
    return (await import('./inspect/bmodel.js')).describeBmodel(bytes, file, options)
  if (/\.np[yz]$/i.test(file)) return (await import('./inspect/arrays.js')).describeArrays(bytes, file)
  if (/\.onnx$/i.test(file)) return (await import('./inspect/onnx.js')).describeOnnx(bytes, file)
  const text = new TextDecoder().decode(bytes)
  if (/\.mlir$/i.test(file)) return (await import('./inspect/mlir.js')).describeMlir(text, file)
  if (/_calibration\.json$/i.test(file))
    return (await import('./inspect/calibration.js')).describeCalibration(text, file)
  if (/_equalization\.json$/i.test(file))
    return (await import('./inspect/equalization.js')).describeEqualization(text, file)
  if (/\.json$/i.test(file)) return (await import('./inspect/selection.js')).describeSelection(text, file)
  return (await import('./inspect/tables.js')).describeTable(text, file)
}
