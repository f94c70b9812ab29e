import { dirname, join, resolve } from 'node:path'
import * as disk from '../disk.js'
import { QuantError } from '../errors.js'

/** quant.yaml, here or in a folder above, as git finds its own. Absolute. @throws QuantError 'usage' where there is none. */
export function findFile({ directory = '.', file }: { readonly directory?: string; readonly file?: string }): string {
  const start = resolve(directory)
  if (file !== undefined) {
    const path = resolve(start, file)
    if (!disk.exists(path)) throw new QuantError('usage', `${file} does not exist`, { hint: 'name your quant.yaml' })
    return path
  }
  for (let folder = start; ; folder = dirname(folder)) {
    const path = join(folder, 'quant.yaml')
    if (disk.exists(path)) return path
    if (folder === dirname(folder))
      throw new QuantError('usage', `there is no quant.yaml in ${start} or above it`, {
        hint: 'write one (see quant.yaml.example), or say where it is: quant -C FOLDER, quant -f FILE',
      })
  }
}
