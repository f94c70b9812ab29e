/**
 * The four networks that the vendor's tools were run on, each with our graph of it and the vendor's own files. Its tables are read here
 * by hand, so that these tests stand on no reader of ours.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Thresholds } from '../../src/calibrate/threshold.js'
import { type Graph, inputsOf, type Preprocess, type Tensor } from '../../src/ir/graph.js'
import { type NpyArray, readNpz } from '../../src/ir/npz.js'
import { importOnnx } from '../../src/ir/onnx/import.js'
import { loadSample } from '../../src/preprocess/sample.js'
import type { Precision } from '../../src/quantize/qgraph.js'
import { shared, yolov3Tiny } from '../shared.js'

export const goldenNames = ['small', 'street_tiny', 'yolo_lite_coco', 'yolov3_tiny_rand'] as const
export type Name = (typeof goldenNames)[number]

export const hasGolden = ['golden', 'zoo', 'example'].every((folder) => shared(folder) !== undefined)

/** Comparisons that take longer than a reader would wait: with GOLDEN=all. */
export const allGolden = process.env.GOLDEN === 'all'

const letterbox: Preprocess = {
  pixelFormat: 'rgb',
  mean: [0, 0, 0],
  scale: [0.0039216, 0.0039216, 0.0039216],
  keepAspectRatio: true,
  padValue: 128,
  padType: 'center',
}

const file = (...path: string[]) => {
  const full = shared(...path)
  if (full === undefined) throw new Error(`${path.join('/')} is missing in the reference data`)
  return new Uint8Array(readFileSync(full))
}

const coco = ['zoo', 'images', 'coco100']
const sources: Record<Name, { onnx: () => Uint8Array; preprocess: Preprocess; pictures: string[] }> = {
  small: {
    onnx: () => file('golden', 'small', 'small.onnx'),
    preprocess: { ...letterbox, padValue: 0 },
    pictures: coco,
  },
  street_tiny: {
    onnx: () => file('example', 'model', 'street-tiny.onnx'),
    preprocess: letterbox,
    pictures: ['example', 'calibration'],
  },
  yolo_lite_coco: {
    onnx: () => file('zoo', 'models', 'yolo-lite-coco.onnx'),
    preprocess: { ...letterbox, keepAspectRatio: false, padValue: 0 },
    pictures: coco,
  },
  yolov3_tiny_rand: { onnx: yolov3Tiny, preprocess: letterbox, pictures: coco },
}

export interface Golden {
  readonly name: Name
  /** Layers stand in the vendor's order, which for networks with normalisations is another than the file's. */
  readonly graph: Graph
  /** Tuned. */
  readonly thresholds: Thresholds
  readonly untuned: Thresholds
  /** Layers that the vendor's search put in float, the others INT8. */
  readonly mixed: (layer: string) => Precision
  readonly preprocess: Preprocess
  /** The folder of its hundred calibration pictures. */
  readonly pictures: string
  /** One network input, float. */
  readonly input: Record<string, Tensor>
  text(file: string): string
  npz(file: string): Map<string, NpyArray>
}

export const textOf = (name: Name, path: string): string => Buffer.from(file('golden', name, path)).toString('utf8')
export const readNpzOf = (name: Name, path: string): Map<string, NpyArray> => readNpz(file('golden', name, path), path)

/**
 * The vendor's lowered text without what a quantized graph has no place for: an asymmetric scale that nothing uses, and ranges of float
 * values.
 */
export const symmetric = (text: string): string =>
  text.replace(/ out_int8_(scale|zp) = [^,]* : f64,/g, '').replace(/!quant\.calibrated<f32<[^>]*>>/g, 'f32')

const known = new Map<Name, Golden>()

export function golden(name: Name): Golden {
  const result = known.get(name) ?? load(name)
  known.set(name, result)
  return result
}

function load(name: Name): Golden {
  const { onnx, preprocess, pictures } = sources[name]
  const text = (path: string) => textOf(name, path)
  const npz = (path: string) => readNpzOf(name, path)
  const table = (path: string): Thresholds =>
    new Map(
      rows(text(path)).map(([layer, threshold, min, max]) => [
        layer!,
        { threshold: Number(threshold), min: Number(min), max: Number(max) },
      ]),
    )
  const thresholds = table(`${name}_cali_table`)
  const order = [...thresholds.keys()]
  const modes = new Map(rows(text(`${name}_qtable`)).map(([layer, mode]) => [layer!, mode as Precision]))
  const graph = importOnnx(onnx(), { file: `${name}.onnx`, name, preprocess })
  return {
    name,
    graph: { ...graph, nodes: graph.nodes.toSorted((a, b) => order.indexOf(a.name) - order.indexOf(b.name)) },
    thresholds,
    untuned: table(`${name}_cali_table_notune`),
    mixed: (layer) => modes.get(layer) ?? 'INT8',
    preprocess,
    pictures: shared(...pictures)!,
    input: Object.fromEntries([...npz('input_f32.npz')].map(([key, array]) => [key, array as Tensor])),
    text,
    npz,
  }
}

/** Lines that are no comments, in columns. */
export const rows = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(' '))

/** Of the calibration pictures, sorted by name, the network's input values; all hundred, or the first ones. */
export async function* samples({ graph, preprocess, pictures }: Golden, count = 100): AsyncGenerator<Feeds> {
  const inputs = inputsOf(graph).map((node) => ({ ...node, preprocess }))
  const names = readdirSync(pictures).filter((name) => name.endsWith('.jpg'))
  if (names.length !== 100) throw new Error(`${names.length} pictures instead of 100`)
  for (const name of names.sort().slice(0, count))
    yield (await loadSample(readFileSync(join(pictures, name)), name, inputs)).feeds
}

type Feeds = Readonly<Record<string, Tensor>>

/** The first twelve hexadecimal digits of the SHA-256 of an array's bytes, as the vendor's side was told to print them. */
export const digest = (data: ArrayBufferView): string =>
  createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex')
    .slice(0, 12)
