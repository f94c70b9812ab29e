/** The vendor's own results, read without the project's own readers where these are small. */
import { readFileSync } from 'node:fs'
import type { Thresholds } from '../../src/calibrate/threshold.js'
import type { Graph, Tensor } from '../../src/ir/graph.js'
import { type NpyArray, readNpz } from '../../src/ir/npz.js'
import { importOnnx } from '../../src/ir/onnx/import.js'
import type { Precision } from '../../src/quantize/qgraph.js'
import { shared } from '../shared.js'

export interface Golden {
  readonly name: string
  readonly graph: Graph
  readonly thresholds: Thresholds
  /** Layers that the vendor's search put in float. */
  readonly precision: (layer: string) => Precision
  readonly input: Record<string, Tensor>
  readonly npz: (file: string) => Map<string, NpyArray>
  /** Text of a lowered graph: layer -> its line. */
  readonly lines: (file: string) => Map<string, string>
}

const models: Record<string, string[]> = {
  small: ['golden', 'small', 'small.onnx'],
  street_tiny: ['example', 'model', 'street-tiny.onnx'],
  yolo_lite_coco: ['zoo', 'models', 'yolo-lite-coco.onnx'],
}

export const goldenNames = Object.keys(models)
export const hasGolden = (name: string): boolean =>
  shared(...models[name]!) !== undefined && shared('golden', name, 'input_f32.npz') !== undefined

export function golden(name: string): Golden {
  const read = (file: string): Buffer => readFileSync(shared('golden', name, file)!)
  const text = (file: string): string => read(file).toString('utf8')
  const npz = (file: string): Map<string, NpyArray> => readNpz(read(file), file)
  const table = text(`${name}_cali_table`)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(' '))
  const modes = new Map(
    text(`${name}_qtable`)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.split(' ') as [string, Precision]),
  )
  const graph = importOnnx(new Uint8Array(readFileSync(shared(...models[name]!)!)), { file: `${name}.onnx`, name })
  return {
    name,
    graph,
    thresholds: new Map(
      table.map(([layer, threshold, min, max]) => [
        layer!,
        { threshold: Number(threshold), min: Number(min), max: Number(max) },
      ]),
    ),
    precision: (layer) => modes.get(layer) ?? 'INT8',
    input: Object.fromEntries([...npz('input_f32.npz')].map(([key, array]) => [key, array as Tensor])),
    npz,
    lines(file) {
      const content = text(file)
      const names = new Map([...content.matchAll(/^(#loc\d+) = loc\("(.*)"\)$/gm)].map((m) => [m[1]!, m[2]!]))
      return new Map([...content.matchAll(/^ +%\d+ = .*loc\((#loc\d+)\)$/gm)].map((m) => [names.get(m[1]!)!, m[0]]))
    },
  }
}
