/** Where the store and the remote store are: quant.yaml, and above it the environment, so that CI can point elsewhere. */
import { resolve } from 'node:path'
import type { StoreSettings } from '../config/config.js'
import type { Project } from '../engine/stage.js'
import { QuantError } from '../errors.js'

/**
 * @param env QUANT_STORE, relative to the working folder; QUANT_REMOTE, empty for none; QUANT_REMOTE_MODE, so that CI may write what
 * developers read; QUANT_REMOTE_TOKEN.
 * @throws QuantError 'usage' when QUANT_REMOTE is no address or QUANT_REMOTE_MODE no mode.
 */
export function storePlaces(
  { path = '.quant/store', remote, mode, timeout }: StoreSettings,
  root: string,
  { QUANT_STORE, QUANT_REMOTE, QUANT_REMOTE_MODE, QUANT_REMOTE_TOKEN }: Readonly<Record<string, string | undefined>>,
): Pick<Project, 'store' | 'remote'> {
  if (QUANT_REMOTE && !/^https?:\/\/[^\s/@?#]+(\/[^\s?#]*)?$/.test(QUANT_REMOTE))
    throw new QuantError('usage', 'QUANT_REMOTE is no http or https address', {
      hint: 'QUANT_REMOTE=http://HOST:PORT, without user and password; QUANT_REMOTE_TOKEN is the bearer token',
    })
  const modes = ['read-only', 'read-write'] as const
  const asked = QUANT_REMOTE_MODE ? modes.find((one) => one === QUANT_REMOTE_MODE) : mode
  if (asked === undefined)
    throw new QuantError('usage', `QUANT_REMOTE_MODE is \`${QUANT_REMOTE_MODE}\``, { hint: modes.join(' or ') })
  const url = (QUANT_REMOTE ?? remote)?.replace(/\/+$/, '')
  return {
    store: QUANT_STORE ? resolve(QUANT_STORE) : resolve(root, path),
    remote: url ? { url, mode: asked, timeoutMs: 1000 * timeout, token: QUANT_REMOTE_TOKEN || undefined } : undefined,
  }
}
