/**
 * A node as the kernels compute it: in one part, or, where its coefficients are large, in parts of output channels, so that one part is
 * loaded while another is computed.
 */

import type { QNode } from '../../quantize/qgraph.js'
import { bankBytes, cubeChannels, lanes, roundUp } from '../chip.js'
import type { Instruction } from '../isa/forms.js'
import { alignedBytes, type Shape4 } from '../layout.js'
import { cyclesOf } from '../timing/cycles.js'
import type { PlanGraph } from './graph.js'
import { stored } from './graph.js'
import { kept } from './kept.js'
import type { Kernel, Known, Local, Packed, Slice } from './kernel.js'
import { kernelOf } from './kernels/index.js'
import type { NodeSlice } from './sliced.js'
import { channelPart, stripped, type Variant } from './variants.js'

export interface Part {
  readonly variant: Variant
  readonly kernel: Kernel
  readonly known: Known
  readonly packed: readonly Packed[]
  /** Output channels; the whole node's, if there is one part. */
  readonly from: number
  readonly to: number
  /** Cycles and scratch bytes of a slice whose result has that shape: the node's, or a part of its channels. */
  cost(slice: NodeSlice, output: Shape4): Cost
}

export interface Cost {
  readonly cycles: number
  readonly scratch: number
}

/** Coefficients of a lane that are loaded at once: large enough for long transfers, small enough to be hidden behind a computation. */
const partBytes = bankBytes

export interface Parts {
  /** Undefined where the node cannot be computed on so many strips. */
  of(node: QNode, strips: number): readonly Part[] | undefined
}

export function startParts(graph: PlanGraph): Parts {
  const made = new Map<number, Map<QNode, readonly Part[] | undefined>>()
  const typeOf = (name: string) => graph.nodes.get(name)!.type
  return {
    of(node, strips) {
      const own = kept(made, strips, () => new Map<QNode, readonly Part[] | undefined>())
      const before = own.get(node)
      if (before !== undefined || own.has(node)) return before
      const parts = make(node, strips)
      own.set(node, parts)
      return parts
    },
  }

  function make(node: QNode, strips: number): Part[] | undefined {
    const variant = stripped({ node, weights: graph.weights }, strips)
    const kernel = variant && kernelOf(variant.node)
    if (variant === undefined || kernel === undefined) return undefined
    const channels = variant.node.shape[1] ?? 1
    const groups = Math.ceil(channels / lanes)
    const count = Math.min(groups, Math.ceil((groups * filterBytes(variant)) / partBytes))
    if (count <= 1) return [part(variant, kernel, kernel.coefficients(variant.node, variant.weights), 0, channels)]
    const size = Math.ceil(groups / count) * lanes
    return Array.from({ length: Math.ceil(channels / size) }, (_, i) => {
      const [from, to] = [i * size, Math.min(channels, (i + 1) * size)]
      const own = channelPart(variant, from, to)
      return part(own, kernel, kernel.coefficients(own.node, own.weights), from, to)
    })
  }

  /** Bytes of a lane that the filter takes for 64 output channels; 0 for what cannot be parted. */
  function filterBytes({ node: { op, inputs }, weights }: Variant): number {
    const filter = weights.get(inputs[1] ?? '')
    if ((op.type !== 'ConvInt' && op.type !== 'Conv') || op.group > 1 || filter === undefined) return 0
    const size = filter.kind === 'i8' || filter.kind === 'u8' ? 1 : filter.kind === 'f32' ? 4 : 2
    const [, ic, kh, kw] = filter.shape as [number, number, number, number]
    return roundUp(ic, cubeChannels[size]) * kh * kw * size
  }

  function part(variant: Variant, kernel: Kernel, packed: readonly Packed[], from: number, to: number): Part {
    // Slices at other rows often have the same shapes.
    const costs = new Map<string, Cost>()
    const costOf = new Map<NodeSlice, Cost>()
    const known: Known = { weights: variant.weights, typeOf }
    return {
      variant,
      kernel,
      known,
      packed,
      from,
      to,
      cost(slice, output) {
        const before = costOf.get(slice)
        if (before !== undefined) return before
        const { inputs, padTop, padBottom } = slice
        const key = `${inputs.join('|')}>${output.join()}^${padTop},${padBottom}`
        const cost =
          costs.get(key) ?? estimate(variant.node, { kernel, known, packed }, inputs, output, padTop, padBottom)
        costs.set(key, cost)
        costOf.set(slice, cost)
        return cost
      },
    }
  }

  /** Runs the kernel with operands that lie anywhere, but apart. */
  function estimate(
    node: QNode,
    { kernel, known, packed }: Pick<Part, 'kernel' | 'known' | 'packed'>,
    inputs: readonly Shape4[],
    output: Shape4,
    padTop: number,
    padBottom: number,
  ): Cost {
    let at = 0
    const next = (bytes: number): number => {
      const address = at
      at = roundUp(at + bytes, bankBytes)
      return address
    }
    const local = (name: string, shape: Shape4): Local => {
      const type = stored(typeOf(name))
      return { address: next(alignedBytes(shape, type.prec)), shape, ...type }
    }
    const values = node.inputs.filter((name) => graph.nodes.has(name))
    const slice: Slice = {
      inputs: inputs.map((shape, i) => local(values[i]!, shape)),
      output: local(node.name, output),
      coefficients: packed.map(({ rowBytes }) => next(rowBytes)),
      padTop,
      padBottom,
      inputRows: inputs.map(() => 0),
      outputRow: 0,
    }
    const commands: Instruction[] = []
    let scratch = 0
    const sink = {
      emit: (instruction: Instruction) => commands.push(instruction),
      scratch(bytes: number) {
        scratch += roundUp(bytes, 64)
        return next(bytes)
      },
    }
    const most = kernel.scratchBytes(node, inputs, output)
    kernel.compute(node, slice, sink, known)
    const cycles = commands.reduce((sum, command) => sum + cyclesOf(command), 0)
    return { cycles, scratch: Math.max(scratch, most) }
  }
}
