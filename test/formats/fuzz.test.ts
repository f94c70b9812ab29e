/** Every file that a user can give, damaged by chance: it is read, or there is an error that names it. Never anything else. */
import { readFileSync } from 'node:fs'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { programOf, readBmodel } from '../../src/bm1684x/bmodel/read.js'
import { writeBmodel } from '../../src/bm1684x/bmodel/write.js'
import { generate } from '../../src/bm1684x/codegen/generate.js'
import { checkTable, readCalibrationTable, writeCalibrationTable } from '../../src/calibrate/table.js'
import { parseConfig } from '../../src/config/load.js'
import { readCocoLabels, readYoloLabels } from '../../src/detect/labels.js'
import { parseLock } from '../../src/engine/lockfile.js'
import { errorRecord, QuantError } from '../../src/errors.js'
import { readNpz, writeNpz } from '../../src/ir/npz.js'
import { readTop } from '../../src/ir/top/read.js'
import { topWeights, writeTop } from '../../src/ir/top/write.js'
import { decodePicture } from '../../src/preprocess/picture.js'
import { lower } from '../../src/quantize/lower.js'
import { readLossTable } from '../../src/search/losstable.js'
import { checkQtable, readQtable } from '../../src/search/qtable.js'
import { imported } from '../import/helper.js'
import { type Below, belowOf, damagedBytes } from '../import/mutate.js'
import { structureNets } from '../import/structure-nets.js'

const scale = Number(process.env.QUANT_FUZZ ?? 1)

/** Reads damaged content `rounds` times; what is thrown must be a QuantError that names the file. At least one is refused. */
async function fuzz(
  name: string,
  rounds: number,
  damage: (below: Below) => Uint8Array | string,
  read: (content: never) => unknown,
): Promise<void> {
  let refused = 0
  for (let seed = 0; seed < rounds * scale; seed++) {
    const content = damage(belowOf(seed))
    try {
      await read(content as never)
    } catch (error) {
      expect(errorRecord(error).code, `seed ${seed}: ${(error as Error).stack}`).not.toBe('bug')
      const { message, place } = error as QuantError
      expect(`${message} ${place?.file}`, `seed ${seed}`).toContain(name)
      refused++
    }
  }
  expect(refused).toBeGreaterThan(0)
}

const pieces =
  '-1 0 1 1e999 1e-320 NaN Infinity 99999999999999999999 0x10 "" null true [] {} [[ }} : - , # ~ & * ! % @ \' " \\ \t \r \n \0 é 💥 __proto__ constructor toString <<: --- ... !!binary &a *a ? | >'.split(
    ' ',
  )

/** Text with lines and words moved, doubled, replaced or taken out. */
function damagedText(text: string, below: Below): string {
  let lines = text.split('\n')
  for (let more = 1 + below(3); more > 0; more--) {
    const at = below(lines.length)
    const line = lines[at] ?? ''
    const words = line.split(/(\s+|[:,[\]{}"'])/)
    const word = below(words.length)
    const piece = pieces[below(pieces.length)]!
    const changes = [
      () => lines.splice(at, 1),
      () => lines.splice(at, 0, lines[below(lines.length)] ?? ''),
      () => (lines = lines.slice(0, at)),
      () => (lines[at] = words.with(word, piece).join('')),
      () => (lines[at] = words.toSpliced(word, 1).join('')),
      () => (lines[at] = words.toSpliced(word, 0, piece).join('')),
      () => (lines[at] = ' '.repeat(below(9)) + line.trimStart()),
      () => (lines[at] = line.slice(0, below(line.length + 1)) + piece + line.slice(below(line.length + 1))),
    ]
    changes[below(changes.length)]!()
  }
  return lines.join('\n')
}

const graph = imported(Object.values(structureNets)[0]!.onnx())
const thresholds = new Map(graph.nodes.map(({ name }, i) => [name, { threshold: 1 + i, min: -1, max: 1 + i / 3 }]))

test('a calibration table', async () => {
  const text = writeCalibrationTable({ chip: 'bm1684x', thresholds } as never)
  await fuzz(
    'cali_table',
    400,
    (below) => damagedText(text, below),
    (content: string) => checkTable(graph, readCalibrationTable(content, 'cali_table'), 'cali_table'),
  )
})

test('a quantize table, a loss table', async () => {
  const text = graph.nodes.map(({ name }, i) => `${name} ${['F32', 'F16', 'INT8'][i % 3]}`).join('\n')
  await fuzz(
    'my_qtable',
    400,
    (below) => damagedText(text, below),
    (content: string) => checkQtable(graph, readQtable(content, 'my_qtable'), 'my_qtable'),
  )
  const losses = `# sample number: 10\n###\n${graph.nodes.map(({ name }, i) => `No.${i} : Layer: ${name}\t\tF32 loss: ${i / 7}`).join('\n')}\n`
  await fuzz(
    'loss_table',
    400,
    (below) => damagedText(losses, below),
    (content: string) => readLossTable(content, 'loss_table'),
  )
})

test('a .mlir text', async () => {
  const text = writeTop(graph, { weightFile: 'm.npz' })
  const weights = readNpz(writeNpz(topWeights(graph)), 'm.npz')
  await fuzz(
    'm.mlir',
    300,
    (below) => damagedText(text, below),
    (content: string) => readTop(content, weights, 'm.mlir'),
  )
})

test('an .npz file', async () => {
  const bytes = writeNpz(topWeights(graph))
  await fuzz(
    'm.npz',
    150,
    (below) => damagedBytes(bytes, below),
    (content: Uint8Array) => readNpz(content, 'm.npz'),
  )
})

test('a .bmodel', async () => {
  const bytes = writeBmodel(generate(lower(graph, thresholds, () => 'INT8')))
  await fuzz(
    'm.bmodel',
    200,
    (below) => damagedBytes(bytes, below),
    (content: Uint8Array) => {
      for (const net of readBmodel(content, 'm.bmodel').nets)
        try {
          programOf(net)
        } catch (error) {
          // It knows the net, not the file.
          expect(error).toBeInstanceOf(QuantError)
          expect((error as Error).message).toMatch(/^net /)
        }
    },
  )
})

test('labels: YOLO lines, COCO json', async () => {
  const classes = ['dot', 'ring']
  const lines = '0 0.5 0.5 0.25 0.25\n1 0.1 0.2 0.1 0.2\n0 0.9 0.9 0.1 0.1\n'
  await fuzz(
    'l.txt',
    400,
    (below) => damagedText(lines, below),
    (content: string) => readYoloLabels(content, 'l.txt', { width: 64, height: 48 }, classes),
  )
  const coco = JSON.stringify(
    {
      images: [
        { id: 1, file_name: 'a.jpg' },
        { id: 2, file_name: 'b.jpg' },
      ],
      categories: [
        { id: 7, name: 'dot' },
        { id: 8, name: 'ring' },
      ],
      annotations: [
        { image_id: 1, category_id: 7, bbox: [1, 2, 3, 4] },
        { image_id: 2, category_id: 8, bbox: [1, 2, 3, 4], iscrowd: 1 },
      ],
    },
    undefined,
    1,
  )
  await fuzz(
    'coco.json',
    400,
    (below) => damagedText(coco, below),
    (content: string) => readCocoLabels(content, 'coco.json', classes),
  )
})

test('pictures of every kind', async () => {
  const width = 40
  const data = Buffer.from(Uint8Array.from({ length: width * 30 * 3 }, (_, i) => (i * 7) % 256))
  const raw = sharp(data, { raw: { width, height: 30, channels: 3 } })
  const kinds = { jpg: await raw.jpeg().toBuffer(), png: await raw.png().toBuffer(), webp: await raw.webp().toBuffer() }
  for (const [kind, bytes] of Object.entries(kinds))
    await fuzz(
      `p.${kind}`,
      60,
      (below) => damagedBytes(bytes, below),
      (content: Uint8Array) => decodePicture(content, `p.${kind}`),
    )
  const bmp = new Uint8Array(54 + 4 * 4 * 3)
  const view = new DataView(bmp.buffer)
  bmp.set([0x42, 0x4d])
  for (const [at, value] of [
    [10, 54],
    [14, 40],
    [18, 4],
    [22, 4],
  ] as const)
    view.setUint32(at, value, true)
  view.setUint16(28, 24, true)
  await fuzz(
    'p.bmp',
    200,
    (below) => damagedBytes(bmp, below),
    (content: Uint8Array) => decodePicture(content, 'p.bmp'),
  )
})

test('a picture that claims more pixels than memory should hold', async () => {
  const jpeg = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#000' } })
    .jpeg()
    .toBuffer()
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]))
  expect(frame).toBeGreaterThan(0)
  for (const [width, height] of [
    [13000, 13000],
    [65535, 65535],
  ] as const) {
    const bomb = Buffer.from(jpeg)
    bomb.writeUInt16BE(height, frame + 5)
    bomb.writeUInt16BE(width, frame + 7)
    await expect(decodePicture(bomb, 'bomb.jpg')).rejects.toThrow(/bomb\.jpg: .*pixel/)
  }
})

test('quant.yaml', async () => {
  const example = readFileSync(new URL('../../quant.yaml.example', import.meta.url), 'utf8')
  expect(() => parseConfig(example, 'quant.yaml')).not.toThrow()
  await fuzz(
    'quant.yaml',
    250,
    (below) => damagedText(example, below),
    (content: string) => parseConfig(content, 'quant.yaml'),
  )
})

test('quant.lock', async () => {
  const digest = 'a'.repeat(64)
  const stage = { key: digest, outputs: { 'build/m.mlir': digest } }
  const text = stringify({ lock: 1, files: { 'm.onnx': digest }, stages: { import: stage } })
  await fuzz(
    'quant.lock',
    300,
    (below) => damagedText(text, below),
    (content: string) => parseLock(content, 'quant.lock'),
  )
})
