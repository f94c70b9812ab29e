/** One line of `quant doctor`. */
export interface Check {
  readonly name: string
  readonly is: 'ok' | 'warn' | 'fail'
  readonly says: string
  /** What to do. */
  readonly hint?: string | undefined
}

export const ok = (name: string, says: string): Check => ({ name, is: 'ok', says })
export const warn = (name: string, says: string, hint?: string): Check => ({ name, is: 'warn', says, hint })
export const fail = (name: string, says: string, hint?: string): Check => ({ name, is: 'fail', says, hint })
