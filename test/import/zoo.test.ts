/** Real networks: the numbers onnxruntime gets from the original file, and the names the vendor's importer gives. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type Graph, inputsOf, sizeOf, type Tensor } from '../../src/ir/graph.js'
import { shared, yolov3Tiny } from '../shared.js'
import { imported, names, opTypes, relativeError, run, runGraph } from './helper.js'

const read = (path: string): Uint8Array => new Uint8Array(readFileSync(path))
const zoo = (name: string): string | undefined => shared('zoo', 'models', `${name}.onnx`)

/** x[c][y][x] = ((7c + 3y + 5x) mod 32) * scale + shift */
function synthetic([, c, h, w]: readonly number[], scale: number, shift: number): Tensor {
  const data = new Float32Array(c! * h! * w!)
  let i = 0
  for (let channel = 0; channel < c!; channel++)
    for (let y = 0; y < h!; y++)
      for (let x = 0; x < w!; x++) data[i++] = ((7 * channel + 3 * y + 5 * x) % 32) * scale + shift
  return { shape: [1, c!, h!, w!], data }
}

async function compare(
  onnx: Uint8Array,
  { scale = 1 / 32, shift = 0, outputs = undefined as string[] | undefined } = {},
) {
  const graph = imported(onnx, { outputs })
  const [input] = inputsOf(graph)
  const feeds = { [input!.name]: synthetic(input!.shape, scale, shift) }
  const want = await run(onnx, feeds)
  const got = [...(await runGraph(graph, feeds)).values()]
  const wanted = outputs ? outputs.map((name) => want.get(name)!) : [...want.values()]
  expect(got.length).toBe(wanted.length)
  for (const [i, value] of got.entries()) expect(relativeError(value, wanted[i]!)).toBeLessThan(1e-4)
  return { graph, outputs: got }
}

/** min, max, mean and the elements 0, n/3, n/2, n-1 as printed, five digits of which the last may differ. */
function expectPrinted({ data }: Tensor, printed: readonly number[]): void {
  let [min, max, sum] = [Infinity, -Infinity, 0]
  for (const value of data) {
    min = Math.min(min, value)
    max = Math.max(max, value)
    sum += value
  }
  const n = data.length
  const at = [0, Math.floor(n / 3), Math.floor(n / 2), n - 1].map((i) => data[i]!)
  const got = [min, max, sum / n, ...at]
  for (const [i, want] of printed.entries())
    expect(Math.abs(got[i]! - want)).toBeLessThanOrEqual(2e-4 * Math.max(Math.abs(want), 0.05))
}

describe('a real network computes what it did before', () => {
  const networks: readonly {
    readonly name: string
    readonly printed: readonly (readonly number[])[]
    readonly input?: { readonly scale: number; readonly shift: number }
  }[] = [
    {
      name: 'yolov5n-320',
      printed: [
        [-17.168, 2.738, -4.99112, 0.3562, 0.57286, -5.2183, -3.7645],
        [-14.751, 3.1067, -5.0819, 0.027199, 0.16454, -5.4144, -4.4493],
        [-13.967, 2.6535, -5.47575, 0.19818, 0.1638, -5.5283, -5.3156],
      ],
    },
    {
      name: 'yolo-fastest-1.1',
      printed: [
        [-16.389, 3.263, -6.42119, -1.0181, -0.48962, -4.9776, -2.2279],
        [-18.407, 1.2432, -7.2719, -0.11891, -0.19246, -6.2036, -6.2604],
      ],
    },
    { name: 'yolo-lite-coco', printed: [[-15.302, 12.441, -0.103921, 0.37955, 0.34671, 1.0811, 0.49117]] },
    { name: 'yolo-lite-voc-bn', printed: [[-18.494, 13.848, -0.357258, -0.025124, -1.9925, 2.1157, 0.73102]] },
    {
      name: 'blazeface',
      input: { scale: 0.0625, shift: -1 },
      printed: [
        [-34.951, 108.16, 5.11298, -0.00050823, -2.4722, -0.20999, -14.912],
        [-17.984, -0.743, -7.53721, -9.4782, -8.2577, -11.21, -10.814],
      ],
    },
    {
      name: 'squeezenet1.1',
      input: { scale: 7.5, shift: -115 },
      printed: [[1.8242e-5, 0.097871, 0.001, 6.679e-5, 0.00012025, 4.0146e-5, 0.00066269]],
    },
  ]
  for (const { name, printed, input } of networks)
    it.skipIf(!zoo(name))(name, async () => {
      const { graph, outputs } = await compare(read(zoo(name)!), input)
      for (const [i, row] of printed.entries()) expectPrinted(outputs[i]!, row)
      // Nothing that folds is left.
      expect(opTypes(graph)).not.toContain('Scale')
      expect(opTypes(graph)).not.toContain('Relu')
      expect(opTypes(graph)).not.toContain('Sigmoid')
    })

  it.skipIf(!shared('zoo', 'make_yolov3_tiny.py'))('yolov3_tiny', async () => {
    const { outputs } = await compare(yolov3Tiny())
    expectPrinted(outputs[0]!, [-11.076, 7.6076, 0.0603387, 1.012, 1.9864, 2.6657, -1.4017])
    expectPrinted(outputs[1]!, [-9.1242, 8.4802, 0.0468663, -0.60834, -2.7673, 0.7573, 1.2537])
  })

  it.skipIf(!shared('example'))('street-tiny', async () => {
    const { graph } = await compare(read(shared('example', 'model', 'street-tiny.onnx')!))
    expect(opTypes(graph).filter((type) => type === 'Conv')).toHaveLength(13)
  })

  it.skipIf(!shared('golden'))('small', async () => {
    await compare(read(shared('golden', 'small', 'small.onnx')!))
  })

  it.skipIf(!zoo('version-RFB-320'))('a face detector, with its box decoder and without', async () => {
    const onnx = read(zoo('version-RFB-320')!)
    const whole = await compare(onnx, { scale: 0.0625, shift: -1 })
    expect(whole.outputs.map(({ shape }) => shape)).toEqual([
      [1, 4420, 2],
      [1, 4420, 4],
    ])
    const { graph, outputs } = await compare(onnx, { scale: 0.0625, shift: -1, outputs: ['scores'] })
    expectPrinted(outputs[0]!, [0.025219, 0.97478, 0.5, 0.90348, 0.88204, 0.90113, 0.045368])
    // The Shape/Gather/Unsqueeze/Concat chains in front of every Reshape are gone.
    expect(new Set(opTypes(graph))).toEqual(new Set(['Conv', 'Add', 'Concat', 'Permute', 'Reshape', 'Softmax']))
  })
})

describe("names are those of the vendor's importer", () => {
  const table = (path: string): string[] =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.split(' ')[0]!)

  it.skipIf(!shared('tpu-mlir'))('yolov3_tiny: the documented table, line by line', () => {
    const graph = imported(yolov3Tiny())
    const wanted = table(shared('tpu-mlir', 'yolov3_tiny_cali_table.txt')!)
    expect(wanted).toHaveLength(35)
    expect(names(graph)).toEqual(wanted)
    expect(graph.outputs).toEqual(['transpose_output1_Transpose', 'transpose_output_Transpose'])
  })

  const tables: readonly (readonly [name: string, load: () => Uint8Array, fileOrder: boolean])[] = [
    ['small', () => read(shared('golden', 'small', 'small.onnx')!), true],
    ['yolo_lite_coco', () => read(zoo('yolo-lite-coco')!), true],
    ['street_tiny', () => read(shared('example', 'model', 'street-tiny.onnx')!), false],
    ['yolov3_tiny_rand', yolov3Tiny, false],
  ]
  for (const [name, load, fileOrder] of tables)
    it.skipIf(!shared('golden', name))(`${name}: layers, weights and order of the reference run`, () => {
      const graph = imported(load())
      const wanted = table(shared('golden', name, `${name}_cali_table`)!)
      expect(names(graph).toSorted()).toEqual(wanted.toSorted())
      // The reference run put networks with normalisations through an optimiser that writes nodes depth first, beginning
      // at the last output; ours stand as in the file. (The documented table above is in the file's order.)
      expect(fileOrder ? names(graph) : depthFirst(graph)).toEqual(wanted)

      const mlir = readFileSync(shared('golden', name, `${name}.mlir`)!, 'utf8')
      const locations = Array.from(mlir.matchAll(/^#loc\d+ = loc\("(.*)"\)$/gm), ([, location]) => location!)
      expect([...graph.weights.keys()].toSorted()).toEqual(locations.filter((at) => !wanted.includes(at)).toSorted())
    })

  function depthFirst(graph: Graph): string[] {
    const order: string[] = []
    const byName = new Map(graph.nodes.map((node) => [node.name, node]))
    const visit = (name: string): void => {
      if (!byName.has(name) || order.includes(name)) return
      byName.get(name)!.inputs.forEach(visit)
      order.push(name)
    }
    graph.outputs.toReversed().forEach(visit)
    return order
  }

  it.skipIf(!shared('golden'))('small: attributes and shapes too', () => {
    const graph = imported(read(shared('golden', 'small', 'small.onnx')!))
    const mlir = readFileSync(shared('golden', 'small', 'small.mlir')!, 'utf8')
    const ops = Array.from(
      mlir.matchAll(/"top\.(\w+)"\(%\d.*\) -> tensor<([0-9x]+)xf32>/g),
      ([, op, shape]) => `${op} ${shape}`,
    )
    expect(ops).toHaveLength(10)
    expect(graph.nodes.slice(1).map(({ op, shape }) => `${op.type} ${shape.join('x')}`)).toEqual(ops)
    const weights = Array.from(mlir.matchAll(/"top\.Weight".*-> tensor<([0-9x]+)xf32>/g), ([, shape]) => shape!)
    const ours = graph.nodes.flatMap(({ inputs }) =>
      inputs.flatMap((input) => graph.weights.get(input)?.shape.join('x') ?? []),
    )
    expect(ours).toEqual(weights)
    expect(ours.map((shape) => sizeOf(shape.split('x').map(Number))).reduce((a, b) => a + b)).toBeGreaterThan(10_000)
  })
})
