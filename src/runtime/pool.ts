/**
 * Worker processes for heavy work: inference blocks its thread, and a thread cannot be ended inside it without taking the whole process
 * along. A process can: Ctrl-C kills the workers at once, and what they finished is in the memo. Idle ones keep what they have open for
 * the next job, and live as long as the pool: while somebody watches, through many builds.
 *
 * Messages: {id, job, args} down; {id, progress}, {id, result} or {id, error} up. Tensors do not travel, paths do.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { type ErrorRecord, QuantError, reviveError } from '../errors.js'

export type Progress = (units: number, of?: number) => void

/** A function that runs in a worker: plain data in, plain data out. `progress(n)` says that n more units are done; where the caller cannot know how many there are, `of` tells. */
// biome-ignore lint/suspicious/noExplicitAny: a bound for inference; arguments and results are typed where they are used
export type Job = (args: any, progress: Progress) => Promise<unknown>
export type Jobs = Readonly<Record<string, Job>>

export interface Pool<J extends Jobs> {
  /** How many workers may work at once. */
  readonly size: number
  run<K extends keyof J & string>(
    job: K,
    args: Parameters<J[K]>[0],
    onProgress?: Progress,
  ): Promise<Awaited<ReturnType<J[K]>>>
  /**
   * The same workers, for jobs that end with the signal: waiting ones are rejected as interrupted, those that run have their worker
   * killed. Idle workers stay.
   */
  until(signal: AbortSignal): Pool<J>
  /** Starts all workers: the next job need not wait for one. */
  warm(): void
  /** Ends all workers at once; running and waiting jobs are rejected as interrupted. */
  close(): void
}

export type FromWorker =
  | { readonly id: number; readonly progress: number; readonly of?: number | undefined }
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: ErrorRecord }

interface Task {
  readonly id: number
  readonly job: string
  readonly args: unknown
  readonly onProgress: Progress
  readonly signal: AbortSignal | undefined
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/**
 * For glibc: activations of some MB come and go, and memory that goes back to the system each time costs a page fault per 4 KB when it is
 * taken again (a tenth of a search's CPU). Other libraries take no notice.
 */
const heapSettings = { MALLOC_MMAP_THRESHOLD_: `${32 * 2 ** 20}`, MALLOC_TRIM_THRESHOLD_: `${256 * 2 ** 20}` }

/** @param entry the module that answers jobs (see stages/worker.ts). Workers start when there is work. */
export function openPool<J extends Jobs>(entry: URL, size: number): Pool<J> {
  const idle: ChildProcess[] = []
  const busy = new Map<ChildProcess, Task>()
  const waiting: Task[] = []
  let closed = false
  let nextId = 1

  function start(): ChildProcess {
    const worker = fork(entry, {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...heapSettings, ...process.env },
      // From the sources (tests, development) the worker is TypeScript too.
      // Work is spread over processes: more threads for one heap only cost (a sixth of calibration's CPU).
      execArgv: [
        '--single-threaded-gc',
        ...(entry.pathname.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : []),
      ],
    })
    worker.on('message', (message) => hear(worker, message as FromWorker))
    worker.on('exit', (code, signal) => {
      const task = busy.get(worker)
      busy.delete(worker)
      const at = idle.indexOf(worker)
      if (at >= 0) idle.splice(at, 1)
      task?.reject(
        new QuantError('runtime', `the worker process died (${signal ?? `exit ${code}`}) during ${task.job}`, {
          hint: signal === 'SIGKILL' ? 'perhaps memory ran out; try fewer jobs: --jobs 1' : undefined,
        }),
      )
      dispatch()
    })
    return worker
  }

  function hear(worker: ChildProcess, message: FromWorker): void {
    const task = busy.get(worker)
    if (!task || task.id !== message.id) return
    if ('progress' in message) {
      task.onProgress(message.progress, message.of)
      return
    }
    busy.delete(worker)
    idle.push(worker)
    if ('error' in message) task.reject(reviveError(message.error))
    else task.resolve(message.result)
    dispatch()
  }

  function dispatch(): void {
    while (!closed && waiting.length > 0 && busy.size < size) {
      const task = waiting.shift()!
      const worker = idle.pop() ?? start()
      busy.set(worker, task)
      worker.send({ id: task.id, job: task.job, args: task.args })
    }
  }

  function end(these: (task: Task) => boolean): void {
    for (const task of waiting.splice(0)) {
      if (these(task)) task.reject(interrupted())
      else waiting.push(task)
    }
    for (const [worker, task] of [...busy]) {
      if (!these(task)) continue
      busy.delete(worker)
      task.reject(interrupted())
      worker.kill('SIGKILL')
    }
    dispatch()
  }

  function view(signal: AbortSignal | undefined): Pool<J> {
    return {
      size,
      run: (job, args, onProgress = () => {}) =>
        new Promise((resolve, reject) => {
          if (closed || signal?.aborted) return reject(interrupted())
          waiting.push({
            id: nextId++,
            job,
            args,
            onProgress,
            signal,
            resolve: resolve as (result: unknown) => void,
            reject,
          })
          dispatch()
        }),
      until(other) {
        other.addEventListener('abort', () => end((task) => task.signal === other), { once: true })
        return view(other)
      },
      warm() {
        while (!closed && idle.length + busy.size < size) idle.push(start())
      },
      close() {
        closed = true
        end(() => true)
        for (const worker of idle) worker.kill('SIGKILL')
      },
    }
  }
  return view(undefined)
}

const interrupted = (): QuantError => new QuantError('interrupted', 'interrupted')
