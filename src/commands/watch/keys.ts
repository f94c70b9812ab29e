/** Single keys of a terminal. Raw mode is given back on every way out. */
export interface Keys {
  close(): void
}

/** @param press told each key; Ctrl-C too, which raises no signal in raw mode. Ctrl-Z suspends as ever. */
export function listenToKeys(press: (key: string) => void): Keys {
  const { stdin } = process
  if (stdin.isTTY !== true) return { close() {} }
  const raw = (): void => void stdin.setRawMode(true)
  const restore = (): void => void stdin.setRawMode(false)
  const hear = (text: string): void => {
    for (const key of text) {
      if (key === '\x1a') {
        restore()
        process.kill(process.pid, 'SIGTSTP')
      } else press(key)
    }
  }
  raw()
  stdin.setEncoding('utf8').on('data', hear).resume()
  process.on('SIGCONT', raw)
  process.on('exit', restore)
  return {
    close() {
      stdin.off('data', hear).pause()
      process.off('SIGCONT', raw)
      process.off('exit', restore)
      restore()
    },
  }
}
