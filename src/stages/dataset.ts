/** Data sets: a folder of samples, or a list file with one sample per line. Always in sorted order, so that "the first ten" are the same everywhere. */
import { dirname, isAbsolute, join, resolve, sep } from 'node:path'
import * as disk from '../disk.js'
import { type Place, QuantError } from '../errors.js'
import { isSampleFile } from '../preprocess/sample-file.js'
import type { Recipe } from './context.js'

type DatasetReader = Pick<Recipe, 'root' | 'look' | 'config'>

/**
 * The files of a data set, relative to the root. Where the output folder lies in it, the pictures that quant draws there are no samples.
 * @throws QuantError 'config' at `place` when there is none.
 */
export function filesOfDataset(
  { root, look, config }: DatasetReader,
  dataset: string,
  what: string,
  place: Place,
): string[] {
  const folder = resolve(root, dataset)
  const output = resolve(root, config.output)
  const isOurs = (path: string): boolean => output.startsWith(folder + sep) && `${path}${sep}`.startsWith(output + sep)
  const at = disk.stat(folder)
  look(folder)
  if (!at)
    throw new QuantError('config', `${what} ${dataset} does not exist`, {
      place,
      hint: 'paths are relative to quant.yaml',
    })
  const files = at.directory
    ? disk
        .listDeep(folder, (path) => {
          if (!isOurs(path)) look(path)
        })
        .filter((file) => isSampleFile(file) && !isOurs(join(folder, file)))
        .map((file) => join(dataset, file))
    : isSampleFile(dataset)
      ? [dataset]
      : filesOfList(root, dataset, place)
  if (files.length === 0)
    throw new QuantError('config', `${what} ${dataset} has no pictures and no arrays in it`, {
      place,
      hint: 'wanted are .jpg .jpeg .png .bmp .webp .npy .npz files, in it or in its folders',
    })
  return files.map((file) => file.replaceAll('\\', '/'))
}

function filesOfList(root: string, listFile: string, place: Place): string[] {
  const base = dirname(listFile)
  return disk
    .readText(resolve(root, listFile))
    .split(/\r?\n/)
    .flatMap((line, index) => {
      const path = line.trim()
      if (path === '' || path.startsWith('#')) return []
      const file = isAbsolute(path) ? path : join(base, path)
      if (!isSampleFile(file) || !disk.exists(isAbsolute(file) ? file : resolve(root, file)))
        throw new QuantError('input', `${path} is no sample`, {
          place: { file: listFile, line: index + 1, column: 1, length: path.length, text: line },
          hint: `a list names one picture or array per line, relative to itself; it is used at ${place.file}:${place.line}`,
        })
      return [file]
    })
}
