/** The worker process: answers one job at a time until its parent is gone. See runtime/pool.ts for the messages. */
import { errorRecord } from '../errors.js'
import type { FromWorker, Job } from '../runtime/pool.js'
import { jobs } from './jobs/index.js'

const send = (message: FromWorker): void => {
  process.send?.(message)
}

// Ctrl-C reaches the whole process group; the parent decides when we end.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(0))

process.on('message', async ({ id, job, args }: { id: number; job: keyof typeof jobs; args: unknown }) => {
  try {
    const run: Job = jobs[job]
    const result = await run(args, (progress, of) => send({ id, progress, of }))
    send({ id, result })
  } catch (error) {
    send({ id, error: errorRecord(error) })
  }
})
