/** What stored values can be. Narrow ranges save splits of deep convolutions: behind a LeakyRelu of 0.1 nothing is below -13. */
import type { QGraph, QNode } from '../qgraph.js'
import { clamp, intRange, isInt, rsr, zeroOf } from '../rounding.js'
import type { Range } from './context.js'

/** Of every 8-bit node: a range that holds for any network input. A graph is looked through once, however many parts of it are emitted. */
export function storedRanges(graph: QGraph): ReadonlyMap<string, Range> {
  const known = rangesOf.get(graph) ?? findRanges(graph)
  rangesOf.set(graph, known)
  return known
}

const rangesOf = new WeakMap<QGraph, ReadonlyMap<string, Range>>()

function findRanges({ nodes, weights }: QGraph): Map<string, Range> {
  const ranges = new Map<string, Range>()
  for (const node of nodes) {
    if (!isInt(node.type)) continue
    const [low, high] = intRange(node.type.kind)
    const [from, to] = rangeOf(node) ?? [low, high]
    ranges.set(node.name, [clamp(from, low, high), clamp(to, low, high)])
  }
  return ranges

  function rangeOf({ op, inputs, type }: QNode): Range | undefined {
    const known = inputs.flatMap((input) => ranges.get(input) ?? [])
    const all: Range = [Math.min(...known), Math.max(...known)]
    switch (op.type) {
      case 'LeakyReluInt': {
        const { multiplier, shift } = op.requant
        if (multiplier < 0) return undefined
        const slope = (x: number): number => (x < 0 ? rsr(x * multiplier, shift) : x)
        return [slope(all[0]), slope(all[1])]
      }
      case 'Lut': {
        const table = weights.get(inputs[1]!)!.data as Int8Array | Uint8Array
        return [Math.min(...table), Math.max(...table)]
      }
      case 'ReluInt':
        return [Math.max(0, all[0]), Math.max(0, all[1])]
      case 'Concat':
        return op.relu ? undefined : all
      case 'MaxPool':
      case 'Upsample':
      case 'Permute':
      case 'Reshape':
      case 'Slice':
        return all
      case 'Pad':
        return [Math.min(all[0], op.value), Math.max(all[1], op.value)]
      default:
        return 'relu' in op && op.relu ? [zeroOf(type), 255] : undefined
    }
  }
}
