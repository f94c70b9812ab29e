/** The program as a process: arguments in, output and exit code out. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

export function quant(
  args: readonly string[],
  cwd: string,
): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), cli, ...args], {
    cwd,
    env: { ...process.env, CI: '', GITHUB_ACTIONS: '', NO_COLOR: '1' },
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (text) => (out += text))
  child.stderr.on('data', (text) => (err += text))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })))
}

/** What a command prints, called in this process: where exit codes and argument parsing are not the point. */
export async function printed(command: () => Promise<number>): Promise<string> {
  const write = process.stdout.write
  let out = ''
  process.stdout.write = (text: string | Uint8Array) => {
    out += text
    return true
  }
  try {
    const code = await command()
    if (code !== 0) throw new Error(`exit code ${code}`)
    return out
  } finally {
    process.stdout.write = write
  }
}
