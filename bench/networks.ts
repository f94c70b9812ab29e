/** What is measured: the example, and the real detectors that lie beside the project (see test/shared.ts), where they do. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { analysePicture, readLayers, withFollowers } from '../src/calibrate/analyse.js'
import { thresholdsOf } from '../src/calibrate/choose.js'
import type { Thresholds } from '../src/calibrate/threshold.js'
import { emitOnnx } from '../src/ir/emit.js'
import { type Graph, inputsOf, type Preprocess, type Tensor } from '../src/ir/graph.js'
import { importOnnx } from '../src/ir/onnx/import.js'
import { loadSample } from '../src/preprocess/sample.js'
import { openSession } from '../src/runtime/session.js'
import { shared, yolov3Tiny } from '../test/shared.js'

export interface Network {
  readonly name: string
  readonly graph: Graph
  /** Network inputs, one picture each. */
  readonly samples: (count: number) => Promise<Record<string, Tensor>[]>
}

const preprocess: Preprocess = {
  pixelFormat: 'rgb',
  mean: [0, 0, 0],
  scale: [0.0039216, 0.0039216, 0.0039216],
  keepAspectRatio: true,
  padValue: 128,
  padType: 'center',
}

/** The example's folder. */
export const example = fileURLToPath(new URL('../examples/street/', import.meta.url))

/** @param only part of the names of the networks that are wanted; all without it. */
export function networks(only = ''): Network[] {
  const street = network(
    'street',
    () => read(join(example, 'model/street-tiny.onnx')),
    join(example, 'calibration'),
    only,
  )
  const photos = shared('zoo', 'images', 'coco100')
  if (photos === undefined) return street
  const models = readdirSync(shared('zoo', 'models')!).filter((file) => file.endsWith('.onnx'))
  return [
    ...street,
    ...models.flatMap((file) =>
      network(basename(file, '.onnx'), () => read(shared('zoo', 'models', file)!), photos, only),
    ),
    ...network('yolov3_tiny_rand', yolov3Tiny, photos, only),
  ]
}

/** Where a network is left before an operator that is not taken. */
const outputsOf: Readonly<Record<string, readonly string[]>> = { 'version-RFB-320': ['scores'] }

function network(name: string, onnx: () => Uint8Array, pictures: string, only: string): Network[] {
  if (!name.includes(only)) return []
  const graph = importOnnx(onnx(), { file: name, name, preprocess, outputs: outputsOf[name] })
  const inputs = inputsOf(graph).map((node) => ({ ...node, preprocess }))
  const files = readdirSync(pictures).filter((file) => /\.jpg$/.test(file))
  return [
    {
      name,
      graph,
      samples: (count) =>
        Promise.all(
          files
            .sort()
            .slice(0, count)
            .map(async (file) => (await loadSample(read(join(pictures, file)), file, inputs)).feeds),
        ),
    },
  ]
}

const read = (path: string): Uint8Array => new Uint8Array(readFileSync(path))

/** KL thresholds from few pictures: enough to lower a network for measuring how long it takes. */
export async function quickThresholds(graph: Graph, feeds: Record<string, Tensor>): Promise<Thresholds> {
  const session = await openSession(emitOnnx(graph, { outputs: readLayers(graph) }), graph.name)
  const statistics = await analysePicture(graph, session, feeds)
  await session.release()
  return thresholdsOf(withFollowers(graph, statistics), { method: 'kl' })
}
