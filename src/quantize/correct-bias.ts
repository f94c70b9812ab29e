/**
 * Bias correction: rounding filters and operands shifts what a conv computes, channel by channel. That shift is measured on pictures and
 * taken back in the bias.
 */
import { layerOpener } from '../calibrate/layer.js'
import type { Thresholds } from '../calibrate/threshold.js'
import { functionOf, isFunction } from '../ir/functions.js'
import { type Graph, type Node, nodesByName, type OpOf, sizeOf, type Tensor, usersOf } from '../ir/graph.js'
import { openQuantized } from './execute.js'
import { lower } from './lower.js'
import type { QGraph, QNode } from './qgraph.js'
import { isInt, zeroOf } from './rounding.js'

type Feeds = Readonly<Record<string, Tensor>>
type ConvNode = Node & { readonly op: OpOf<'Conv'> }

/**
 * Layer by layer in graph order, each with the corrections of those before it in effect. With y and z the float and the 8-bit sums of a
 * channel before relu, requantisation and clipping, f what is applied to them next and t the threshold:
 *
 *   correction = sum of w (y - z) / sum of w, over pictures and positions, w = f'(y)^2 where |z| < t, else 0:
 *
 * to first order the constant that brings f(z) closest to f(y). Errors where f is flat, or where the result is clipped anyway, must
 * not pull the other values along. A channel whose held-out error the correction would make larger keeps its bias.
 *
 * Convs without a bias stay as they are. Memory is that of the tensors that a later layer still reads, of all pictures, 5 bytes an element.
 *
 * @param heldOut may be empty: then all corrections are taken
 * @param progress called with 1 after each layer
 * @returns thresholds with `biasCorrection`, in real units
 */
export async function correctBiases(
  graph: Graph,
  thresholds: Thresholds,
  pictures: readonly Feeds[],
  heldOut: readonly Feeds[],
  progress: (layers: number) => void = () => {},
): Promise<Thresholds> {
  const all = [...pictures, ...heldOut]
  let net = lower(graph, thresholds, () => 'INT8')
  const corrected = new Map(thresholds)
  const floatNodes = nodesByName(graph)
  const float = walk(all, graph.nodes)
  const stored = walk(all, net.nodes)
  const openLayer = layerOpener(graph)

  for (const node of net.nodes) {
    const layer = floatNodes.get(node.name)
    if (node.op.type === 'Input') {
      float.start(node.name)
      stored.start(node.name)
      continue
    }
    const given = stored.operands(node)
    if (layer) {
      const correctable = layer.op.type === 'Conv' && layer.inputs.length > 2 && node.op.type === 'ConvInt'
      const open = await openLayer(correctable ? linear(layer as ConvNode) : layer, graph.weights)
      const exact: Tensor[] = []
      for (const values of float.operands(layer)) {
        const { shape, data } = await open.run(values)
        exact.push({ shape, data: data.slice() })
      }
      await open.release()
      if (correctable) {
        const sums = await realSums(graph, layer as ConvNode, net, node, given)
        const correction = correctionOf(graph, layer as ConvNode, exact, sums, pictures.length, thresholds)
        if (correction.some((value) => value !== 0)) {
          corrected.set(layer.name, { ...corrected.get(layer.name)!, biasCorrection: correction })
          net = lower(graph, corrected, () => 'INT8')
        }
        if ((layer as ConvNode).op.relu) for (const { data } of exact) clip(data, (layer as ConvNode).op.reluLimit)
      }
      float.keep(layer, exact)
      progress(1)
    }
    const operands = [...new Set(node.inputs.filter((name) => !net.weights.has(name)))]
    const session = await openQuantized(net, { outputs: [node.name], from: operands })
    const results: Tensor[] = []
    for (const values of given) {
      const feeds = Object.fromEntries(operands.map((name) => [name, values[node.inputs.indexOf(name)]!]))
      results.push((await session.run(feeds)).get(node.name)!)
    }
    await session.release()
    stored.keep(node, results, isInt(node.type) ? node.type.kind : undefined)
  }
  return corrected
}

/** What `correctBiases` holds of one picture at its fullest: 4 bytes an element for the float value, 1 for the 8-bit one. */
export function bytesPerPicture(graph: Graph): number {
  const sizes = new Map(graph.nodes.map(({ name, shape }) => [name, sizeOf(shape)]))
  const lastReader = new Map(graph.nodes.flatMap(({ name, inputs }) => inputs.map((input) => [input, name])))
  let now = 0
  let most = 0
  for (const { name, inputs } of graph.nodes) {
    now += sizes.get(name)!
    most = Math.max(most, now)
    for (const value of new Set([...inputs, name]))
      if ((lastReader.get(value) ?? name) === name) now -= sizes.get(value) ?? 0
  }
  return 5 * most
}

const linear = (layer: ConvNode): Node => ({ ...layer, op: { ...layer.op, relu: false, reluLimit: -1 } })

function clip(data: Float32Array, limit: number): void {
  for (let i = 0; i < data.length; i++) data[i] = Math.min(Math.max(data[i]!, 0), limit < 0 ? Infinity : limit)
}

/** Values of all pictures, node by node, dropped behind their last reader. */
function walk(
  pictures: readonly Feeds[],
  nodes: readonly { readonly name: string; readonly inputs: readonly string[] }[],
) {
  const names = new Set(nodes.map(({ name }) => name))
  const lastReader = new Map(nodes.flatMap(({ name, inputs }) => inputs.map((input) => [input, name])))
  const alive = pictures.map(() => new Map<string, Tensor<Float32Array | Int8Array | Uint8Array>>())
  return {
    start(input: string): void {
      for (const [i, values] of alive.entries()) values.set(input, pictures[i]![input]!)
    },
    /** Per picture the operands of a node that are no weights, in its order. */
    operands: ({ inputs }: { readonly inputs: readonly string[] }): Tensor[][] =>
      alive.map((values) =>
        inputs
          .filter((name) => names.has(name))
          .map((name) => {
            const { shape, data } = values.get(name)!
            return { shape, data: data instanceof Float32Array ? data : new Float32Array(data) }
          }),
      ),
    keep(
      { name, inputs }: { readonly name: string; readonly inputs: readonly string[] },
      results: readonly Tensor[],
      kind?: 'i8' | 'u8',
    ): void {
      for (const [i, values] of alive.entries()) {
        const { shape, data } = results[i]!
        values.set(name, { shape, data: kind === 'i8' ? Int8Array.from(data) : kind ? Uint8Array.from(data) : data })
        for (const value of [...inputs, name]) if ((lastReader.get(value) ?? name) === name) values.delete(value)
      }
    },
  }
}

/** What the 8-bit filter makes of the 8-bit operand, in real units and with the float bias. */
async function realSums(
  graph: Graph,
  layer: ConvNode,
  net: QGraph,
  { op, type, inputs }: QNode,
  given: readonly (readonly Tensor[])[],
): Promise<Tensor[]> {
  const operand = net.nodes.find(({ name }) => name === inputs[0])!
  if (op.type !== 'ConvInt' || !isInt(type) || !isInt(operand.type)) return []
  const { scale } = operand.type
  const zero = zeroOf(operand.type)
  const filter = net.weights.get(inputs[1]!)!
  const perChannel = filter.data.length / filter.shape[0]!
  // What one step of the sum is worth follows from the requantisation: that is what the chip applies.
  const step = op.multipliers.map((multiplier, c) => multiplier * 2 ** -op.shifts[c]! * type.scale)
  const data = Float32Array.from(filter.data, (w, i) => w * (step[Math.floor(i / perChannel)]! / scale))
  const weights = new Map(graph.weights).set(layer.inputs[1]!, { shape: filter.shape, data })
  const open = await layerOpener(graph)(linear(layer), weights)
  const sums: Tensor[] = []
  for (const [x] of given) {
    const result = await open.run([{ shape: x!.shape, data: x!.data.map((value) => (value - zero) * scale) }])
    sums.push({ shape: result.shape, data: result.data.slice() })
  }
  await open.release()
  return sums
}

function correctionOf(
  graph: Graph,
  layer: ConvNode,
  exact: readonly Tensor[],
  sums: readonly Tensor[],
  fitted: number,
  thresholds: Thresholds,
): number[] {
  const channels = layer.shape[1]!
  const { threshold } = thresholds.get(layer.name)!
  const slope = slopeBehind(graph, layer)
  const means = (from: number, to: number): Float64Array => {
    const errors = new Float64Array(channels)
    const weights = new Float64Array(channels)
    for (let picture = from; picture < to; picture++) {
      const [y, z] = [exact[picture]!.data, sums[picture]!.data]
      const plane = y.length / channels
      for (let i = 0; i < y.length; i++) {
        if (Math.abs(z[i]!) >= threshold) continue
        const c = Math.floor(i / plane)
        const weight = slope(y[i]!, c) ** 2
        errors[c]! += weight * (y[i]! - z[i]!)
        weights[c]! += weight
      }
    }
    return errors.map((error, c) => (weights[c]! > 0 ? error / weights[c]! : 0))
  }
  const fit = means(0, fitted)
  const held = exact.length > fitted ? means(fitted, exact.length) : fit
  return Array.from(fit, (error, c) => (Math.abs(held[c]! - error) < Math.abs(held[c]!) ? Math.fround(error) : 0))
}

/** The derivative of what is applied to a conv's sums, if that is one thing; else 1. */
function slopeBehind(graph: Graph, { name, op }: ConvNode): (x: number, channel: number) => number {
  if (op.relu) return (x) => (x > 0 && (op.reluLimit < 0 || x < op.reluLimit) ? 1 : 0)
  const readers = usersOf(graph).get(name)!
  const [reader] = readers
  if (!reader || readers.length > 1 || graph.outputs.includes(name)) return () => 1
  const next = reader.op
  if (isFunction(next)) {
    const f = functionOf(next)
    const h = 1 / 64
    return (x) => (f(x + h) - f(x - h)) / (2 * h)
  }
  if (next.type === 'Relu') return (x) => (x > 0 && (next.limit < 0 || x < next.limit) ? 1 : 0)
  if (next.type === 'LeakyRelu') return (x) => (x > 0 ? 1 : next.alpha)
  if (next.type === 'PRelu') {
    const slopes = graph.weights.get(reader.inputs[1]!)!.data
    return (x, channel) => (x > 0 ? 1 : slopes[channel % slopes.length]!)
  }
  return () => 1
}
