/** Files of a git revision, read without a shell and without touching the work tree. */
import { execFile } from 'node:child_process'
import { QuantError } from '../errors.js'

export interface Revision {
  /** The commit, 40 hex digits. */
  readonly commit: string
  /** Files below a folder, relative to it; none when it is not part of the repository. Folders are relative to `root`. */
  list(folder: string): Promise<string[]>
  /** A file relative to `root`, or undefined where the revision has none. */
  read(path: string): Promise<Uint8Array | undefined>
}

/**
 * @param root absolute folder in the work tree; undefined is returned when git knows no such revision there, or there is no git
 */
export async function openRevision(root: string, name: string): Promise<Revision | undefined> {
  const git = (...args: string[]): Promise<Uint8Array | undefined> => run(root, args)
  const found = await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`)
  const commit = found && new TextDecoder().decode(found).trim()
  if (!commit) return undefined
  return {
    commit,
    async list(folder) {
      const listed = await git('ls-tree', '-r', '-z', '--name-only', commit, '--', `${folder}/`)
      const prefix = folder === '.' ? '' : `${folder}/`
      return new TextDecoder()
        .decode(listed ?? new Uint8Array())
        .split('\0')
        .flatMap((path) => (path.startsWith(prefix) ? [path.slice(prefix.length)] : []))
    },
    read: (path) => git('show', `${commit}:./${path}`),
  }
}

/** What git prints, or undefined when it refuses. @throws QuantError 'usage' when it cannot be run */
function run(cwd: string, args: readonly string[]): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    execFile('git', args, { cwd, encoding: 'buffer', maxBuffer: 2 ** 31 - 1 }, (error, out) => {
      if (!error) return resolve(out)
      if (typeof error.code === 'number') return resolve(undefined)
      reject(
        new QuantError('usage', `git cannot be run: ${error.message}`, {
          hint: 'revisions need git; two build folders can be compared without it',
        }),
      )
    })
  })
}
