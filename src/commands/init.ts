import { join, relative, resolve } from 'node:path'
import * as disk from '../disk.js'
import { errorRecord, QuantError } from '../errors.js'
import { isSampleFile, PICTURE_FILE } from '../preprocess/sample-file.js'
import { printable } from '../show/color.js'
import { lookAtNetwork, type Network } from './init/network.js'
import { type Pictures, starter } from './init/starter.js'

/** Writes a quant.yaml to start from, with what the ONNX file says of itself filled in and the detector guessed. Never overwrites one. */
export async function initCommand(
  model: string,
  { directory = '.', json = false }: { directory?: string; json?: boolean },
): Promise<number> {
  const folder = resolve(directory)
  const target = join(folder, 'quant.yaml')
  const path = resolve(folder, model)
  if (disk.exists(target)) throw existsAlready(target)
  if (!disk.exists(path))
    throw new QuantError('usage', `${model} does not exist`, {
      hint: 'name the float ONNX file: quant init model.onnx',
    })
  const network = lookAtNetwork(disk.readBytes(path), model)
  const pictures = findPictures(folder)
  const text = starter(relative(folder, path).replaceAll('\\', '/'), network, pictures)
  // Exclusively: of two that begin at once one wins, and nothing is ever overwritten.
  if (!disk.createExclusive(target, text)) throw existsAlready(target)
  process.stdout.write(json ? `${JSON.stringify(facts(target, network, pictures))}\n` : told(target, network, pictures))
  return 0
}

const existsAlready = (target: string): QuantError =>
  new QuantError('usage', `${target} exists already`, {
    hint: 'remove it first, or work elsewhere: quant -C FOLDER init',
  })

/** Names that such folders usually have; the first that holds samples is taken. */
const usualFolders = ['calibration', 'pictures', 'images', 'COCO2017', 'coco128', 'coco', 'val2017', 'dataset', 'data']

function findPictures(root: string): Pictures | undefined {
  for (const folder of usualFolders) {
    const path = join(root, folder)
    if (!disk.stat(path)?.directory) continue
    const files = disk.listDeep(path).filter(isSampleFile)
    const example = files.find((file) => PICTURE_FILE.test(file))
    if (files.length > 0) return { folder, count: files.length, example: example && `${folder}/${example}` }
  }
  return undefined
}

/** What was found, filled in and guessed, and what to do next. */
function told(target: string, { inputs, cut, guess, trouble }: Network, pictures: Pictures | undefined): string {
  const lines = [
    `${relative(process.cwd(), target)} is written`,
    ...inputs.flatMap(({ name, shape, filled }) => [
      `  input ${name}: ${shape.join(' x ')}${filled.length > 0 ? `; ${filled.join(', ')} filled in, open in the file` : ''}`,
    ]),
    guess
      ? `  ${guess.kind === 'classifier' ? '' : 'detector, '}a guess: ${guess.because}`
      : '  detector: none recognised; see `verify` in the file',
    ...(cut ? ['  outputs: the raw heads, before the part of the file that decodes them'] : []),
    pictures
      ? `  pictures: ${pictures.folder}, ${pictures.count} files`
      : '  pictures: none found here; name a folder in `calibration.dataset`',
    ...(trouble
      ? [
          `  quant cannot take the network as it is: ${trouble.message}`,
          ...(trouble.hint ? [`    ${trouble.hint}`] : []),
        ]
      : []),
    'look it over, then `quant build`',
  ]
  return `${lines.map(printable).join('\n')}\n`
}

const facts = (target: string, { inputs, outputs, cut, guess, trouble }: Network, pictures: Pictures | undefined) => ({
  type: 'written',
  file: target,
  inputs,
  outputs,
  cut,
  detector: guess ?? null,
  pictures: pictures ?? null,
  trouble: trouble ? { ...errorRecord(trouble), stack: undefined } : null,
})
