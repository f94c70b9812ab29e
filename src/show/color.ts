import picocolors from 'picocolors'

type Env = Readonly<Record<string, string | undefined>>

/** What the terminal views need to know of a stream. */
export interface Terminal {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  /** 0 in some pseudo-terminals: read it through `widthOf`. */
  readonly columns?: number | undefined
  readonly rows?: number | undefined
}

/** NO_COLOR forbids, FORCE_COLOR demands (0 and false forbid), else a terminal gets colours unless it is dumb. */
export function useColor(stream: Pick<Terminal, 'isTTY'>, env: Env): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false'
  return stream.isTTY === true && env.TERM !== 'dumb'
}

export const paint = (color: boolean) => picocolors.createColors(color)
export type Paint = ReturnType<typeof paint>

/** Control characters of a file or a name must not reach the terminal: each becomes a space, so columns stay right. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to keep out
export const printable = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
