/** What kernels are written with. */
import type { NodeOf } from '../../../quantize/emit/context.js'
import type { QOp, QWeight } from '../../../quantize/qgraph.js'
import { lanes } from '../../chip.js'
import { precBytes } from '../../isa/forms.js'
import { alignedBytes, alignedStrides, type Shape4 } from '../../layout.js'
import type { Kernel, KernelSink, Known, Local, Packed, Slice } from '../kernel.js'

export type Weights = ReadonlyMap<string, QWeight>

interface KernelOf<T extends QOp['type']> {
  coefficients?(node: NodeOf<T>, weights: Weights): readonly Packed[]
  scratchBytes?(node: NodeOf<T>, inputs: readonly Shape4[], output: Shape4): number
  compute(node: NodeOf<T>, slice: Slice, sink: KernelSink, known: Known): void
}

/** A kernel of nodes with that op; most need neither coefficients nor scratch. */
export const define = <T extends QOp['type']>(kernel: KernelOf<T>): Kernel => ({
  coefficients: (node, weights) => kernel.coefficients?.(node as NodeOf<T>, weights) ?? [],
  scratchBytes: (node, inputs, output) => kernel.scratchBytes?.(node as NodeOf<T>, inputs, output) ?? 0,
  compute: (node, slice, sink, known) => kernel.compute(node as NodeOf<T>, slice, sink, known),
})

/** Where a local tensor's item of the batch begins, from a channel on that is a multiple of 64. */
export function part<L extends Local>(local: L, item: number, channel = 0): L {
  const strides = alignedStrides(local.shape, local.prec)
  const elements = item * strides.n + (channel / lanes) * strides.c
  return { ...local, address: local.address + elements * precBytes[local.prec] }
}

/** Scratch for a tensor, aligned. */
export function scratchTensor(sink: KernelSink, shape: Shape4, prec: Local['prec'], signed = true): Local {
  return { address: sink.scratch(alignedBytes(shape, prec)), prec, signed, shape }
}

export interface Piece {
  readonly shape: Shape4
  /** The piece of a tensor, whatever its type. */
  of(local: Local): Local
}

/**
 * An elementwise layer in pieces: all at once, or channel group by channel group with `most` elements of a channel each, a multiple of
 * 64 so that every piece is aligned. Rows do not matter and are laid flat.
 */
export function piecesOf([n, c, h, w]: Shape4, most: number, atOnce: boolean): Piece[] {
  if (atOnce) return [{ shape: [n, c, 1, h * w], of: (local) => ({ ...local, shape: [n, c, 1, h * w] }) }]
  const pieces: Piece[] = []
  for (let item = 0; item < n; item++)
    for (let channel = 0; channel < c; channel += lanes)
      for (let from = 0; from < h * w; from += most) {
        const shape: Shape4 = [1, Math.min(lanes, c - channel), 1, Math.min(most, h * w - from)]
        const of = (local: Local): Local => {
          const group = part(local, item, channel)
          return { ...group, shape, address: group.address + from * precBytes[local.prec] }
        }
        pieces.push({ shape, of })
      }
  return pieces
}

/** Where the axes of a shape are in [n, c, h, w]; the first ones of more than four are all n. */
const axes = [[], [1], [0, 1], [0, 1, 3], [0, 1, 2, 3]] as const

/** Of four: the place of an axis of a shape with that many dimensions. */
export function axisOf(axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis
  return rank > 4 ? Math.max(0, at - rank + 4) : axes[rank]![at]!
}
