/**
 * Runs programs on the vendor's C-model of the chip, a shared library that users bring along. Its assertions end the process they happen
 * in, so it lives in a child process; `child.ts` is what runs there. Messages: a Request down; Reply up.
 */
import { fork } from 'node:child_process'
import { join } from 'node:path'
import * as disk from '../../disk.js'
import { QuantError } from '../../errors.js'
import { globalBase, roundUp } from '../chip.js'
import { tensorBytes } from '../io.js'
import { encode, isEnd } from '../isa/encode.js'
import type { Engine } from '../isa/forms.js'
import { type IoData, type Program, type ProgramTensor, storedArray } from '../program.js'
import { schedule } from '../schedule.js'

interface Block {
  readonly address: number
  readonly bytes: Uint8Array
}

export interface Request {
  readonly library: string
  readonly globalBytes: number
  /** What all memory holds at first. */
  readonly fill: number
  readonly writes: readonly Block[]
  readonly commands: readonly { readonly engine: Engine; readonly bytes: Uint8Array }[]
  /** Where each output lies, and the file that it is written to. */
  readonly reads: readonly { readonly address: number; readonly size: number; readonly file: string }[]
}

export type Reply = { readonly at: number } | { readonly done: true } | { readonly error: string }

export interface CmodelOptions {
  /** Which engine runs ahead as far as it may. */
  readonly ahead?: Engine
  /** The byte that unwritten memory holds: results must not depend on it. */
  readonly fill?: number
}

/**
 * @param library path of the vendor's libcmodel for this chip
 * @param inputs stored values of each input, C order, by name
 * @returns stored values of each output
 * @throws QuantError 'runtime' naming the command at which the C-model gave up, or why it could not begin
 */
export async function runOnCmodel(
  library: string,
  program: Program,
  inputs: ReadonlyMap<string, IoData>,
  { ahead = 'dma', fill = 0 }: CmodelOptions = {},
): Promise<Map<string, IoData>> {
  const { coefficients, neuronBytes, outputs } = program
  const streams = { tiu: program.tiu, dma: program.dma }
  const steps = schedule(program.tiu, program.dma, ahead)
    .map((step) => ({ ...step, instruction: streams[step.engine][step.position]! }))
    .filter(({ instruction }) => !isEnd(instruction))
  const folder = disk.temporaryFolder()
  const ctxAddress = globalBase + coefficients.length
  const request: Request = {
    library,
    // Whole MiB; the library takes the size of the block behind globalBase.
    globalBytes: roundUp(ctxAddress + neuronBytes - globalBase, 1 << 20),
    fill,
    writes: [
      { address: globalBase, bytes: coefficients },
      ...program.inputs.map((tensor) => ({ address: tensor.address, bytes: storedBytes(program, tensor, inputs) })),
    ],
    commands: steps.map(({ engine, instruction }) => ({ engine, bytes: encode(instruction) })),
    reads: outputs.map((tensor, i) => ({
      address: tensor.address,
      size: tensorBytes(tensor),
      file: join(folder, String(i)),
    })),
  }
  try {
    await inChild(request, (at) => {
      const { engine, position, instruction } = steps[at]!
      return `${engine.toUpperCase()} command ${position + 1} (${instruction.form})`
    })
    const read = (file: string): ArrayBuffer => Uint8Array.from(disk.readBytes(file)).buffer
    return new Map(outputs.map(({ name, type }, i) => [name, new storedArray[type](read(request.reads[i]!.file))]))
  } finally {
    disk.remove(folder)
  }
}

function storedBytes({ name }: Program, tensor: ProgramTensor, inputs: ReadonlyMap<string, IoData>): Uint8Array {
  const data = inputs.get(tensor.name)
  if (data?.byteLength !== tensorBytes(tensor))
    throw new QuantError('runtime', `${name} was run without a value that fits ${tensor.name}`)
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function inChild(request: Request, nameOf: (at: number) => string): Promise<void> {
  const typescript = import.meta.url.endsWith('.ts')
  const child = fork(new URL(typescript ? './child.ts' : '../bm1684x/cmodel/child.js', import.meta.url), {
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // From the sources the child is TypeScript too.
    execArgv: typescript ? ['--import', import.meta.resolve('tsx')] : [],
  })
  let at: number | undefined
  let said = ''
  const hear = (text: unknown): void => {
    said = `${said}${text}`.slice(-4096)
  }
  child.stdout!.on('data', hear)
  child.stderr!.on('data', hear)
  return new Promise((resolve, reject) => {
    child.on('message', (message) => {
      const reply = message as Reply
      if ('at' in reply) {
        at = reply.at
        return
      }
      if ('done' in reply) resolve()
      else reject(new QuantError('runtime', reply.error))
      child.kill('SIGKILL')
    })
    child.on('error', reject)
    // `close`, not `exit`: by then all that it said is here.
    child.on('close', (code, killedBy) => {
      // All outputs are written: what it died of afterwards changes nothing.
      if (request.reads.every(({ file }) => disk.exists(file))) return resolve()
      const where = at === undefined ? 'before the first command' : `at ${nameOf(at)}`
      const last = said.trim().split('\n').at(-1)
      reject(
        new QuantError(
          'runtime',
          `the C-model stopped ${where} (${killedBy ?? `exit code ${code}`})${last ? `: ${last}` : ''}`,
          {
            hint: 'the command is not legal on the chip; `quant inspect FILE --asm` shows it',
          },
        ),
      )
    })
    child.send(request)
  })
}
