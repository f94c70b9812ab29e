/** The process that the C-model lives in; see run.ts. It answers one request and ends. */
import * as disk from '../../disk.js'
import { globalBase, laneBytes, lanes } from '../chip.js'
import type { Reply, Request } from './run.js'

/** How the library numbers the engines. */
const engines = { tiu: 0, dma: 1 } as const
/** Commands are read in slots of this size, however short they are. */
const slotBytes = 256

/** Views of the library's memory are kept until the process ends: collecting one crashes it. */
const views: Uint8Array[] = []

process.once('message', async (request) => {
  try {
    await execute(request as Request)
    await send({ done: true })
  } catch (error) {
    await send({ error: error instanceof Error ? error.message : String(error) })
  }
})

// Not before: large outputs are still on their way when `send` resolves. The parent ends us when it has them.
process.once('disconnect', () => process.exit(0))

function load(koffi: Pick<typeof import('koffi'), 'load'>, library: string): ReturnType<typeof koffi.load> {
  try {
    return koffi.load(library)
  } catch (error) {
    throw new Error(`the C-model ${library} cannot be loaded: ${error instanceof Error ? error.message : error}`)
  }
}

/** Resolves when the message is on its way: what was said before the library ends the process is heard. */
const send = (reply: Reply): Promise<void> => new Promise((resolve) => process.send!(reply, () => resolve()))

async function execute({ library, globalBytes, fill, writes, commands, reads }: Request): Promise<void> {
  const { default: koffi } = await import('koffi').catch(() => {
    throw new Error('running on the C-model needs the package koffi: npm install koffi')
  })
  const model = load(koffi, library)
  const view = (pointer: unknown, size: number): Uint8Array => {
    const memory = new Uint8Array(koffi.view(pointer, size))
    views.push(memory)
    return memory
  }
  if (model.func('int cmodel_init(int node, int64_t bytes)')(0, globalBytes) !== 0)
    throw new Error(`the C-model has no ${globalBytes} bytes of memory`)
  const global = view(model.func('void *get_global_memaddr(int node)')(0), globalBytes)
  // A struct whose first word points to the memory, lane after lane.
  const local = koffi.decode(model.func('void *get_local_mem(int node)')(0), 'void *')
  global.fill(fill)
  view(local, lanes * laneBytes).fill(fill)
  model.func('void load_lookup_tables()')()
  for (const { address, bytes } of writes) global.set(bytes, address - globalBase)

  const run = model.func('int execute_command(int node, void *command, uint32_t engine)')
  for (const [at, { engine, bytes }] of commands.entries()) {
    await send({ at })
    const slot = new Uint8Array(slotBytes)
    slot.set(bytes)
    run(0, slot, engines[engine])
  }
  // Into files, at once and straight from the library's memory: it has been seen to leave a heap behind that the next garbage
  // collection dies of, and then a message would not get out.
  for (const { address, size, file } of reads)
    disk.writeAtomic(file, global.subarray(address - globalBase, address - globalBase + size))
}
