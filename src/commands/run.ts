import { resolve } from 'node:path'
import { storeInputs } from '../bm1684x/io.js'
import type { Program } from '../bm1684x/program.js'
import * as disk from '../disk.js'
import { type NpyArray, readNpz, writeNpz } from '../ir/npz.js'
import { PICTURE_FILE } from '../preprocess/sample-file.js'
import { table } from '../show/table.js'
import { openProgram, runProgram } from './device.js'
import { statistics } from './inspect/arrays.js'
import { digits, shapeText } from './inspect/described.js'
import { type ProjectOptions, readDescription } from './project.js'
import { loadPicture, pictureInputs } from './sample.js'

export interface RunOptions extends ProjectOptions {
  readonly input: string
  readonly output?: string
  readonly on: string
  readonly json?: boolean
}

/**
 * Runs a .bmodel once. Arrays are given in an .npz by the inputs' names; a picture is prepared as quant.yaml says. The outputs, as real
 * numbers, go to an .npz.
 */
export async function runCommand(model: string, options: RunOptions): Promise<number> {
  const folder = resolve(options.directory ?? '.')
  const program = openProgram(resolve(folder, model), model)
  const inputs = storeInputs(program.inputs, await arraysOf(program, folder, options), options.input)
  const outputs = await runProgram(program, inputs, { on: options.on, folder })
  if (options.output !== undefined) disk.writeAtomic(resolve(folder, options.output), writeNpz(outputs))
  const rows = [...outputs].map(([name, output]) => ({ name, ...statistics(output) }))
  if (options.json) process.stdout.write(`${JSON.stringify({ outputs: rows })}\n`)
  else {
    const head = ['output', 'shape', 'min', 'max', 'mean']
    const cells = rows.map(({ name, shape, min, max, mean }) => [
      name,
      shapeText(shape),
      ...[min, max, mean].map((value) => (value === null ? '-' : digits(value))),
    ])
    process.stdout.write(`${table([head, ...cells], { align: 'llrrr' })}\n`)
  }
  return 0
}

async function arraysOf(program: Program, folder: string, options: RunOptions): Promise<ReadonlyMap<string, NpyArray>> {
  const bytes = disk.readBytes(resolve(folder, options.input))
  if (/\.npz$/i.test(options.input)) return readNpz(bytes, options.input)
  const preprocess = PICTURE_FILE.test(options.input) ? readDescription(options).config.preprocess : undefined
  const { feeds } = await loadPicture(bytes, options.input, pictureInputs(program.inputs, preprocess))
  return new Map(Object.entries(feeds))
}
