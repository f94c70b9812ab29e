/** Where a .bmodel is run, since this machine has no chip. */
import { resolve } from 'node:path'
import { programOf, readBmodel } from '../bm1684x/bmodel/read.js'
import { loadOutput } from '../bm1684x/io.js'
import type { IoData, Program } from '../bm1684x/program.js'
import * as disk from '../disk.js'
import { QuantError } from '../errors.js'
import type { Tensor } from '../ir/graph.js'

/** The only net of a file. @throws QuantError 'input' naming the file */
export function openProgram(path: string, file: string): Program {
  if (!/\.bmodel$/i.test(file))
    throw new QuantError('usage', `${file} is no .bmodel file`, { hint: 'quant inspect tells what is in other files' })
  const { nets } = readBmodel(disk.readBytes(path), file)
  if (nets.length !== 1)
    throw new QuantError('input', `${file} holds ${nets.length} nets: ${nets.map(({ name }) => name).join(', ')}`, {
      place: { file },
      hint: 'only files with one net can be run',
    })
  return programOf(nets[0]!)
}

/**
 * @param on `machine`: our own model of the chip; `cmodel:PATH`: the vendor's library, relative to `folder`
 * @param inputs stored values by name
 * @returns real values by name, in the order of the program's outputs
 * @throws QuantError 'usage' for a place that is not known, 'runtime' when the program is refused
 */
export async function runProgram(
  program: Program,
  inputs: ReadonlyMap<string, IoData>,
  { on, folder }: { on: string; folder: string },
): Promise<Map<string, Tensor>> {
  const stored = await (await runnerOf(on, folder))(program, inputs)
  return new Map(program.outputs.map((tensor) => [tensor.name, loadOutput(tensor, stored.get(tensor.name)!)]))
}

type Runner = (
  program: Program,
  inputs: ReadonlyMap<string, IoData>,
) => ReadonlyMap<string, IoData> | Promise<ReadonlyMap<string, IoData>>

async function runnerOf(on: string, folder: string): Promise<Runner> {
  if (on === 'machine') return (await import('../bm1684x/machine/run.js')).runProgram
  const library = /^cmodel:(.+)$/.exec(on)?.[1]
  if (library === undefined)
    throw new QuantError('usage', `--on ${on}: not a place to run`, { hint: 'machine, or cmodel:PATH of the library' })
  const path = resolve(folder, library)
  if (!disk.exists(path))
    throw new QuantError('usage', `there is no C-model at ${library}`, { hint: 'name the library: --on cmodel:PATH' })
  const { runOnCmodel } = await import('../bm1684x/cmodel/run.js')
  return (program, inputs) => runOnCmodel(path, program, inputs)
}
